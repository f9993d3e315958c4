"""Waits for conditions."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from crash.service import LOOK_EVERY, Service


async def until(look: Callable[[], Awaitable[object]], *, seconds: float | None = 30.0) -> None:
    """Looks until there is something true. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        seen = await look()
        while not seen:
            await asyncio.sleep(LOOK_EVERY)
            seen = await look()


async def stopped(service: Service) -> None:
    """Waits until the process stands still (proc_pid_stat(5): state T)."""

    async def look() -> bool:
        stat = await asyncio.to_thread(Path(f"/proc/{service.pid}/stat").read_text)
        return stat.rpartition(")")[2].split()[0] == "T"

    await until(look)
