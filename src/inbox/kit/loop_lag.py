"""How late the event loop is: a timer that should ring every half second, and how late it rings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_EVERY: Final = 0.5


@asynccontextmanager
async def measured(observe: Callable[[float], None], *, every: float = _EVERY) -> AsyncIterator[None]:
    """While the block runs `observe` gets the seconds by which the loop was late, each `every` seconds."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def ring(due: float) -> None:
        nonlocal timer
        now = loop.time()
        observe(max(0.0, now - due))
        timer = loop.call_at(now + every, ring, now + every)

    due = loop.time() + every
    timer = loop.call_at(due, ring, due)
    try:
        yield
    finally:
        timer.cancel()
