"""Beside the worker: what was approved and has no vector yet gets one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from inbox.entrypoints.worker import going_on
from inbox.services.knowledge import Knowledge

_EVERY: Final = 5.0


class KnowledgeKeeper:
    """One per process; no passage is given to two at a time. A failure ends a round, not the keeper."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    @asynccontextmanager
    async def running(self, *, every: float = _EVERY) -> AsyncIterator[None]:
        """Looks every `every` seconds while the block runs."""
        task = asyncio.create_task(self._keep_embedding(every))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_embedding(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await going_on("embedding_failed", self._knowledge.embed)
