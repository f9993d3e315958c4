"""Ledger and database, compared as multisets: what is lost, doubled, at the wrong place, or has gone backwards."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from .items import BLOCK, NUMBERS, OWN, RANK, Heard, Plan, Reacted, Said, expected, moment, own_wamid, own_words

WINDOW: Final = timedelta(hours=24)
_SHOWN: Final = 5


class Fault(StrEnum):
    """What can be wrong; the words of the last line."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    MISATTRIBUTED = "misattributed"
    REGRESSION = "regressions"
    UNREAD = "unread_errors"


class Found(msgspec.Struct):
    """How many faults of each kind, and the first of each in words."""

    counts: Counter[Fault] = msgspec.field(default_factory=Counter)
    examples: list[str] = []

    def add(self, fault: Fault, what: str, times: int = 1) -> None:
        if self.counts[fault] < _SHOWN:
            self.examples.append(f"{fault}: {what}")
        self.counts[fault] += times

    def __str__(self) -> str:
        return "; ".join(self.examples) or "sound"


class SaidRow(msgspec.Struct, frozen=True):
    """A stored message of a customer. `number` is that of its account, `talk` that of its conversation's account."""

    wamid: str
    number: str | None
    talk: str | None
    customer: str | None
    contact: str | None
    at: datetime
    kind: str
    text: str | None


class HeardRow(msgspec.Struct, frozen=True):
    """A stored status. `own` is the wamid of the message that it belongs to, None if it is parked."""

    wamid: str
    number: str
    customer: str | None
    at: datetime
    word: str
    own: str | None


class ReactedRow(msgspec.Struct, frozen=True):
    """A stored reaction. `customer` is the number of the contact that it is of."""

    target: str
    number: str
    customer: str | None
    wamid: str
    emoji: str | None
    at: datetime


class Talk(msgspec.Struct, frozen=True):
    """A conversation. `contact` is the number of the contact that it belongs to."""

    number: str
    customer: str
    contact: str | None
    unread: int
    updated_at: datetime
    last_inbound_at: datetime | None
    window_expires_at: datetime | None


class Written(msgspec.Struct):
    """What a conversation must show: how many messages, and when the last one was written."""

    count: int = 0
    newest: int = 0


class Books:
    """Takes rows slice by slice, so that the whole never has to be in memory."""

    def __init__(self, plan: Plan) -> None:
        self.found = Found()
        self._plan = plan
        self._written: dict[tuple[str, str], Written] = {}
        self._seen = 0

    def compare_slice(
        self, numbers: range, said: Iterable[SaidRow], heard: Iterable[HeardRow], reacted: Iterable[ReactedRow]
    ) -> None:
        """The items of `numbers`, and all rows there are under their wamids."""
        messages: dict[str, Said] = {}
        statuses: dict[tuple[str, str], Heard] = {}
        reactions: dict[str, Reacted] = {}
        for n in numbers:
            row = expected(self._plan, n)
            if isinstance(row, Said):
                messages[row.wamid] = row
                self._count(row)
            elif isinstance(row, Heard):
                statuses[row.wamid, row.word] = row
            else:
                known = reactions.get(row.target, row)
                reactions[row.target] = max(row, known, key=lambda one: (one.at, one.wamid))
        self._messages(messages, list(said))
        self._statuses(statuses, list(heard))
        self._reactions(reactions, list(reacted))

    def compare_shown(self, owns: range, shown: Mapping[str, str | None]) -> None:
        """The status that each message of ours shows: the highest of what was said of it."""
        for own in owns:
            wamid = own_wamid(own)
            highest = max(("sent", *own_words(self._plan, own)), key=RANK.__getitem__)
            if shown.get(wamid) != highest:
                self.found.add(Fault.REGRESSION, f"{wamid} shows {shown.get(wamid)}, WhatsApp said {highest}")

    def compare_talks(self, talks: Iterable[Talk], quiet: datetime) -> None:
        """All conversations there are. `quiet` is the time of those that were there before anybody wrote."""
        left = dict(self._written)
        for talk in talks:
            known = left.pop((talk.number, talk.customer), None)
            self._talk(talk, known, quiet)
        for number, customer in left:
            self.found.add(Fault.LOST, f"{customer} has no conversation with {number}")

    def strangers(self, stored: int) -> None:
        """`stored` is how many rows all these tables hold: there may be none that nobody offered."""
        if stored > self._seen:
            self.found.add(Fault.DUPLICATED, f"{stored - self._seen} rows that nobody offered", stored - self._seen)

    def _count(self, row: Said) -> None:
        written = self._written.setdefault((row.number, row.customer), Written())
        written.count += 1
        written.newest = max(written.newest, row.at)

    def _messages(self, wanted: Mapping[str, Said], rows: list[SaidRow]) -> None:
        self._multiset(wanted, [row.wamid for row in rows])
        for row in rows:
            item = wanted.get(row.wamid)
            if item is None:
                continue
            is_there = (row.number, row.talk, row.customer, row.contact, row.at, row.kind)
            if is_there != (item.number, item.number, item.customer, item.customer, moment(item.at), item.kind):
                self.found.add(Fault.MISATTRIBUTED, f"{item} is stored as {row}")
            elif item.text is not None and row.text != item.text:
                self.found.add(Fault.MISATTRIBUTED, f"{item.wamid} says {row.text!r}")

    def _statuses(self, wanted: Mapping[tuple[str, str], Heard], rows: list[HeardRow]) -> None:
        self._multiset(wanted, [(row.wamid, row.word) for row in rows])
        for row in rows:
            item = wanted.get((row.wamid, row.word))
            if item is None:
                continue
            if row.own is None:
                self.found.add(Fault.LOST, f"{item} is parked for ever")
            elif (row.own, row.number, row.customer, row.at) != (
                item.wamid,
                item.number,
                item.customer,
                moment(item.at),
            ):
                self.found.add(Fault.MISATTRIBUTED, f"{item} is stored as {row}")

    def _reactions(self, wanted: Mapping[str, Reacted], rows: list[ReactedRow]) -> None:
        self._multiset(wanted, [row.target for row in rows])
        for row in rows:
            item = wanted.get(row.target)
            if item is None:
                continue
            if (row.number, row.customer) != (item.number, item.customer):
                self.found.add(Fault.MISATTRIBUTED, f"{item} is stored as {row}")
            elif (row.wamid, row.emoji, row.at) != (item.wamid, item.emoji, moment(item.at)):
                self.found.add(Fault.REGRESSION, f"{item} came last, {row} is shown")

    def _multiset(self, wanted: Iterable[object], stored: Iterable[object]) -> None:
        counts = Counter(stored)
        self._seen += counts.total()
        keys = set(wanted)
        for key in keys - counts.keys():
            self.found.add(Fault.LOST, f"{key} is not stored")
        for key, times in counts.items():
            if times > 1 or key not in keys:
                self.found.add(Fault.DUPLICATED, f"{key} is stored {times} times", times - (key in keys))

    def _talk(self, talk: Talk, known: Written | None, quiet: datetime) -> None:
        what = f"{talk.customer} with {talk.number}"
        if talk.number not in {number.id for number in NUMBERS} or talk.contact != talk.customer:
            self.found.add(Fault.MISATTRIBUTED, f"{what} belongs to {talk.contact}")
        if known is None:
            if (talk.unread, talk.updated_at, talk.last_inbound_at, talk.window_expires_at) != (0, quiet, None, None):
                self.found.add(Fault.UNREAD, f"nobody wrote, and it shows {talk}")
            return
        newest = moment(known.newest)
        if talk.unread != known.count:
            self.found.add(Fault.UNREAD, f"{what}: {known.count} were written, {talk.unread} are unread")
        if talk.updated_at != newest:
            self.found.add(Fault.UNREAD, f"{what}: last message at {newest}, it shows {talk.updated_at}")
        if (talk.last_inbound_at, talk.window_expires_at) != (newest, newest + WINDOW):
            self.found.add(Fault.UNREAD, f"{what}: the window is open until {talk.window_expires_at}, not {newest}+24h")


def owns_of(plan: Plan) -> range:
    """The messages of ours that some status of the plan speaks about."""
    return range(plan.items // BLOCK * OWN)
