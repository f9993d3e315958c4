"""Processes that share a Redis: caches with a bus and loads of their own."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from builders import SEALER
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.redis import RedisTier
from inbox.adapters.cache.redis_client import Patience
from inbox.adapters.events.memory import MemoryEvents
from inbox.ports.cache import Cache
from inbox.ports.events import Events

QUICK: Final = Patience(rest=0.02)
CALM: Final = Patience(answer=5.0, rest=0.02)
"""Where the 50 ms are not what a test is about: a busy machine must not decide it."""


class Profile(msgspec.Struct, frozen=True):
    """What the tests keep."""

    name: str
    email: str = "ada@example.org"


class Process:
    """One cache, and what it loads."""

    def __init__(self, url: str, events: Events | None = None, patience: Patience = QUICK) -> None:
        self.events = events or MemoryEvents()
        self.changes: list[bool] = []
        self.tier = RedisTier(url, SEALER, on_change=self.changes.append, patience=patience)
        self.cache = MemoryCache(self.events, self.tier)
        self.value: object = Profile("first")
        self.loads = 0
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def load(self) -> object:
        self.loads += 1
        value = self.value
        self.begun.set()
        await self.open.wait()
        return value

    async def fetched(
        self, key: str = "profile:1", *tags: str, shape: type[Any] | None = Profile, ttl: float = 60
    ) -> object:
        async with asyncio.timeout(10):
            return await self.cache.fetch(key, self.load, tags=tags or ("profile",), ttl=ttl, shape=shape)

    def drop(self) -> None:
        """Forgets what this process alone keeps, without a signal: the next fetch asks Redis."""
        self.cache._entries.clear()

    async def is_up(self, *, up: bool = True) -> None:
        await until(lambda: self.tier.is_up is up)


class Processes:
    """Several of them on one Redis."""

    def __init__(self, url: str, stack: AsyncExitStack, patience: Patience = QUICK) -> None:
        self.url = url
        self._patience = patience
        self._stack = stack

    async def start(self, events: Events | None = None) -> Process:
        """One that has its way to Redis."""
        process = Process(self.url, events, self._patience)
        await self._stack.enter_async_context(process.cache.running())
        await process.is_up()
        return process


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what other processes do."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.001)


async def stored(cache: MemoryCache) -> None:
    """What is done while nobody waits is done."""
    await until(lambda: not cache._tasks)


async def took(process: Process, key: str) -> float:
    """Seconds of one fetch."""
    begun = time.perf_counter()
    await process.fetched(key)
    return time.perf_counter() - begun


def shared_hits(cache: Cache) -> int:
    return sum(family.shared_hits for family in cache.stats().families)
