"""A process that remembers, in the hands of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from inbox.adapters.cache.off import NoCache
from inbox.ports.cache import Cache
from inbox.services.rights import Rights


class Seconds:
    """A monotonic clock that only a test, or a sleep of the process that it belongs to, moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Counted:
    """A process that all others count among the living, unless it is told not to be."""

    def __init__(self, *, counted: bool = True) -> None:
        self.id: UUID = uuid4()
        self.counted = counted

    def is_counted(self) -> bool:
        return self.counted


def forgetful(database: Any) -> Rights:  # noqa: ANN401 - or a double
    """What a process without memory knows."""
    return Rights(database, NoCache())


@asynccontextmanager
async def sure(rights: Rights) -> AsyncIterator[Rights]:
    """The process while it watches, from the moment on at which it may use what it remembers."""
    async with rights.watching():
        async with asyncio.timeout(10):
            while not rights.is_sure():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        yield rights


@asynccontextmanager
async def remembering(database: Any, cache: Cache, clock: Seconds) -> AsyncIterator[Rights]:  # noqa: ANN401 - or a double
    """A process that believes what it remembers for as long as `clock` stands still."""
    async with sure(Rights(database, cache, Counted(), clock=clock, sleep=clock.sleep)) as rights:
        yield rights
