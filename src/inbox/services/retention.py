"""What is old enough goes, in small steps and with rests between them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.errors import DatabaseTimeout
from inbox.ports.database import Database
from inbox.ports.deliveries import Sweep, Sweeper

STEP: Final = 500
"""Rows of one statement."""
_LARGE_STEP: Final = 5_000
"""For the event log, which grows fastest and whose rows are small."""
_RESTS: Final = 0.2


_FIXED: Final = {
    Sweep.SESSIONS: timedelta(days=30),
    Sweep.LOGIN_ATTEMPTS: timedelta(days=2),
    Sweep.MEDIA_FAILURES: timedelta(days=2),
    Sweep.MEDIA_WORK: timedelta(days=2),
    Sweep.PROCESSES: timedelta(hours=1),
}
"""How long things are kept that no setting is about."""


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept that a setting is about."""

    deliveries: timedelta = timedelta(days=30)
    parked_statuses: timedelta = timedelta(days=7)
    idempotency_keys: timedelta = timedelta(hours=48)
    events: timedelta = timedelta(days=7)

    def of(self, what: Sweep) -> timedelta:
        """How old rows of this kind get."""
        match what:
            case Sweep.DELIVERIES | Sweep.DISCARDED:
                return self.deliveries
            case Sweep.PARKED_STATUSES:
                return self.parked_statuses
            case Sweep.IDEMPOTENCY_KEYS:
                return self.idempotency_keys
            case Sweep.EVENTS:
                return self.events
            case _:
                return _FIXED[what]


class Retention:
    """One process at a time sweeps; the others find that somebody does and leave it at that."""

    def __init__(self, database: Database, ages: Ages) -> None:
        self._database = database
        self._ages = ages

    async def sweep(self, removed: Callable[[str, int], None], *, rests: float = _RESTS) -> bool:
        """Removes all that is old; `removed` is told of what and how many, step by step. False if another one does.

        `rests` are the seconds between two steps. Raises what the database raises, but a kind of rows that takes too
        long keeps no other one from going; what is left goes the next time.
        """
        late: DatabaseTimeout | None = None
        async with self._database.retention.alone() as sweeper:
            if sweeper is None:
                return False
            for what in Sweep:
                try:
                    await self._sweep_all(sweeper, what, removed, rests)
                except DatabaseTimeout as error:
                    late = error
        if late is not None:
            raise late
        return True

    async def _sweep_all(
        self, sweeper: Sweeper, what: Sweep, removed: Callable[[str, int], None], rests: float
    ) -> None:
        most = _LARGE_STEP if what is Sweep.EVENTS else STEP
        while True:
            step = await sweeper.remove(what, self._ages.of(what), most)
            if step.count:
                removed(what.value, step.count)
            if step.is_over:
                return
            await asyncio.sleep(rests)
