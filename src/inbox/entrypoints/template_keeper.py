"""Beside the worker: lists of message templates that are due are read anew, one account after the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from inbox.entrypoints.worker import going_on
from inbox.services.templates import Templates

_EVERY: Final = 60.0


class TemplateKeeper:
    """One per process; of all processes one reads the list of an account. A failure ends a round, not the keeper."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    @asynccontextmanager
    async def running(self, *, every: float = _EVERY) -> AsyncIterator[None]:
        """Looks every `every` seconds while the block runs; not at its beginning, when others have much to do."""
        task = asyncio.create_task(self._keep_reading(every))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_reading(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await going_on("template_sync_failed", self._templates.refresh)
