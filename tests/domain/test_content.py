"""What people see of a message, and what follows from its kind."""

import json
from itertools import permutations
from typing import get_args

import msgspec
import pytest

from inbox.domain.content import (
    FINAL_RANK,
    MAX_TEXT,
    Call,
    CallStage,
    Card,
    Cards,
    Choice,
    Content,
    FormReply,
    Location,
    Media,
    MediaKind,
    Notice,
    Order,
    Other,
    Phone,
    Product,
    Text,
    Unsupported,
    checked_text,
    is_readable,
    message_type,
    opens_window,
    preview,
    rank,
)
from inbox.domain.sending_errors import InvalidPayload

PIN = Location(latitude=-33.8688, longitude=151.2093)
PLACEHOLDER = Other(kind="media_placeholder", text="[media_placeholder]")
SAID: list[tuple[Content, str, str]] = [
    (Text(body="Bonjour"), "text", "Bonjour"),
    (Choice(kind="button", title="Oui"), "button", "Oui"),
    (Choice(kind="interactive", title="10 h", description="Demain"), "interactive", "10 h"),
    *((Media(kind=kind, media_id="7"), str(kind), f"[{kind}]") for kind in MediaKind),
    (Media(kind=MediaKind.IMAGE, media_id="7", caption="Ici"), "image", "Ici"),
    (PIN, "location", "[location] -33.8688, 151.2093"),
    (Location(latitude=1.5, longitude=2.5, address="1 rue du Puits"), "location", "[location] 1 rue du Puits"),
    (Location(latitude=1.5, longitude=2.5, name="Café", address="1 rue"), "location", "[location] Café"),
    (Cards(cards=(Card(name="Léa"), Card(name=None))), "contacts", "[contacts] Léa, sans nom"),
    (FormReply(name="flow", text="[interactive] seats : 2"), "interactive", "[interactive] seats : 2"),
    (Notice(kind="user_changed_number", text="nouveau numéro"), "system", "[system] nouveau numéro"),
    (Call(by_customer=True, stage=CallStage.RINGING), "call", "[call] appel"),
    (Call(by_customer=True, stage=CallStage.ENDED, seconds=120), "call", "[call] appel terminé (120 s)"),
    (Call(by_customer=True, stage=CallStage.FAILED), "call", "[call] appel manqué"),
    (Unsupported(code=131060), "unsupported", "[message non pris en charge]"),
    (Other(kind="hologram", text="[hologram]"), "hologram", "[hologram]"),
    (Order(catalog_id=None, note=None, products=()), "order", "[order] "),
]


@pytest.mark.parametrize(("content", "kind", "line"), SAID)
def test_each_kind_has_its_word_and_its_line(content: Content, kind: str, line: str) -> None:
    assert (message_type(content), preview(content)) == (kind, line)


def test_every_kind_of_content_is_spoken_of() -> None:
    assert {type(content) for content, _, _ in SAID} == set(get_args(Content))


@pytest.mark.parametrize(
    ("products", "note", "line"),
    [
        ([Product(id="p1", quantity=2, price=30, currency="USD")], "Vite", "2 x p1 (60 USD) : Vite"),
        ([Product(id="p1", quantity=1.5, price=0.33, currency="EUR")], None, "1.5 x p1 (0.49 EUR)"),
        ([Product(id="p1", quantity=1_500_000, price=1, currency="COP")], None, "1500000 x p1 (1500000 COP)"),
        ([Product(id="p1", price=1, currency="EUR"), Product(id="p2")], None, "1 x p1, 1 x p2"),
        (
            [Product(id="p1", price=1, currency="EUR"), Product(id="p2", price=1, currency="USD")],
            None,
            "1 x p1, 1 x p2",
        ),
        ([Product(id="p1", price=1)], None, "1 x p1"),
        ([Product(id="p1", price=0, currency="EUR")], None, "1 x p1 (0 EUR)"),
    ],
)
def test_an_order_says_what_it_costs_if_that_is_known(products: list[Product], note: str | None, line: str) -> None:
    assert preview(Order(catalog_id="c", note=note, products=tuple(products))) == f"[order] {line}"


@pytest.mark.parametrize(
    ("content", "opens"),
    [
        (Text(body="Bonjour"), True),
        (Unsupported(), True),
        (Call(by_customer=True, stage=CallStage.FAILED), True),
        (Call(by_customer=False, stage=CallStage.ENDED), False),
        (Notice(kind="user_changed_number", text="x"), False),
    ],
)
def test_customers_open_the_window_and_notices_do_not(content: Content, *, opens: bool) -> None:
    assert opens_window(content) is opens


@pytest.mark.parametrize(
    ("content", "readable"),
    [
        (Text(body="Bonjour"), True),
        (Choice(kind="button", title="Oui"), True),
        (PIN, True),
        (Media(kind=MediaKind.IMAGE, media_id="7", caption="Ici"), True),
        (Media(kind=MediaKind.IMAGE, media_id="7"), False),
        (Media(kind=MediaKind.VOICE, media_id="7"), False),
        (Unsupported(), False),
        (Other(kind="hologram", text="[hologram]"), False),
    ],
)
def test_the_bot_reads_what_is_said_in_words(content: Content, *, readable: bool) -> None:
    assert is_readable(content) is readable


def test_what_is_real_counts_more_than_what_stands_in_for_it() -> None:
    ranks = [rank(content) for content in (Unsupported(), PLACEHOLDER, Text(body=""))]
    assert ranks == sorted(set(ranks))
    assert ranks[-1] == FINAL_RANK


@pytest.mark.parametrize("stages", list(permutations(CallStage)))
def test_a_call_ends_at_the_same_stage_in_whichever_order_its_stages_come(stages: tuple[CallStage, ...]) -> None:
    kept = Call(by_customer=True, stage=stages[0])
    for stage in stages[1:]:
        later = Call(by_customer=True, stage=stage)
        kept = later if rank(later) > rank(kept) else kept
    assert kept.stage is CallStage.REJECTED


def test_no_two_stages_of_a_call_count_the_same() -> None:
    ranks = {rank(Call(by_customer=True, stage=stage)) for stage in CallStage}
    assert len(ranks) == len(CallStage)
    assert max(ranks) < FINAL_RANK


@pytest.mark.parametrize("content", [content for content, _, _ in SAID])
def test_a_content_comes_back_from_storage_as_it_was(content: Content) -> None:
    stored = msgspec.json.encode(content)
    assert msgspec.json.encode(msgspec.json.decode(stored, type=Content)) == stored


def test_a_card_is_stored_whole() -> None:
    card = Card(name="Léa", phones=(Phone(phone="+33 6", wa_id="336"),), details=msgspec.Raw(b'{"x":[1]}'))
    assert json.loads(msgspec.json.encode(Cards(cards=(card,))))["cards"][0]["details"] == {"x": [1]}


@pytest.mark.parametrize("body", ["", "  \n", "x" * (MAX_TEXT + 1), "a\x00b"])
def test_a_text_that_whatsapp_refuses_is_refused_here(body: str) -> None:
    with pytest.raises(InvalidPayload):
        checked_text(body)


def test_the_longest_text_is_sent_as_it_is() -> None:
    assert checked_text("x" * MAX_TEXT) == Text(body="x" * MAX_TEXT)
