"""Waits for conditions."""

import asyncio
from collections.abc import Awaitable, Callable

from crash.service import LOOK_EVERY


async def until(look: Callable[[], Awaitable[object]], *, seconds: float | None = 30.0) -> None:
    """Looks until there is something true. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        seen = await look()
        while not seen:
            await asyncio.sleep(LOOK_EVERY)
            seen = await look()
