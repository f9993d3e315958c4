"""What must be true after a crash: the emulator's books against the database, as multisets.

The books are the other side's own account of what it offered and what it accepted, whether or not its answer arrived.
Nothing here asks the service. The database must be drained, otherwise a comparison means nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

OPEN: Final = frozenset({"queued", "claimed", "wire", "unknown"})
SENT: Final = frozenset({"accepted", "sent", "delivered", "read"})
RANK: Final = {"pending": 0, "sent": 1, "failed": 2, "delivered": 3, "read": 4}


class Kind(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"


class Complaint(msgspec.Struct, frozen=True):
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


class Offered(msgspec.Struct, frozen=True):
    """A message that a customer wrote."""

    wamid: str
    customer: str
    text: str


class Sent(msgspec.Struct, frozen=True):
    """A message that WhatsApp accepted. `message_id` and `attempt` are read from its op id."""

    wamid: str
    message_id: str
    attempt: int
    customer: str
    text: str


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The emulator's side. `statuses` are pairs (wamid, status) that were answered with 200, each once."""

    offered: Sequence[Offered]
    sends: Sequence[Sent]
    statuses: Sequence[tuple[str, str]]


class Inbound(msgspec.Struct, frozen=True):
    wamid: str
    customer: str


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ours and its row in the outbox, in the order of their serials. `trigger` is what a bot answered."""

    id: str
    customer: str
    author: str
    text: str
    status: str
    state: str
    attempt: int
    wamid: str | None
    key: str | None = None
    trigger: str | None = None


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Our side, inbound messages in the order of their arrival.

    `shown` are the statuses of messages in the order in which the event log tells them.
    """

    inbound: Sequence[Inbound]
    outbound: Sequence[Outbound]
    unread: dict[str, int]
    statuses: Sequence[tuple[str, str]]
    shown: Sequence[tuple[str, str]]
    set_aside: int
    bot_customers: frozenset[str]


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's browser sent under one key, however often, and the ids that it was answered."""

    key: str
    text: str
    answers: frozenset[str]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, and the rows that were between their fence and their outcome when the process was killed."""

    books: Books
    rows: Rows
    posts: Sequence[Posted]
    on_wire: frozenset[str]


def complaints(evidence: Evidence) -> list[Complaint]:
    """Everything that contradicts "nothing lost, nothing sent twice". Empty is good."""
    parts = (_inbound, _statuses, _sends, _ends, _posts, _answers, _order, _shown)
    return [complaint for part in parts for complaint in part(evidence)]


def unconfirmed(rows: Rows) -> int:
    return sum(row.state == "unconfirmed" for row in rows.outbound)


def _inbound(evidence: Evidence) -> Iterator[Complaint]:
    offered = Counter(item.wamid for item in evidence.books.offered)
    stored = Counter(item.wamid for item in evidence.rows.inbound)
    yield from _compared(offered, stored, "message of a customer")
    written = Counter(item.customer for item in evidence.books.offered)
    for customer, count in evidence.rows.unread.items():
        if count != written[customer]:
            kind = Kind.DOUBLED if count > written[customer] else Kind.LOST
            yield Complaint(kind, f"{customer} wrote {written[customer]} messages, {count} are counted as unread")
    if evidence.rows.set_aside:
        yield Complaint(Kind.LOST, f"{evidence.rows.set_aside} deliveries or items were set aside")


def _statuses(evidence: Evidence) -> Iterator[Complaint]:
    taken = Counter(set(evidence.books.statuses))
    yield from _compared(taken, Counter(evidence.rows.statuses), "status")


def _sends(evidence: Evidence) -> Iterator[Complaint]:
    rows = {row.id: row for row in evidence.rows.outbound}
    for message_id, count in Counter(sent.message_id for sent in evidence.books.sends).items():
        if count > 1:
            yield Complaint(Kind.DOUBLED, f"message {message_id} was accepted {count} times")
    for sent in evidence.books.sends:
        row = rows.get(sent.message_id)
        if row is None:
            yield Complaint(Kind.DOUBLED, f"{sent.wamid} was sent without a message of ours ({sent.message_id})")
        elif (row.wamid, row.customer, row.text) != (sent.wamid, sent.customer, sent.text):
            yield Complaint(Kind.WRONG, f"message {row.id} is not what was sent as {sent.wamid}")
        elif sent.attempt > row.attempt:
            yield Complaint(Kind.WRONG, f"message {row.id} was sent at attempt {sent.attempt}, which is not known")


def _ends(evidence: Evidence) -> Iterator[Complaint]:
    accepted = {sent.message_id: sent.wamid for sent in evidence.books.sends}
    best: dict[str, str] = {}
    for seen, status in evidence.books.statuses:
        best[seen] = max(best.get(seen, "sent"), status, key=lambda word: RANK[word])
    for row in evidence.rows.outbound:
        wamid = accepted.get(row.id)
        if row.state in OPEN:
            yield Complaint(Kind.LOST, f"message {row.id} never ended: {row.state}")
        elif row.state == "unconfirmed":
            yield from _unconfirmed(row, wamid, is_on_wire=row.id in evidence.on_wire)
        elif row.state not in SENT:
            yield Complaint(Kind.LOST, f"message {row.id} is {row.state}, at WhatsApp it is {wamid or 'unknown'}")
        elif wamid is None:
            yield Complaint(Kind.LOST, f"message {row.id} is {row.state}, and WhatsApp never got it")
        elif row.status != best.get(wamid, "sent"):
            yield Complaint(Kind.WRONG, f"message {row.id} shows {row.status}, WhatsApp said {best.get(wamid)}")


def _unconfirmed(row: Outbound, wamid: str | None, *, is_on_wire: bool) -> Iterator[Complaint]:
    if wamid is not None:
        yield Complaint(Kind.LOST, f"message {row.id} is unconfirmed although its echo came back ({wamid})")
    if not is_on_wire:
        yield Complaint(Kind.LOST, f"message {row.id} is unconfirmed and was not on the wire at the kill")


def _posts(evidence: Evidence) -> Iterator[Complaint]:
    by_people = [row for row in evidence.rows.outbound if row.author == "human"]
    rows: dict[str | None, list[Outbound]] = {}
    for row in by_people:
        rows.setdefault(row.key, []).append(row)
    for post in evidence.posts:
        found = rows.pop(post.key, [])
        if not found:
            yield Complaint(Kind.LOST, f"the agent's message {post.key} has no row")
        elif len(found) > 1:
            yield Complaint(Kind.DOUBLED, f"the agent's message {post.key} has {len(found)} rows")
        elif found[0].text != post.text or post.answers != {found[0].id}:
            yield Complaint(Kind.WRONG, f"the agent's message {post.key} is not the row it was answered with")
    for key, extra in rows.items():
        yield Complaint(Kind.DOUBLED, f"{len(extra)} rows by people under the key {key}, which nobody used")


def _answers(evidence: Evidence) -> Iterator[Complaint]:
    """The bot answers each message at most once, and leaves no customer without an answer to the last one."""
    triggers = Counter(row.trigger for row in evidence.rows.outbound if row.author == "bot")
    for trigger, count in triggers.items():
        if trigger is None or count > 1:
            yield Complaint(Kind.DOUBLED, f"{count} answers of the bot to {trigger}")
    for offered in evidence.books.offered:
        quoted = [s for s in evidence.books.sends if s.customer == offered.customer and offered.text in s.text]
        if len(quoted) > 1:
            yield Complaint(Kind.DOUBLED, f"{offered.customer} got {len(quoted)} answers to {offered.text!r}")
    # The last one to arrive: what WhatsApp delivers again may come after what was written later.
    last = {stored.customer: stored.wamid for stored in evidence.rows.inbound}
    for customer in sorted(evidence.rows.bot_customers & last.keys()):
        if not triggers[last[customer]]:
            yield Complaint(Kind.LOST, f"{customer} got no answer to the last message")


def _order(evidence: Evidence) -> Iterator[Complaint]:
    places = {row.id: place for place, row in enumerate(evidence.rows.outbound)}
    by_customer: dict[str, list[Sent]] = {}
    for sent in evidence.books.sends:
        by_customer.setdefault(sent.customer, []).append(sent)
    for customer, sends in by_customer.items():
        for first, second in pairwise(sends):
            if places.get(first.message_id, -1) > places.get(second.message_id, -1):
                yield Complaint(Kind.WRONG, f"{customer} got {second.message_id} after {first.message_id}")


def _shown(evidence: Evidence) -> Iterator[Complaint]:
    highest: dict[str, str] = {}
    for message_id, status in evidence.rows.shown:
        before = highest.setdefault(message_id, status)
        if RANK[status] < RANK[before]:
            yield Complaint(Kind.WRONG, f"message {message_id} went from {before} down to {status}")
        else:
            highest[message_id] = status


def _compared(
    there: Counter[str] | Counter[tuple[str, str]], here: Counter[str] | Counter[tuple[str, str]], what: str
) -> Iterator[Complaint]:
    for item in _elements(there, here):
        yield Complaint(Kind.LOST, f"{what} {item} is not stored")
    for item in _elements(here, there):
        yield Complaint(Kind.DOUBLED, f"{what} {item} is stored more often than it was offered")


def _elements(more: Counter, less: Counter) -> Iterable[object]:
    return (more - less).elements()
