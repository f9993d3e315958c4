"""Broken variants of our reader of the log, each wrong in a way that readers are: what the comparison has to notice."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from inbox.ports.feed import LogEnd, Logged
from ledger.mutating import Around, Mutant

from .books import Fault

_TOO_MANY: Final = 3


class BelievesTheLastNumber(Around):
    """What is there is all there is: nobody waits for those who write."""

    async def end(self) -> LogEnd:
        end: LogEnd = await self._inner.end()
        return msgspec.structs.replace(end, writers=frozenset())


class ReadsWithAnOverlap(Around):
    """Better twice than never."""

    async def read(self, after: int, until: int, limit: int) -> Sequence[Logged]:
        rows: Sequence[Logged] = await self._inner.read(max(0, after - _TOO_MANY), until, limit)
        return rows


class ReadsTheNewestFirst(Around):
    """As lists are read."""

    async def read(self, after: int, until: int, limit: int) -> Sequence[Logged]:
        rows: Sequence[Logged] = await self._inner.read(after, until, limit)
        return rows if len(rows) == limit else rows[::-1]


class _Reading(Around):
    def __init__(self, inner: Any, reader: type[Around]) -> None:  # noqa: ANN401 - any database
        super().__init__(inner)
        self.event_log = reader(inner.event_log)


MUTANTS: Final[Mapping[str, Mutant[Fault]]] = {
    "believes-the-last-number": Mutant(
        fault=Fault.MISSED, database=lambda inner: _Reading(inner, BelievesTheLastNumber)
    ),
    "reads-with-an-overlap": Mutant(fault=Fault.DOUBLED, database=lambda inner: _Reading(inner, ReadsWithAnOverlap)),
    "reads-the-newest-first": Mutant(fault=Fault.ORDER, database=lambda inner: _Reading(inner, ReadsTheNewestFirst)),
}
