"""The queues as metrics: one reader per process looks every few seconds, so that a scrape waits for nothing.

All processes look at the same database and show the same: to be aggregated with `max`, never with `sum`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from inbox.domain.work import WorkKind
from inbox.entrypoints.worker import going_on
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database
from inbox.ports.monitoring import SilentNumber

_EVERY: Final = 5.0
_WARNED_EVERY: Final = 3600.0

_log = structlog.stdlib.get_logger("inbox.queues")


class QueueGauges:
    """One per process. What cannot be read stays as it was; its time tells how old it is."""

    def __init__(self, database: Database, metrics: Metrics, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._meters = metrics.pipeline
        self._now = now
        self._warned: dict[str, float] = {}

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
                "paused_accounts": sends.paused_accounts,
            },
            sends.oldest_seconds,
        )
        self._meters.backlog("statuses", {"parked": parked})
        silent = await self._database.operations.silent_numbers()
        self._meters.silent_numbers(len(silent))
        self._warn(silent)
        self._meters.queues_read(self._now())

    def _warn(self, silent: Sequence[SilentNumber]) -> None:
        """Once an hour for each number, by this process."""
        now = self._now()
        self._warned = {number: at for number, at in self._warned.items() if now - at < _WARNED_EVERY}
        for number in silent:
            if number.phone_number_id not in self._warned:
                self._warned[number.phone_number_id] = now
                _log.warning(
                    "number_is_silent",
                    account_id=str(number.account_id),
                    sent_at=number.sent_at.isoformat(),
                    last_webhook_at=number.last_webhook_at and number.last_webhook_at.isoformat(),
                )

    async def _keep_reading(self, every: float) -> None:
        while True:
            await going_on("queues_not_read", self.read)
            await asyncio.sleep(every)
