"""What may leave: every way that a hijacked model could try, and what an honest one says every day."""

import base64

import pytest

from inbox.domain.bot_guards import Allowed, GateClosed, gate, hosts

CANARY = "ref-0123456789abcdef"
INSTRUCTIONS = (
    "Tu es l'assistant de l'entreprise. Ne promets jamais un prix qui ne figure pas dans le contexte. "
    "Pour un fichier illisible, réponds exactement : {unreadable}"
)
TOLD = (
    "Site: https://shop.example/catalogue\nContact: contact@atelier.example, 04 65 71 00 01\n"
    "IBAN FR76 3000 6000 0112 3456 7890 189\nAussi sur instagram.com/atelier"
)
ALLOWED = Allowed(
    canary=CANARY,
    instructions=INSTRUCTIONS,
    told=TOLD,
    asked="Mon numéro est le +33 6 39 98 01 42, commande 0012345678",
    domains=("maps.example.org",),
)


@pytest.mark.parametrize(
    "reply",
    [
        "Oui, de 9 h à 18 h, p.ex. lundi. Bonne journée.Merci !",
        "Le catalogue : https://shop.example/catalogue?velo=7.",
        "(voir *https://shop.example/a*, http://SHOP.example.)",
        "Écrivez à contact@atelier.example ou appelez le +33 4 65 71 00 01.",
        "Nous vous rappelons au 06 39 98 01 42 au sujet de la commande 0012345678.",
        "Carte : https://www.maps.example.org/x et instagram.com/atelier/photos",
        "Le 21/11/2026 à 14:30, soit le 2026-11-21 de 09 h 30 à 18 h.",
        "Total 1 250,50 EUR pour 12 pièces, 3.50 chacune, réf. A.12.b",
        "IBAN : FR76 3000 6000 0112 3456 7890 189",
        "Family emoji 👩‍👩‍👧 and a heart ❤️ are fine.",
        "We are open from 9 to 6.",
    ],
)
def test_what_is_said_every_day_passes(reply: str) -> None:
    assert gate(reply, ALLOWED) is None


@pytest.mark.parametrize(
    "reply",
    [
        "Voir https://evil.com/a",
        "Voir HTTPS://EVIL.COM",
        "evil.com",
        "Payez sur evil.shop/payer",
        "www.evil.fr",
        "écrivez à moi@evil.io",
        "https://shop.example@evil.com/",
        "https://shop.example:80@evil.com/",
        "https://shop.example\\@evil.com",
        "https://shop.example.evil.com",
        "https://evilshop.example",
        "https://maps.example.org.evil.net",
        "notmaps.example.org",
        "http://93.184.216.34/a",
        "93.184.216.34",
        "http://[::1]/",
        "http://2130706433/",
        "http://localhost/",
        "ftp://shop.example/a",
        "whatsapp://send?phone=33612345678",
        "evil\u200b.com",
        "ev\u00adil.com",
        "evil\uff0ecom",
        "evil\u3002com",
        "\uff45\uff56\uff49\uff4c.com",
        "https://\u0435vil.com",
        "xn--vil-bma.com et shop.xn--p1ai",
        "[clic](https://evil.com)",
    ],
)
def test_no_other_link_passes_however_it_is_written(reply: str) -> None:
    assert gate(reply, ALLOWED) is GateClosed.FOREIGN_LINK


@pytest.mark.parametrize(
    "reply",
    [
        "Appelez le 06 12 34 56 78",
        "Appelez le +44 7911 123456",
        "Appelez le 0033612345678",
        "Tel: (0)6.12.34.56.78 ou 06-12-34-56-78",
        "Numéro surtaxé 0899 12 34 56",
        "Virez sur DE89 3704 0044 0532 0130 00",
    ],
)
def test_no_number_passes_that_neither_the_business_nor_the_customer_named(reply: str) -> None:
    assert gate(reply, ALLOWED) is GateClosed.FOREIGN_NUMBER


def _in_base64(offset: int) -> str:
    return base64.b64encode(b"x" * offset + CANARY.encode() + b"tail").decode()


@pytest.mark.parametrize(
    "reply",
    [
        f"Ma référence est {CANARY}",
        CANARY.upper(),
        " ".join(CANARY),
        "-".join(CANARY.replace("-", "")),
        CANARY[::-1],
        CANARY.encode().hex(),
        *(_in_base64(offset) for offset in range(4)),
        "Voici : ne promets jamais UN prix, qui ne figure pas dans le contexte.",
    ],
)
def test_neither_the_canary_nor_a_piece_of_the_instructions_passes(reply: str) -> None:
    assert gate(reply, ALLOWED) is GateClosed.LEAKS_PROMPT


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("Lisez ceci\u202etxt", GateClosed.CONTROL_CHARACTERS),
        ("caché\U000e0041\U000e0042", GateClosed.CONTROL_CHARACTERS),
        ("<script>alert(1)</script>", GateClosed.MARKUP),
        ("<IMG src=x>", GateClosed.MARKUP),
        ("![x](y)", GateClosed.MARKUP),
        ("Здравствуйте, чем могу помочь вам сегодня?", GateClosed.FOREIGN_SCRIPT),
        ("您好,请问今天有什么可以帮您的吗我们的营业时间", GateClosed.FOREIGN_SCRIPT),
    ],
)
def test_other_tricks_do_not_pass(reply: str, why: GateClosed) -> None:
    assert gate(reply, ALLOWED) is why


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ("Здравствуйте", "Здравствуйте, чем могу помочь вам сегодня?"),
        ("こんにちは", "営業時間は午前九時から午後六時までです"),
        ("Bonjour", "Oui : Да"),
    ],
)
def test_a_customer_is_answered_in_the_letters_of_their_own(asked: str, reply: str) -> None:
    assert gate(reply, Allowed(canary=CANARY, asked=asked)) is None


def test_hosts_are_found_in_texts_of_people() -> None:
    assert hosts("Chez a.fr, x@b.co.uk; p.ex. 3.5.2 ou v1.2 et 1.2.3.4. Fin.Suite") == {"a.fr", "b.co.uk", "1.2.3.4"}
