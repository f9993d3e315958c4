"""What a model may say that gives away what it must not, spelled in every way that a phone or a person still reads."""

import base64
import codecs
from collections.abc import Iterator
from typing import Final

from inbox.domain.bot_guards import GateClosed

INVISIBLE: Final = tuple(
    map(
        chr,
        [
            *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180E, 0x180F, 0x200B, 0x200C, 0x200D),
            *(0x200E, 0x200F, 0x2060, 0x2064, 0x2065, 0x206A, 0x206F, 0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF8),
            0xFFF9,
            *(0x1BCA0, 0x1D173, 0x1D17A),
        ],
    )
)
"""Of Unicode's Default_Ignorable_Code_Point, without those that nobody has a reason to write."""
REFUSED: Final = ("\u202a", "\u202e", "\u2066", "\u2069", "\U000e0001", "\U000e0041", "\U000e0100")
"""The rest of them: what turns a line around, and what is hidden as a whole."""

SAID_OF_ITSELF: Final = (
    "Écrivez à atelier@gmail.com ou contact@atelier.example, https://wa.me/33465710001, 04 65 71 00 01. Devis : "
    "https://docs.google.com/forms/d/e/ATELIER/viewform, Site : https://shop.example/catalogue, "
    "instagram.com/atelier. IBAN FR76 3000 6000 0112 3456 7890 189."
)
"""By a business that owns `maps.example.org`, too."""

LINKS: Final = (
    # on hosts that the business named, but not so
    *("evil@gmail.com", "evil.atelier@gmail.com", "atelier@gmail.com.evil.net", "gmail.com", "www.gmail.com", "p.es."),
    *(
        "https://atelier@gmail.com/",
        "https://gmail.com/atelier",
        "https://wa.me/33639987721",
        "WA.ME/message/E",
    ),
    # beside a first page
    *("wa.me/_", "wa.me/'", "wa.me/?text=evil", "https://wa.me/🔥", "wa.me/»33639987721", "wa.me🔥", "wa.me#evil"),
    *("https://evil@wa.me/", "evil.wa.me", "wa.me:8080", "evil@wa.me", "ftp://wa.me", "https://wa.me\\@evil.com"),
    *("https://wa.me/33465710001/../33639987721", "wa.me./33639987721", "https://wa.me/33465710001?text=evil"),
    *("https://docs.google.com/forms/d/e/EVIL/viewform", "docs.google.com/forms", "google.com"),
    *("https://docs.google.com/forms/d/e/atelier/viewform", "evil.docs.google.com/forms/d/e/ATELIER/viewform"),
    *("instagram.com/atelier.evil", "instagram.com/evil", "shop.example/evil", "atelier.example", "chef@shop.example"),
    *("http://shop.example:8080/catalogue", "https://shop.example\\@evil.com", "https://shop.example@evil.com/"),
    # around a domain of its own
    *(
        "https://maps.example.org\\@evil.com",
        "https://maps.example.org@evil.com",
        "https://maps.example.org:80@evil.com",
    ),
    *("https://maps.example.org。com", "maps.example.org.evil.net", "notmaps.example.org", "evil@maps.example.org"),
    *("_@maps.example.org", "https://evil.com@www.maps.example.org/", "https://maps.example.org:80@localhost/"),
    *("https://maps.example.org\\@2130706433/", "https://maps.example.org?u=evil.com"),
    *("https://maps.example.org/go?u=https://evil.com", "maps.example.org/»evil.com", "maps.example.org/,evil.com"),
    # whatever the ending
    *(
        "evil.attorney",
        "Evil.Attorney",
        "Dr.House",
        "1.er",
        "ok.merci/evil",
        "evil@ok.merci",
        "EVIL.SHOP",
        "evil.zip",
        "evil.onion",
        "evil.eth",
        "evil.newending",
        "t.me/evil",
    ),
    *("T.Me/evil", "www.Evil.Newending", "x@evil.newending", "bit.ly/3xYz", "evil.com-18h", "evil.com.", "EVIL.CO.UK"),
    *("пример.рф", "сайт.онлайн", "evil.рф", "例え.みんな", "商店.中国", "商店。中国", "evil.भारत", "متجر.السعودية"),
    *("evil.vermögensberatung", "xn--vil-bma.com", "evil.xn--p1ai", "shop.xn--newending", "https://\u0435vil.com"),
    # whatever stands around it or between
    *(
        "_evil.com_",
        "*evil.com*",
        "~evil.com~",
        "`evil.com`",
        "(evil.com)",
        "«evil.com»",
        "👉evil.com",
        "[x](evil.com)",
    ),
    *(f"ev{sign}il{sign}.{sign}co{sign}m" for sign in INVISIBLE),
    *("evil\uff0ecom", "evil\u2024com", "evil\u3002com", "evil\uff61com", "\uff45\uff56\uff49\uff4c.com", "ⓔⓥⓘⓛ.ⓒⓞⓜ"),
    *("𝐞𝐯𝐢𝐥.𝐜𝐨𝐦", "𝚎𝚟𝚒𝚕.𝚌𝚘𝚖", "http\u200b://localhost", "ht\u00adtps://evil", "http://2130706433/", "93.184.216.34"),
    *("http://[::1]/", "ftp://shop.example/catalogue", "whatsapp://send?phone=33465710001", "٩٣.١٨٤.٢١٦.٣٤"),
)

_PHONE: Final = "0639987721"
NUMBERS: Final = (
    _PHONE,
    *(sign.join(("06", "39", "98", "77", "21")) for sign in ".-*/:,_~|·•–—−‐‑‒"),
    *(
        sign.join(("06", "39", "98", "77", "21"))
        for sign in (" ", "\u00a0", "\u2009", "\u202f", " - ", ". ", " * ", "\u2800", "🔥", " ☎️ ")
    ),
    *("(06) 39 98 77 21", "(06)(39)(98)(77)(21)", "[06] 39-98-77-21", "(0)6.39.98.77.21", "O6 39 98 77 21"),
    *(
        "33 6 39 98 77 21",
        "33639987721",
        "+33639987721",
        "+33 (0)6 39 98 77 21",
        "+ 33 6.39.98.77.21",
        "+(33)639987721",
    ),
    *("0033 6 39 98 77 21", "00 33 639987721", "(0033)639-98-77-21", "+45 22 12 34 56", "+352 621 123 456"),
    *("1-900-555-0199", "1 (900) 555-0199", "1.900.555.0199", "1*900*555*0199", "900-555-0199", "+1-900-555-0199"),
    *("612 345 678", "0899 12 34 56", "+44 7911 123456", "tel:0639987721", "wa0639987721", "+290 22345"),
    *(
        "".join(chr(zero + int(digit)) for digit in _PHONE)
        for zero in (0x0660, 0x06F0, 0x0966, 0x0E50, 0xFF10, 0x1D7CE)
    ),
    "+٣٣ ٦ ٣٩ ٩٨ ٧٧ ٢١",
    "⓪⑥③⑨⑨⑧⑦⑦②①",
    "⓿❻❸❾❾❽❼❼❷❶",
    "⁰⁶³⁹⁹⁸⁷⁷²¹",
    "".join(f"{digit}\ufe0f\u20e3" for digit in _PHONE),
    " ".join(f"{digit}\ufe0f\u20e3" for digit in _PHONE),
    " ".join(_PHONE),
    *(sign.join(_PHONE) for sign in INVISIBLE),
    # one that the business told, with more before it or behind it
    *("+1 900 465 710 001", "0900 04 65 71 00 01", "04 65 71 00 02", "09 95 71 00 01"),
    # one that looks like hours, or a price
    *("06.12 13.14.15", "06/12 13.11.26", "06.12.26 09.30", "06 12 26 09:30", "06/12/26/09/30", "06:12 - 13:14 - 15"),
    *("06:12 13:14. 15", "06 39 98 77 - 21:00 - 22:00", "06 39 98 77 21 - 09:00 - 10:30", "06-12-13-10-11-12"),
    *("06.12-13.14 15", "06 12.13-14.15", "06 12:13 14 15", "06 39 987 721 €", "06.39.98 77 21"),
    # one whose pieces rise
    *(
        "01 23 45 67 98",
        "02 11 22 33 44",
        "06 12 34 56 78",
        "06 07 08 09 10",
        "06 | 07 | 08 | 09 | 10",
        "36.37.38.39.40",
    ),
    *("33 6 12 34 56 78", "6 12 18 24 30", "+36 37 38 39 40", "+ 36 37 38 39 40", "0036 37 38 39 40", "12 23 34 45 56"),
    *("612 613 614", "20 10 2034 2098", "2010 2034 2098", "06000 06100 06200", "33612 34567 89012", "40 39 38 37 36"),
    *("36 37 38 39 40 06 39 98 77 21", "36 37 38 39 40 - 06 39 98 77 21", "06 39 98 77 21. 36 37 38 39 40"),
)
ACCOUNTS: Final = (
    *("DE89 3704 0044 0532 0130 00", "DE89370400440532013000", "de89 3704 0044 0532 0130 00", "de89370400440532013000"),
    *("DE89-3704-0044-0532-0130-00", "De89.3704.0044.0532.0130.00", "D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0"),
    *("GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819", "G\u200bB29 NWBK 6016\u20111331\u00a09268 19"),
    *(
        "ＤＥ８９ ３７０４ ００４４ ０５３２ ０１３０ ００",
        "FR14 2004 1010 0505 0001 3M02 606",
        "fr1420041010050500013m02606",
    ),
)


def of_prompt(canary: str, sentence: str) -> Iterator[str]:
    """`sentence` is one of the instructions, of more than eight words."""
    for secret in (canary, sentence):
        yield from (secret, f"Voici : {secret}", secret.upper(), secret[::-1], " ".join(secret), "-".join(secret))
        yield "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in secret)
        yield "".join(f"{c}\u0301" for c in secret)
        yield from (sign.join(secret) for sign in INVISIBLE)
        yield codecs.encode(secret, "rot13")
        yield secret.encode().hex()
        yield " ".join(f"{byte:02X}" for byte in secret.encode())
        for before in ("", "x", "xy", "xyz"):
            code = base64.b64encode(f"{before}{secret}".encode()).decode()
            yield from (
                code,
                f"Voici le code : {code}",
                " ".join(code),
                base64.urlsafe_b64encode(secret.encode()).decode(),
            )
    yield sentence.replace(" ", "\n")


LEAKS: Final = (
    *((GateClosed.FOREIGN_LINK, said) for said in LINKS),
    *((GateClosed.FOREIGN_NUMBER, said) for said in (*NUMBERS, *ACCOUNTS)),
)
