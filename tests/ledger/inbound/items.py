"""Numbered items: what the emulated Meta offers, and the row that each of them must leave.

Item `n` is a function of the start number and of `n` alone. So nobody has to remember a million of them: both the body
on its way in and the row that is expected in the end are made again from the number. Items come in blocks of ten: six
messages of customers, then four statuses, which belong to the two messages of ours of that block. In some blocks two of
the six are reactions to the first message of ours.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from crash.stage import NUMBER, NUMBER_ID
from inbox.emulators.graph_api.objects import Number
from inbox.emulators.graph_api.payloads import Item

BLOCK: Final = 10
MESSAGES: Final = 6
"""Of each block; the rest are statuses."""
OWN: Final = 2
"""Messages of ours that the statuses of a block speak about."""
REGULARS: Final = 40
"""Customers whose conversations are there before anybody writes: messages of ours go to them."""
HOURS: Final = 3
"""The items of a run say that they were written within so many hours."""
_SHUFFLED_WITHIN: Final = 600
_FIRST_CUSTOMER: Final = 33700000000
RANK: Final = {"sent": 1, "failed": 2, "delivered": 3, "read": 4}
"""The words of statuses as they may rise. Written here once more: the code under test is not asked."""
_UNDELIVERABLE: Final = 131026
_REACTIONS: Final = frozenset({4, 5})
_REACTED: Final = 4
"""In each so many-th block, about, the items of these places are reactions."""
_EMOJIS: Final = ("\N{THUMBS UP SIGN}", "\N{HEAVY BLACK HEART}", None)
_PLACEHOLDERS: Final = 25
"""Each so many-th message, about, has one."""
_UNREADABLE: Final = {
    "type": "unsupported",
    "errors": [{"code": 131051, "title": "Message type unknown", "message": "Message type unknown"}],
}


def _number(phone_number_id: str, digits: str, waba_id: str) -> Number:
    return Number(id=phone_number_id, waba_id=waba_id, digits=digits, verified_name="Atelier", onboarded_at=0.0)


NUMBERS: Final = (
    _number(NUMBER_ID, NUMBER, "700555000111001"),
    _number("900555000111333", "33465710002", "700555000111002"),
)
"""Of two accounts. The same customers write to both."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run offers. `base` is the unix time of the first item, `late` makes each so many-th message of ours late:
    it is known to the database only after its statuses have come."""

    seed: int
    items: int
    base: int
    customers: int = 300
    late: int = 40

    def own(self, block: int) -> range:
        """The messages of ours that the statuses of `block` speak about."""
        return range(block * OWN, block * OWN + OWN)

    def is_late(self, own: int) -> bool:
        return own % self.late == self.late - 1


class Said(msgspec.Struct, frozen=True):
    """A message of a customer, as its row has to be. `text` is None where only the kind is compared."""

    wamid: str
    number: str
    customer: str
    at: int
    kind: str
    text: str | None


class Heard(msgspec.Struct, frozen=True):
    """A status of a message of ours, as its row has to be."""

    wamid: str
    number: str
    customer: str
    at: int
    word: str


class Reacted(msgspec.Struct, frozen=True):
    """A reaction of a customer to a message of ours; `emoji` None takes an earlier one back. The last one counts."""

    wamid: str
    number: str
    customer: str
    at: int
    target: str
    emoji: str | None


class Kind(msgspec.Struct, frozen=True):
    """A kind of message: how often, what Meta sends in its section, and the text that is shown, if it is compared."""

    weight: int
    section: Callable[[str], Mapping[str, Any]]
    text: Callable[[str], str | None]


def _no_text(_: str) -> None:
    return None


def _file(mark: str, mime_type: str) -> dict[str, Any]:
    return {"id": f"media-{mark}", "mime_type": mime_type, "sha256": f"{mark}="}


KINDS: Final[Mapping[str, Kind]] = {
    "text": Kind(40, lambda mark: {"body": f"Bonjour, voici {mark}"}, lambda mark: f"Bonjour, voici {mark}"),
    "image": Kind(4, lambda mark: _file(mark, "image/jpeg") | {"caption": f"Photo {mark}"}, lambda m: f"Photo {m}"),
    "document": Kind(2, lambda mark: _file(mark, "application/pdf") | {"filename": f"{mark}.pdf"}, _no_text),
    "audio": Kind(2, lambda mark: _file(mark, "audio/ogg; codecs=opus") | {"voice": False}, _no_text),
    "location": Kind(1, lambda mark: {"latitude": 48.8, "longitude": 2.3, "name": mark}, _no_text),
    "interactive": Kind(
        1,
        lambda mark: {"type": "button_reply", "button_reply": {"id": f"b-{mark}", "title": f"Oui {mark}"}},
        lambda mark: f"Oui {mark}",
    ),
}
"""A new kind of message is a line here. What leaves no bubble is a row class of its own here and in `books.py`."""
_WEIGHTED: Final = [name for name, kind in KINDS.items() for _ in range(kind.weight)]

_WORDS: Final[Mapping[int, Sequence[tuple[str, ...]]]] = {
    1: [("sent",), ("failed",), ("delivered",)],
    2: [("sent", "delivered"), ("sent", "failed"), ("delivered", "failed")],
    3: [("sent", "delivered", "read"), ("sent", "delivered", "failed"), ("sent", "failed", "read")],
}


def _drawn(plan: Plan, what: str, n: int) -> list[int]:
    """Eight numbers between 0 and 65535 that belong to the `n`-th `what` of this start number."""
    digest = blake2b(f"{plan.seed}:{what}:{n}".encode(), digest_size=16).digest()
    return [digest[i] << 8 | digest[i + 1] for i in range(0, 16, 2)]


def _at(plan: Plan, n: int, drawn: int) -> int:
    return plan.base + n * HOURS * 3600 // plan.items + drawn % _SHUFFLED_WITHIN


def customer(n: int) -> str:
    return str(_FIRST_CUSTOMER + n)


def own_wamid(own: int) -> str:
    return f"wamid.own.{own:09d}"


def own_message(plan: Plan, own: int) -> tuple[Number, str]:
    """From which number of ours and to whom it went."""
    drawn = _drawn(plan, "own", own)
    return NUMBERS[drawn[0] % len(NUMBERS)], customer(drawn[1] % min(REGULARS, plan.customers))


def own_words(plan: Plan, own: int) -> tuple[str, ...]:
    """What becomes of the message, as far as this run tells: all of it together makes four statuses in a block."""
    block, place = divmod(own, OWN)
    first = _drawn(plan, "words", block)[0] % 3 + 1
    choices = _WORDS[first if place == 0 else BLOCK - MESSAGES - first]
    return choices[_drawn(plan, "own", own)[2] % len(choices)]


def expected(plan: Plan, n: int) -> Said | Heard | Reacted:
    """The row that item `n` must leave. A reaction leaves one unless a later one takes its place."""
    block, place = divmod(n, BLOCK)
    if place >= MESSAGES:
        return _heard(plan, n, block, place - MESSAGES)
    return _reacted(plan, n, block) if _is_reaction(plan, n) else _said(plan, n)


def _is_reaction(plan: Plan, n: int) -> bool:
    block, place = divmod(n, BLOCK)
    return place in _REACTIONS and _drawn(plan, "words", block)[1] % _REACTED == 0


def _reacted(plan: Plan, n: int, block: int) -> Reacted:
    drawn = _drawn(plan, "item", n)
    own = plan.own(block)[0]
    number, to = own_message(plan, own)
    return Reacted(
        wamid=f"wamid.re.{n:09d}",
        number=number.id,
        customer=to,
        at=_at(plan, n, drawn[3]),
        target=own_wamid(own),
        emoji=_EMOJIS[drawn[2] % len(_EMOJIS)],
    )


def _said(plan: Plan, n: int) -> Said:
    drawn = _drawn(plan, "item", n)
    kind = _WEIGHTED[drawn[2] % len(_WEIGHTED)]
    return Said(
        wamid=f"wamid.in.{n:09d}",
        number=NUMBERS[drawn[0] % len(NUMBERS)].id,
        customer=customer(drawn[1] % plan.customers),
        at=_at(plan, n, drawn[3]),
        kind=kind,
        text=KINDS[kind].text(f"n{n}"),
    )


def _heard(plan: Plan, n: int, block: int, place: int) -> Heard:
    first, second = plan.own(block)
    told = [(first, word) for word in own_words(plan, first)] + [(second, word) for word in own_words(plan, second)]
    own, word = told[place]
    number, to = own_message(plan, own)
    at = _at(plan, n, _drawn(plan, "item", n)[3])
    return Heard(wamid=own_wamid(own), number=number.id, customer=to, at=at, word=word)


def has_placeholder(plan: Plan, n: int) -> bool:
    """True for some messages: Meta also delivers them as `unsupported`, before or after it can read them."""
    is_message = n % BLOCK < MESSAGES and not _is_reaction(plan, n)
    return is_message and _drawn(plan, "item", n)[4] % _PLACEHOLDERS == 0


def offered(plan: Plan, n: int) -> Item:
    """Item `n` as Meta puts it into a webhook; `~n` is its placeholder."""
    row = expected(plan, max(n, ~n))
    number = next(number for number in NUMBERS if number.id == row.number)
    body = {"timestamp": str(row.at), **_body(row, n)}
    if isinstance(row, Heard):
        return Item(waba_id=number.waba_id, number=number, slot="statuses", body=body)
    contact = {"profile": {"name": f"Client {row.customer}"}, "wa_id": row.customer}
    return Item(waba_id=number.waba_id, number=number, slot="messages", body=body, contact=contact)


def _body(row: Said | Heard | Reacted, n: int) -> dict[str, Any]:
    if isinstance(row, Heard):
        failed = {"errors": [{"code": _UNDELIVERABLE, "title": "Message undeliverable"}]}
        status = {"id": row.wamid, "status": row.word, "recipient_id": row.customer}
        return status | failed if row.word == "failed" else status
    message = {"from": row.customer, "id": row.wamid}
    if isinstance(row, Reacted):
        reaction = {"message_id": row.target} | ({"emoji": row.emoji} if row.emoji else {})
        return message | {"type": "reaction", "reaction": reaction}
    return message | (_UNREADABLE if n < 0 else {"type": row.kind, row.kind: KINDS[row.kind].section(f"n{n}")})


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
