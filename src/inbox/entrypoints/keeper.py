"""Beside the worker: every few minutes old rows and unused files are removed, and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from inbox.entrypoints.worker import going_on
from inbox.kit.telemetry import Metrics
from inbox.services.retention import Retention
from inbox.services.uploads import UnusedUploads

_EVERY: Final = 300.0


class Keeper:
    """One per process; of all processes one sweeps at a time. A failure ends a sweep, not the keeper."""

    def __init__(self, retention: Retention, unused: UnusedUploads, metrics: Metrics) -> None:
        self._retention = retention
        self._unused = unused
        self._meters = metrics.pipeline

    @asynccontextmanager
    async def running(self, *, every: float = _EVERY) -> AsyncIterator[None]:
        """Sweeps while the block runs, with `every` seconds between, at the start as well."""
        task = asyncio.create_task(self._keep_sweeping(every))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_sweeping(self, every: float) -> None:
        while True:
            await going_on("sweep_failed", partial(self._retention.sweep, self._meters.removed))
            await going_on("sweep_failed", partial(self._unused.sweep, self._meters.removed))
            await asyncio.sleep(every)
