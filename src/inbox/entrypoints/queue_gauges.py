"""The queues as metrics: one reader per process looks every few seconds, so that a scrape waits for nothing.

All processes look at the same database and show the same: to be aggregated with `max`, never with `sum`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from inbox.domain.errors import InboxError
from inbox.domain.work import WorkKind
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database

_EVERY: Final = 5.0

_log = structlog.stdlib.get_logger("inbox.queues")


class QueueGauges:
    """One per process. What cannot be read stays as it was; its time tells how old it is."""

    def __init__(self, database: Database, metrics: Metrics, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._meters = metrics.pipeline
        self._now = now

    @asynccontextmanager
    async def running(self, *, every: float = _EVERY) -> AsyncIterator[None]:
        """Reads while the block runs, with `every` seconds between."""
        task = asyncio.create_task(self._keep_reading(every))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def read(self) -> None:
        """Looks once. Raises `DatabaseUnavailable`, `DatabaseTimeout`."""
        waiting = {backlog.kind: backlog for backlog in await self._database.work.backlog()}
        deliveries = await self._database.operations.deliveries()
        sends = await self._database.operations.sends()
        parked = await self._database.operations.parked_statuses()
        for kind in WorkKind:
            lanes = waiting.get(kind)
            self._meters.queue(kind.value, lanes.waiting if lanes else 0, lanes.oldest_seconds if lanes else 0.0)
        self._meters.backlog(
            "deliveries",
            {
                "waiting": deliveries.waiting,
                "quarantined": deliveries.quarantined,
                "quarantined_items": deliveries.quarantined_items,
            },
            deliveries.oldest_seconds,
        )
        self._meters.backlog(
            "sends",
            {
                "waiting": sends.waiting,
                "on_wire": sends.on_wire,
                "unknown": sends.unknown,
                "unconfirmed": sends.unconfirmed,
            },
            sends.oldest_seconds,
        )
        self._meters.backlog("statuses", {"parked": parked})
        self._meters.queues_read(self._now())

    async def _keep_reading(self, every: float) -> None:
        while True:
            try:
                await self.read()
            except InboxError as error:
                _log.warning("queues_not_read", code=error.code)
            except Exception:  # noqa: BLE001 - the boundary: a bug must not end the watch
                _log.exception("queues_not_read")
            await asyncio.sleep(every)
