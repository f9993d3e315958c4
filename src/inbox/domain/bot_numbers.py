"""Numbers of an answer that a customer could call or pay to: the assistant has none of its own."""

import re
from collections.abc import Iterator
from typing import Final

_LEAST: Final = 9
"""Digits, from which a figure can be a number of a phone; with + in front of it, a shorter one is plain enough."""
_LEAST_WITH_PLUS: Final = 8
_LONGEST: Final = 40
"""Digits: longer ones are not taken apart into numbers that stand side by side."""

_SIGNS: Final = r"(?:[^\w\n/:,;!?%&€$£+=<>'\"°]|_){0,4}"
"""What may stand between the digits of one number: no letter, no end of a line, and nothing that divides figures."""
_RUN: Final = re.compile(
    rf"(?<!\d)(?:\+{_SIGNS}(?=\d)|(?=0))(?:{_SIGNS}(?:[/:]|,(?=\d))?{_SIGNS}\d)+"  # which is a phone's in any case
    rf"|(?<!\d)\d(?:{_SIGNS}\d)+"
)
_COUNTRY: Final = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3}")
"""The code of a country in front of a number (E.164)."""

_HOUR: Final = r"(?:[01]?\d|2[0-4])[.:][0-5]\d"
_AND: Final = r"[ ]?[-\u2013/&]?[ ]?"
_THOUSANDS: Final = r"[1-9]\d{0,2}(?:[ .,'\u2019]\d{3})+(?:[.,]\d{1,2})?"
_PRICE: Final = rf"(?:{_THOUSANDS}|\d{{1,4}}[.,]\d\d)"
_CURRENCY: Final = r"(?:[€$£]|(?:EUR|USD|GBP|CHF|CAD|MAD|TND|DZD|XOF|XAF|F[ ]?CFA|euros?|dollars?|francs?|dirhams?)\b)"
_YEAR: Final = r"(?:19|20)\d\d"
_HARMLESS: Final = re.compile(
    rf"""
      (?<!\d)(?<!\d[ .,'\u2019]){_PRICE}(?:[ ]?[-\u2013/][ ]?{_PRICE})*[ ]?{_CURRENCY}
    | {_CURRENCY}[ ]?{_THOUSANDS}(?![ .,'\u2019]?\d)
    | (?<![\d.:/-])(?<!\d[ ]){_HOUR}(?:{_AND}{_HOUR})+(?![ ]?[.:/-]?\d)
    | (?<!\d)(?<!\d[./-]){_YEAR}-[01]\d-[0-3]\d(?!-?\d)
    | (?<!\d)(?<!\d[./-])(?:[0-3]?\d(?:[./][01]?\d(?:[./]{_YEAR})?)?\.?[ ]?[-\u2013][ ]?)?  # the first day of several
      [0-3]?\d(?P<sign>[./-])[0-3]?\d(?P=sign)(?:{_YEAR}|\d\d(?!{_SIGNS}\d))(?![./-]?\d)
    | (?<!\d)\d{{1,4}}(?:[ ]?[*x][ ]?\d{{1,4}}){{1,2}}[ ]?[cm]?m\b
    """,
    re.VERBOSE,
)
"""Prices, hours, dates and sizes."""

_IBAN: Final = re.compile(
    rf"(?<![A-Z0-9])(?=([A-Z]{_SIGNS}[A-Z](?:{_SIGNS}\d){{2}}(?:{_SIGNS}[A-Z0-9]){{11,30}}))",
    re.IGNORECASE,
)
_IBANS: Final = """
AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 CR22 CV25
CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 GL18 GQ27 GR27 GT28
HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MA28 MC27 MD24
ME22 MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33
SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 SV28 TD27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS: Final = {one[:2]: int(one[2:]) for one in _IBANS.split()}
"""Characters of an account by its country (registry of ISO 13616, and West and Central Africa's)."""


def names_foreign_number(text: str, told: str, written: str) -> bool:
    """All as they are visible: `told` by the business, `written` in the conversation.

    A number comes from either of them. An account that is paid to comes from the business only.
    """
    digits = re.sub(r"\D", "", f"{told} {written}")
    for found in _RUN.findall(_HARMLESS.sub("\n", text)):
        number = re.sub(r"\D", "", found)
        least = _LEAST_WITH_PLUS if found.startswith("+") else _LEAST
        if len(number) >= least and not _is_known(number, digits):
            return True
    accounts = _letters_and_digits(told)
    return any(account not in accounts for account in _ibans(text))


def _is_known(number: str, digits: str) -> bool:
    """True if `number` is among `digits`, or two numbers side by side are."""
    if any(len(one) >= _LEAST_WITH_PLUS and one in digits for one in _spellings(number)):
        return True
    if len(number) > _LONGEST:
        return False
    places = range(_LEAST_WITH_PLUS, len(number) - _LEAST_WITH_PLUS + 1)
    return any(_is_known(number[:place], digits) and _is_known(number[place:], digits) for place in places)


def _spellings(number: str) -> Iterator[str]:
    """As it is dialled from abroad and at home: a known number may be written in either way."""
    yield number
    abroad = number.removeprefix("00")
    if abroad.startswith("0"):
        yield abroad[1:]
    elif country := _COUNTRY.match(abroad):
        yield abroad[country.end() :].removeprefix("0")


def _ibans(text: str) -> Iterator[str]:
    """As long as its country says: words may stand behind it."""
    for found in _IBAN.findall(text):
        read = _letters_and_digits(found)
        account = read[: _IBAN_LENGTHS.get(read[:2], 0)]
        if len(account) == _IBAN_LENGTHS.get(read[:2]) and _is_iban(account):
            yield account


def _is_iban(account: str) -> bool:
    """By its check digits (ISO 7064). Most of an account are digits: words that pass by accident are not."""
    if sum(character.isdecimal() for character in account) * 2 <= len(account):
        return False
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def _letters_and_digits(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
