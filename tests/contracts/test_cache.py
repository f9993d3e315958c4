"""The caches that need no server keep what every cache keeps, and what belongs to one process."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.off import NoCache
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.signals import CacheStale, Resync
from inbox.ports.cache import FamilyStats

from .caching import CacheCases, Clock, RememberingCases, Source, fetched, settle


class TestNoCache(CacheCases):
    @pytest.fixture
    def cache(self) -> NoCache:
        return NoCache()

    async def test_every_fetch_loads(self, cache: NoCache, source: Source) -> None:
        await fetched(cache, source)
        await fetched(cache, source)
        assert source.loads == 2
        assert cache.stats().families == []

    async def test_there_is_no_shared_tier(self, cache: NoCache) -> None:
        assert await cache.shared() is None


class TestMemoryCache(RememberingCases):
    @pytest.fixture
    def cache(self, events: MemoryEvents, clock: Clock) -> MemoryCache:
        return MemoryCache(events, capacity=100, clock=clock)

    async def test_a_value_is_loaded_once_within_its_time(
        self, cache: MemoryCache, source: Source, clock: Clock
    ) -> None:
        await fetched(cache, source, ttl=60)
        source.value = "second"
        clock.now += 59.9
        assert await fetched(cache, source, ttl=60) == "first"
        clock.now += 0.2
        assert await fetched(cache, source, ttl=60) == "second"
        assert source.loads == 2

    async def test_hits_and_misses_are_counted_by_family(self, cache: MemoryCache, source: Source) -> None:
        for key in ("profile:1", "profile:1", "profile:2", "templates"):
            await fetched(cache, source, key)
        stats = cache.stats()
        assert stats.size == 3
        assert stats.keys == ["profile:1", "profile:2", "templates"]
        assert stats.families == [
            FamilyStats(family="profile", size=2, hits=1, misses=2),
            FamilyStats(family="templates", size=1, hits=0, misses=1),
        ]

    async def test_another_process_forgets_what_this_one_forgets(
        self, cache: MemoryCache, events: MemoryEvents, clock: Clock, source: Source
    ) -> None:
        await self._told(events, clock, source, lambda: cache.forget("profile"))

    async def test_another_process_drops_everything_with_this_one(
        self, cache: MemoryCache, events: MemoryEvents, clock: Clock, source: Source
    ) -> None:
        await self._told(events, clock, source, cache.clear)

    async def test_a_gap_in_the_bus_drops_everything(self, events: MemoryEvents, clock: Clock, source: Source) -> None:
        async def gap() -> None:
            events.publish(Resync())

        await self._told(events, clock, source, gap)

    async def _told(
        self, events: MemoryEvents, clock: Clock, source: Source, tell: Callable[[], Awaitable[None]]
    ) -> None:
        other = MemoryCache(events, clock=clock)
        async with other.running():
            await fetched(other, source)
            assert other.stats().size == 1
            await tell()
            await settle(lambda: other.stats().size == 0)
            source.value = "second"
            assert await fetched(other, source) == "second"

    async def test_what_was_kept_before_listening_is_dropped(self, cache: MemoryCache, source: Source) -> None:
        await fetched(cache, source)
        async with cache.running():
            assert cache.stats().keys == []

    async def test_listening_ends_with_the_block(
        self, cache: MemoryCache, events: MemoryEvents, source: Source
    ) -> None:
        async with cache.running():
            pass
        await fetched(cache, source)
        async with asyncio.timeout(10), events.subscribe() as signals:
            events.publish(CacheStale(("profile",)))
            await anext(signals)
        assert cache.stats().keys == ["profile:1"]

    async def test_there_is_no_shared_tier(self, cache: MemoryCache) -> None:
        assert await cache.shared() is None
