"""The connections of a bus: how they come back, and what becomes of a bug."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import structlog

from contracts.redis_side import until
from inbox.adapters.events.lines import Lines, Patience


@asynccontextmanager
async def connected() -> AsyncIterator[str]:
    yield "connection"


async def test_attempts_become_rarer_until_one_works():
    attempts: list[float] = []

    async def work(_: str, works: Callable[[], None]) -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 6:
            works()
        raise ConnectionResetError

    lines = Lines("test", connected, (OSError,), on_change=lambda _: None, patience=Patience(rest=0.01))
    async with lines.running(work):
        await until(lambda: len(attempts) == 8)
    gaps = [later - sooner for sooner, later in pairwise(attempts)]
    for gap, rest in zip(gaps, (0.01, 0.02, 0.04, 0.08, 0.16, 0.01, 0.02), strict=True):
        assert gap >= rest * 0.9
    assert gaps[5] < gaps[4]


async def test_a_bug_takes_the_bus_down_with_a_traceback_until_the_next_attempt():
    changes: list[bool] = []
    attempts: list[float] = []

    async def work(_: str, works: Callable[[], None]) -> None:
        attempts.append(time.monotonic())
        works()
        if len(attempts) == 1:
            raise ZeroDivisionError
        await asyncio.Event().wait()

    patience = Patience(rest=0.0, longest_rest=0.05)
    lines = Lines("test", connected, (OSError,), on_change=changes.append, patience=patience)
    with structlog.testing.capture_logs() as told:
        async with lines.running(work):
            await until(lambda: changes == [True, False, True])
    assert [line["event"] for line in told] == ["bus_disconnected", "bus_failed", "bus_connected"]
    assert (told[0]["error"], type(told[1]["exc_info"])) == ("ZeroDivisionError", ZeroDivisionError)
    assert attempts[1] - attempts[0] >= 0.05
