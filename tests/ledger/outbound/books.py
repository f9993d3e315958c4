"""What WhatsApp took, held against what was asked and what the database says: doubled, lost, falsely failed, disorder.

The other side's own account decides, whether or not its answers arrived. The database must be drained.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from .plan import Plan, Said, said_in

_TAKEN: Final = frozenset({"accepted", "sent", "delivered", "read"})
_GIVEN_UP: Final = frozenset({"failed", "expired", "cancelled"})
_SHOWN_AS_SENT: Final = frozenset({"sent", "delivered", "read"})
_EXAMPLES: Final = 5


class Fault(StrEnum):
    """What can be wrong; the words of the last line."""

    DUPLICATES = "duplicates"
    LOST = "lost"
    FALSE_FAILED = "false_failed"
    ORDER = "order_violations"


class Sent(msgspec.Struct, frozen=True):
    """A message that WhatsApp took, in the order in which it did. `message_id` is read from its op id."""

    wamid: str
    message_id: str
    number: str
    customer: str
    text: str


class Row(msgspec.Struct, frozen=True):
    """A message of ours as the database has it. `state` is None without a row in the outbox."""

    id: str
    number: str
    customer: str
    text: str
    status: str
    state: str | None
    reason: str | None
    wamid: str | None


class Found(msgspec.Struct, kw_only=True):
    """How many faults of each kind, and the first of each in words.

    `unknown` are sends whose outcome the service did not know for a time. `ambiguous` are those of them that WhatsApp
    had taken, `closed` those of these that a status brought to their end. `unconfirmed` wait for a person.
    """

    counts: Counter[Fault] = msgspec.field(default_factory=Counter)
    examples: list[str] = []
    unknown: int = 0
    ambiguous: int = 0
    closed: int = 0
    unconfirmed: int = 0
    ends: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, fault: Fault, what: str, times: int = 1) -> None:
        if self.counts[fault] < _EXAMPLES:
            self.examples.append(f"{fault}: {what}")
        self.counts[fault] += times

    def __str__(self) -> str:
        return "; ".join(self.examples) or "sound"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """`answers` are the ids that the API gave for each message; `unknown` the ids whose outcome was ever unknown.

    `parked` are the op ids of statuses that found no message.
    """

    sends: Sequence[Sent]
    rows: Sequence[Row]
    answers: Mapping[Said, set[str]]
    unknown: frozenset[str]
    parked: Sequence[str] = ()


def compared(plan: Plan, evidence: Evidence) -> Found:
    """Everything that is wrong."""
    found = Found(ends=Counter(row.state or "without outbox" for row in evidence.rows))
    received = _received(plan, evidence.sends)
    _twice(found, evidence.sends)
    _asked(found, evidence)
    for row in evidence.rows:
        _ended(found, row, received.get(row.id))
    _strangers(found, evidence)
    for op_id in evidence.parked:
        found.add(Fault.LOST, f"a status of {op_id} found no message")
    _order(found, evidence.sends)
    taken = {sent.message_id for sent in evidence.sends}
    ambiguous = [row for row in evidence.rows if row.id in evidence.unknown and row.id in taken]
    found.unknown = len(evidence.unknown)
    found.ambiguous = len(ambiguous)
    found.closed = sum(row.state in _TAKEN or row.state == "failed" for row in ambiguous)
    found.unconfirmed = found.ends["unconfirmed"]
    return found


def _received(plan: Plan, sends: Iterable[Sent]) -> dict[str, Sent]:
    """What reached a phone, by our id. Whoever has no WhatsApp receives nothing, although it was taken."""
    nobody = {plan.customer(n) for n in range(plan.conversations) if plan.is_unreachable(n)}
    return {sent.message_id: sent for sent in sends if sent.customer not in nobody}


def _twice(found: Found, sends: Iterable[Sent]) -> None:
    """One text twice is twice to a customer, whatever ids it had."""
    for (customer, text), times in Counter((sent.customer, sent.text) for sent in sends).items():
        if times > 1:
            found.add(Fault.DUPLICATES, f"{customer} got {text!r} {times} times", times - 1)


def _asked(found: Found, evidence: Evidence) -> None:
    """What the API said it has is one row, and every request with its key was told so."""
    rows: dict[Said | None, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        rows[said_in(row.text)].append(row)
    for said, ids in evidence.answers.items():
        there = rows.get(said, [])
        if not there:
            found.add(Fault.LOST, f"{said} was answered with {sorted(ids)} and has no row")
        elif len(there) > 1 or len(ids) > 1:
            found.add(Fault.DUPLICATES, f"{said} has {len(there)} rows and was answered with {sorted(ids)}")
        elif there[0].id not in ids:
            found.add(Fault.LOST, f"{said} was answered with {sorted(ids)} and is {there[0].id}")


def _ended(found: Found, row: Row, sent: Sent | None) -> None:
    """Where the message stands, against what the customer has."""
    if row.state in _TAKEN and row.status in _SHOWN_AS_SENT:
        if sent is None:
            found.add(Fault.LOST, f"{row} is shown as sent, and nobody received it")
        elif row.wamid != sent.wamid:
            found.add(Fault.LOST, f"{row} was received as {sent.wamid}")
    elif row.state in _GIVEN_UP and row.status == "failed":
        if sent is not None:
            found.add(Fault.FALSE_FAILED, f"{row} was received as {sent.wamid}")
        elif row.reason is None:
            found.add(Fault.LOST, f"{row} failed without a reason")
    elif row.state != "unconfirmed" or row.status != "pending":
        found.add(Fault.LOST, f"{row} never ended")


def _strangers(found: Found, evidence: Evidence) -> None:
    """What was received is a message of ours, for that customer, in these words."""
    rows = {row.id: row for row in evidence.rows}
    for sent in evidence.sends:
        row = rows.get(sent.message_id)
        if row is None:
            found.add(Fault.LOST, f"{sent} has no row")
        elif (row.number, row.customer, row.text) != (sent.number, sent.customer, sent.text):
            found.add(Fault.LOST, f"{row} was sent as {sent}")


def _order(found: Found, sends: Iterable[Sent]) -> None:
    for customer, places in _places(sends):
        for first, second in pairwise(dict.fromkeys(places)):
            if second < first:
                found.add(Fault.ORDER, f"{customer} got {second} after {first}")


def _places(sends: Iterable[Sent]) -> Iterator[tuple[str, list[int]]]:
    """For each customer the places of the messages in the order in which they came."""
    by_customer: dict[str, list[int]] = defaultdict(list)
    for sent in sends:
        if said := said_in(sent.text):
            by_customer[sent.customer].append(said.place)
    yield from by_customer.items()
