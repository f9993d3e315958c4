"""What is old enough goes, in small steps and with rests between them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec

from inbox.ports.database import Database
from inbox.ports.deliveries import Sweep

STEP: Final = 500
"""Rows of one statement."""
_RESTS: Final = 0.2


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept that a setting is about."""

    deliveries: timedelta = timedelta(days=30)
    parked_statuses: timedelta = timedelta(days=7)
    idempotency_keys: timedelta = timedelta(hours=48)

    def of(self, what: Sweep) -> timedelta:
        """How old rows of this kind get."""
        match what:
            case Sweep.DELIVERIES | Sweep.DISCARDED:
                return self.deliveries
            case Sweep.PARKED_STATUSES:
                return self.parked_statuses
            case Sweep.IDEMPOTENCY_KEYS:
                return self.idempotency_keys
            case Sweep.SESSIONS:
                return timedelta(days=30)
            case Sweep.LOGIN_ATTEMPTS | Sweep.MEDIA_FAILURES:
                return timedelta(days=2)
            case Sweep.PROCESSES:
                return timedelta(hours=1)


class Retention:
    """One process at a time sweeps; the others find that somebody does and leave it at that."""

    def __init__(self, database: Database, ages: Ages) -> None:
        self._database = database
        self._ages = ages

    async def sweep(self, removed: Callable[[str, int], None], *, rests: float = _RESTS) -> bool:
        """Removes all that is old; `removed` is told of what and how many, step by step. False if another one does.

        `rests` are the seconds between two steps. Raises what the database raises; what is left goes the next time.
        """
        async with self._database.retention.alone() as sweeper:
            if sweeper is None:
                return False
            for what in Sweep:
                while True:
                    count = await sweeper.remove(what, self._ages.of(what), STEP)
                    if count:
                        removed(what.value, count)
                    if count < STEP:
                        break
                    await asyncio.sleep(rests)
        return True
