"""The cache of one process: bounded, with single flight, tags, and hints from the other processes.

Forgetting never searches for entries. It gives the tag the next serial number; an entry is good only while none of its
tags has a number above the one at which its load began. So a load that began before its tag was forgotten is not kept,
and nobody waits for it any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
import structlog
from cachebox import LRUCache

from inbox.domain.events import CacheStale, Resync, Signal
from inbox.ports.cache import CacheStats, FamilyStats, SharedStats
from inbox.ports.events import Events

T = TypeVar("T")

EVERYTHING: Final = "*"
"""The tag that every entry has."""
_log = structlog.stdlib.get_logger("inbox.cache")
_MOST_FAMILIES: Final = 100
_OTHER_FAMILIES: Final = "other"


class _Entry(msgspec.Struct, frozen=True):
    """`born` is the serial at the start of its load, `until` the clock's time of its end."""

    value: Any
    tags: tuple[str, ...]
    born: int
    until: float


class Flight:
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


class _Counters(msgspec.Struct):
    hits: int = 0
    misses: int = 0
    shared_hits: int = 0
    shared_misses: int = 0


class MemoryCache:
    """Values are handed out as they are, so they must be immutable. A loader must not fetch its own key."""

    def __init__(self, events: Events, *, capacity: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        """`capacity` in entries, the least recently used one goes first; `clock` in seconds."""
        self._events = events
        self._capacity = capacity
        self._clock = clock
        self._entries: LRUCache[str, _Entry] = LRUCache(capacity)
        self._forgotten: dict[str, int] = {}
        self._all_forgotten = 0
        self._serial = 0
        self._flights: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._families: dict[str, _Counters] = {}

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
        counters = self._counters(key)
        entry: _Entry | None = self._entries.get(key, None)
        if entry is not None and self._is_good(entry):
            counters.hits += 1
            _log.debug("cache_hit", family=self._family(key))
            value: T = entry.value
            return value
        counters.misses += 1
        _log.debug("cache_miss", family=self._family(key))
        flight = self._flights.get(key)
        if flight is None or self._is_stale(flight.tags, flight.born):
            flight = self._begin(Flight(key, tuple(tags), ttl, shape, self._serial), load)
        loaded: T = await self._landed(flight)
        return loaded

    async def forget(self, *tags: str) -> None:
        if tags:
            self._forget(tags)
            self._events.publish(CacheStale(tags))

    async def clear(self) -> None:
        """Drops everything, in all processes."""
        await self.forget(EVERYTHING)

    def stats(self) -> CacheStats:
        keys = sorted(key for key, entry in self._entries.items() if self._is_good(entry))
        sizes: dict[str, int] = {}
        for key in keys:
            family = self._family(key)
            sizes[family] = sizes.get(family, 0) + 1
        families = [
            FamilyStats(family=family, size=sizes.get(family, 0), **msgspec.structs.asdict(counters))
            for family, counters in sorted(self._families.items())
        ]
        return CacheStats(size=len(keys), keys=keys, families=families)

    async def shared(self) -> SharedStats | None:
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens to the other processes while the block runs; what was kept before may be stale and is dropped."""
        async with self._events.subscribe() as signals:
            self._forget((EVERYTHING,))
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

    def _begin(self, flight: Flight, load: Callable[[], Awaitable[T]]) -> Flight:
        flight.task = asyncio.create_task(self._load(flight, load))
        self._flights[flight.key] = flight
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._tasks.discard)
        return flight

    async def _load(self, flight: Flight, load: Callable[[], Awaitable[T]]) -> T:
        try:
            value, until = await self._obtained(flight, load)
        finally:
            self._leave(flight)
        if not self._is_stale(flight.tags, flight.born):
            self._entries.insert(flight.key, _Entry(value, flight.tags, flight.born, until))
            _log.debug("cache_set", family=self._family(flight.key))
        return value

    async def _obtained(self, flight: Flight, load: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        """The value and the clock's time of its end."""
        until = self._clock() + flight.ttl  # from the start: the value may be as old as that
        return await load(), until

    async def _landed(self, flight: Flight) -> Any:  # noqa: ANN401 - whatever the loader gives
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._leave(flight)
                flight.task.cancel()

    def _leave(self, flight: Flight) -> None:
        """Nobody can join it any more."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _forget(self, tags: Iterable[str]) -> None:
        self._serial += 1
        named = dict.fromkeys(tags, self._serial)
        if EVERYTHING in named or len(self._forgotten) + len(named) > self._capacity:
            # Too many tags to remember one by one: dropping more than asked for is always right.
            self._all_forgotten = self._serial
            self._forgotten.clear()
            self._entries.clear()
        else:
            self._forgotten |= named

    def _is_good(self, entry: _Entry) -> bool:
        return self._clock() < entry.until and not self._is_stale(entry.tags, entry.born)

    def _is_stale(self, tags: tuple[str, ...], born: int) -> bool:
        return self._all_forgotten > born or any(self._forgotten.get(tag, 0) > born for tag in tags)

    def _last_forgotten(self, tags: tuple[str, ...]) -> int:
        """The serial at which something with one of these tags was last forgotten."""
        return max(self._all_forgotten, *(self._forgotten.get(tag, 0) for tag in tags), 0)

    def _counters(self, key: str) -> _Counters:
        return self._families.setdefault(self._family(key), _Counters())

    def _family(self, key: str) -> str:
        family = key.partition(":")[0]
        is_known = family in self._families or len(self._families) < _MOST_FAMILIES
        return family if is_known else _OTHER_FAMILIES
