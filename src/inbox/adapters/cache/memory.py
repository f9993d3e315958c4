"""The cache of one process: bounded, with single flight, tags, and hints from the other processes.

A load that began before one of its tags was forgotten is not kept, and nobody waits for it any more. Behind it may lie
a tier that all processes share; it is asked within the single flight, before the load.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import msgspec
import structlog
from cachebox import LRUCache

from inbox.adapters.cache.families import Families
from inbox.adapters.cache.forgotten import Forgotten
from inbox.adapters.cache.shared import EVERYTHING, Found, Keep, SharedTier, Wanted
from inbox.domain.signals import CacheStale, Resync, Signal
from inbox.ports.cache import CacheStats, SharedStats
from inbox.ports.events import Events

T = TypeVar("T")

_log = structlog.stdlib.get_logger("inbox.cache")


class _Entry(msgspec.Struct, frozen=True):
    """`born` is the serial at the start of its load, `until` the clock's time of its end."""

    value: Any
    tags: tuple[str, ...]
    born: int
    until: float


class _Flight:
    """One load that is under way, and how many wait for it."""

    __slots__ = ("born", "key", "shape", "tags", "task", "ttl", "waiters")

    def __init__(self, key: str, tags: tuple[str, ...], ttl: float, shape: Any, born: int) -> None:  # noqa: ANN401 - a type
        self.key = key
        self.tags = tags
        self.ttl = ttl
        self.shape = shape
        self.born = born
        self.waiters = 0
        self.task: asyncio.Task[Any]


class MemoryCache:
    """Values are handed out as they are, so they must be immutable. A loader must not fetch its own key."""

    def __init__(
        self,
        events: Events,
        shared: SharedTier | None = None,
        *,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`capacity` in entries, the least recently used one goes first; `clock` in seconds."""
        self._events = events
        self._shared = shared
        self._clock = clock
        self._entries: LRUCache[str, _Entry] = LRUCache(capacity)
        self._forgotten = Forgotten(capacity)
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._families = Families()

    async def fetch(
        self,
        key: str,
        load: Callable[[], Awaitable[T]],
        *,
        tags: Sequence[str],
        ttl: float,
        shape: type[T] | None = None,
    ) -> T:
        """The value of `key`. A load ends early only when all who waited for it are gone."""
        counters = self._families.counters(key)
        entry: _Entry | None = self._entries.get(key, None)
        if entry is not None and self._is_good(entry):
            counters.hits += 1
            _log.debug("cache_hit", family=self._families.name(key))
            value: T = entry.value
            return value
        counters.misses += 1
        _log.debug("cache_miss", family=self._families.name(key))
        flight = self._flights.get(key)
        if flight is None or self._forgotten.since(flight.born, flight.tags):
            flight = self._begin(_Flight(key, tuple(tags), ttl, shape, self._forgotten.serial), load)
        loaded: T = await self._landed(flight)
        return loaded

    async def forget(self, *tags: str) -> None:
        if not tags:
            return
        self._forget(tags)
        self._events.publish(CacheStale(tags))
        if self._shared is not None:
            await self._shared.forget(tags)

    async def clear(self) -> None:
        """Drops everything, in all processes."""
        await self.forget(EVERYTHING)

    def stats(self) -> CacheStats:
        keys = sorted(key for key, entry in self._entries.items() if self._is_good(entry))
        return CacheStats(size=len(keys), keys=keys, families=self._families.stats(keys))

    async def shared(self) -> SharedStats | None:
        return None if self._shared is None else await self._shared.stats()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens to the other processes while the block runs; what was kept before may be stale and is dropped."""
        async with AsyncExitStack() as stack:
            signals = await stack.enter_async_context(self._events.subscribe())
            self._forget((EVERYTHING,))
            if self._shared is not None:
                await stack.enter_async_context(self._shared.running())
            listener = asyncio.create_task(self._listen(signals))
            try:
                yield
            finally:
                listener.cancel()
                await asyncio.wait([listener])
                if not listener.cancelled():
                    listener.result()

    async def _listen(self, signals: AsyncIterator[Signal]) -> None:
        async for signal in signals:
            if isinstance(signal, CacheStale):
                self._forget(signal.tags)
            elif isinstance(signal, Resync):
                self._forget((EVERYTHING,))

    def _forget(self, tags: Sequence[str]) -> None:
        if self._forgotten.add(tags):
            self._entries.clear()

    def _begin(self, flight: _Flight, load: Callable[[], Awaitable[T]]) -> _Flight:
        flight.task = self._started(self._load(flight, load))
        self._flights[flight.key] = flight
        return flight

    def _started(self, work: Coroutine[None, None, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _load(self, flight: _Flight, load: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._obtained(flight, load)
        finally:
            self._leave(flight)

    async def _obtained(self, flight: _Flight, load: Callable[[], Awaitable[T]]) -> T:
        begun = self._clock()
        answer = await self._asked(flight)
        if isinstance(answer, Found):
            value: T = answer.value
            self._kept(flight, value, begun + min(answer.left, flight.ttl))
            return value
        until = self._clock() + flight.ttl  # from the start: the value may be as old as that
        value = await load()
        if self._kept(flight, value, until) and answer is not None:
            self._started(self._shown(answer, value, until))  # nobody waits for it
        return value

    async def _asked(self, flight: _Flight) -> Found | Keep | None:
        """What the shared tier says of it; None if it is not asked or does not answer."""
        if self._shared is None or flight.shape is None:
            return None
        answer = await self._shared.find(
            Wanted(
                key=flight.key,
                family=self._families.name(flight.key),
                tags=flight.tags,
                shape=flight.shape,
                serial=self._forgotten.serial,
                since=self._forgotten.last(flight.tags),
            )
        )
        counters = self._families.counters(flight.key)
        counters.shared_hits += isinstance(answer, Found)
        counters.shared_misses += callable(answer)
        return answer

    def _kept(self, flight: _Flight, value: object, until: float) -> bool:
        """Whether it may be kept: nothing of it was forgotten since its load began."""
        if self._forgotten.since(flight.born, flight.tags):
            return False
        self._entries.insert(flight.key, _Entry(value, flight.tags, flight.born, until))
        _log.debug("cache_set", family=self._families.name(flight.key))
        return True

    async def _shown(self, keep: Keep, value: object, until: float) -> None:
        """To the other processes."""
        await keep(value, until - self._clock())

    async def _landed(self, flight: _Flight) -> Any:  # noqa: ANN401 - whatever the loader gives
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._leave(flight)
                flight.task.cancel()

    def _leave(self, flight: _Flight) -> None:
        """Nobody can join it any more."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _is_good(self, entry: _Entry) -> bool:
        return self._clock() < entry.until and not self._forgotten.since(entry.born, entry.tags)
