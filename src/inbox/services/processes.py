"""The processes of this installation: each says every two seconds what only it can know, and hears what all must do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.errors import InboxError
from inbox.domain.signals import CircuitReset, Resync, Signal
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.monitoring import LIVE_SECONDS, Circuits, Process, ProcessKind, ProcessReport

REPORT_EVERY: Final = 2.0
REPORTED_KEYS: Final = 100
"""Keys of the cache that a process tells the others."""
_COUNTED_FOR: Final = LIVE_SECONDS - 2.0


class Processes:
    """One per process."""

    def __init__(self, database: Database, events: Events, circuits: Circuits, cache: Cache, *, this: Process) -> None:
        self._database = database
        self._events = events
        self._circuits = circuits
        self._cache = cache
        self._this = this
        self._has_news = asyncio.Event()
        self._counted_until = 0.0

    @property
    def id(self) -> UUID:
        return self._this.id

    def is_counted(self) -> bool:
        """True if this process reported so lately that all others count it among the living, two seconds more."""
        return time.monotonic() < self._counted_until

    @asynccontextmanager
    async def running(self, kind: ProcessKind, ended: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Reports and listens while the block runs; then this process is gone for the others at once.

        `ended` is called if a bug ends one of the two before; leaving the block raises it.
        """
        this = msgspec.structs.replace(self._this, kind=kind)
        async with self._events.subscribe() as signals:
            tasks = [
                asyncio.create_task(self._report(this), context=Context()),
                asyncio.create_task(self._listen(signals), context=Context()),
            ]
            for task in tasks:
                task.add_done_callback(lambda _: ended())
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                self._counted_until = 0.0
                with suppress(InboxError):  # then it counts as gone a little later
                    await self._database.operations.leave(this.id)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def reports(self, *, keys: int) -> list[ProcessReport]:
        """What every live process says: this one now, with up to `keys` keys of its cache, the others lately."""
        others = await self._database.operations.processes()
        return [self._own(keys), *(other.report for other in others if other.process.id != self._this.id)]

    async def _report(self, this: Process) -> None:
        while True:
            self._has_news.clear()
            begun = time.monotonic()
            with suppress(InboxError):  # the next one tells as much
                await self._database.operations.report(this, self._own(REPORTED_KEYS))
                self._counted_until = begun + _COUNTED_FOR
                await self._heed_resets()
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_EVERY):
                    await self._has_news.wait()

    async def _listen(self, signals: AsyncIterator[Signal]) -> None:
        async for signal in signals:
            if isinstance(signal, CircuitReset):
                self._circuits.reset(signal.name)
                self._has_news.set()
            elif isinstance(signal, Resync):
                self._has_news.set()

    async def _heed_resets(self) -> None:
        """Closes what was reset since it opened: the signal may have come while nobody listened."""
        now = datetime.now(UTC)
        opened = {
            name: now - state.opened_at
            for name, state in self._circuits.inspect().items()
            if state.state != "closed" and state.opened_at is not None
        }
        if not opened:
            return
        resets = await self._database.operations.resets(max(opened.values()))
        for name, age in opened.items():
            if resets.get(name, timedelta.max) < age:
                self._circuits.reset(name)
                self._has_news.set()

    def _own(self, keys: int) -> ProcessReport:
        stats = self._cache.stats()
        cache = msgspec.structs.replace(stats, keys=stats.keys[:keys])
        return ProcessReport(circuits=dict(self._circuits.inspect()), cache=cache)
