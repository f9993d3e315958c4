"""What every cache keeps, and what one that remembers keeps besides: the sentences, for each cache to say."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.signals import CacheStale
from inbox.ports.cache import Cache

SHAPE: Any = str | tuple[str, ...]
"""Of all values here: a cache with a shared tier sends them there."""


class Source:
    """What is behind the cache: counts the loads, and holds them back or fails if told."""

    def __init__(self) -> None:
        self.value: object = "first"
        self.loads = 0
        self.ended = 0
        self.fails = False
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def load(self) -> object:
        self.loads += 1
        value = self.value
        self.begun.set()
        try:
            await self.open.wait()
        finally:
            self.ended += 1
        if self.fails:
            raise DatabaseUnavailable
        return value


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def fetched(cache: Cache, source: Source, key: str = "profile:1", *tags: str, ttl: float = 60) -> object:
    async with asyncio.timeout(10):
        return await cache.fetch(key, source.load, tags=tags or ("profile",), ttl=ttl, shape=SHAPE)


def fetching(cache: Cache, source: Source, key: str = "profile:1", *tags: str) -> asyncio.Task[object]:
    return asyncio.create_task(fetched(cache, source, key, *tags))


def misses(cache: Cache) -> int:
    return sum(family.misses for family in cache.stats().families)


async def settle(condition: Callable[[], bool]) -> None:
    """Let the others run until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


class CacheCases:
    @pytest.fixture
    def source(self) -> Source:
        return Source()

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def events(self) -> MemoryEvents:
        return MemoryEvents()

    async def test_the_value_is_what_the_loader_gave(self, cache: Cache, source: Source) -> None:
        assert await fetched(cache, source) == "first"

    async def test_the_same_key_gives_the_same_object(self, cache: Cache, source: Source) -> None:
        source.value = ("an", "immutable", "value")
        assert await fetched(cache, source) is source.value
        assert await fetched(cache, source) is source.value

    async def test_an_error_of_the_loader_is_raised_and_not_kept(self, cache: Cache, source: Source) -> None:
        source.fails = True
        with pytest.raises(DatabaseUnavailable):
            await fetched(cache, source)
        source.fails = False
        assert await fetched(cache, source) == "first"
        assert source.loads == 2

    async def test_after_a_tag_is_forgotten_the_new_value_is_seen(self, cache: Cache, source: Source) -> None:
        await fetched(cache, source)
        source.value = "second"
        await cache.forget("profile")
        assert await fetched(cache, source) == "second"

    async def test_after_everything_is_dropped_the_new_value_is_seen(self, cache: Cache, source: Source) -> None:
        await fetched(cache, source)
        source.value = "second"
        await cache.clear()
        assert await fetched(cache, source) == "second"
        assert cache.stats().size <= 1

    async def test_forgetting_what_was_never_kept_is_no_error(self, cache: Cache) -> None:
        await cache.forget("nobody")
        await cache.forget()
        assert cache.stats().keys == []

    async def test_one_cancelled_caller_does_not_disturb_another(self, cache: Cache, source: Source) -> None:
        source.open.clear()
        leaving, staying = fetching(cache, source), fetching(cache, source)
        await source.begun.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
        source.open.set()
        assert await staying == "first"
        assert leaving.cancelled()


class RememberingCases(CacheCases):
    """With room for 100 entries."""

    async def test_each_entry_has_its_own_time(self, cache: MemoryCache, source: Source, clock: Clock) -> None:
        await fetched(cache, source, "token:short", ttl=5)
        await fetched(cache, source, "token:long", ttl=50)
        clock.now += 10
        assert cache.stats().keys == ["token:long"]

    async def test_a_time_of_zero_keeps_nothing(self, cache: MemoryCache, source: Source) -> None:
        await fetched(cache, source, ttl=0)
        await fetched(cache, source, ttl=0)
        assert source.loads == 2

    async def test_the_time_counts_from_the_start_of_the_load(
        self, cache: MemoryCache, source: Source, clock: Clock
    ) -> None:
        source.open.clear()
        slow = fetching(cache, source)
        await source.begun.wait()
        clock.now += 61
        source.open.set()
        assert await slow == "first"
        assert cache.stats().keys == []

    async def test_nothing_found_is_remembered_too(self, cache: MemoryCache, source: Source) -> None:
        source.value = None
        assert await fetched(cache, source) is None
        assert await fetched(cache, source) is None
        assert source.loads == 1

    async def test_all_who_wait_share_one_load(self, cache: MemoryCache, source: Source) -> None:
        source.open.clear()
        waiting = [fetching(cache, source) for _ in range(200)]
        await settle(lambda: misses(cache) == 200)
        source.open.set()
        assert set(await asyncio.gather(*waiting)) == {"first"}
        assert source.loads == 1

    async def test_all_who_wait_get_the_error_of_the_load(self, cache: MemoryCache, source: Source) -> None:
        source.open.clear()
        source.fails = True
        waiting = [fetching(cache, source) for _ in range(3)]
        await settle(lambda: misses(cache) == 3)
        source.open.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [DatabaseUnavailable] * 3
        assert source.loads == 1

    async def test_the_load_survives_the_caller_that_began_it(self, cache: MemoryCache, source: Source) -> None:
        source.open.clear()
        first = fetching(cache, source)
        await source.begun.wait()
        second = fetching(cache, source)
        await settle(lambda: misses(cache) == 2)
        first.cancel()
        await asyncio.wait([first])
        source.open.set()
        assert await second == "first"
        assert source.loads == 1

    async def test_a_load_that_nobody_waits_for_any_more_is_ended(self, cache: MemoryCache, source: Source) -> None:
        source.open.clear()
        waiting = [fetching(cache, source) for _ in range(2)]
        await source.begun.wait()
        await settle(lambda: misses(cache) == 2)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await settle(lambda: source.ended == 1)
        source.open.set()
        assert await fetched(cache, source) == "first"
        assert source.loads == 2

    async def test_a_load_that_began_before_its_tag_was_forgotten_is_not_kept(
        self, cache: MemoryCache, source: Source
    ) -> None:
        source.open.clear()
        early = fetching(cache, source)
        await source.begun.wait()
        source.value = "second"
        await cache.forget("profile")
        source.open.set()
        assert await early == "first"
        assert cache.stats().keys == []
        assert await fetched(cache, source) == "second"

    async def test_nobody_joins_a_load_that_began_before_its_tag_was_forgotten(
        self, cache: MemoryCache, source: Source
    ) -> None:
        source.open.clear()
        early = fetching(cache, source)
        await source.begun.wait()
        source.value = "second"
        await cache.forget("profile")
        late = fetching(cache, source)
        await settle(lambda: source.loads == 2)
        source.open.set()
        assert await early == "first"
        assert await late == "second"
        assert await fetched(cache, source) == "second"
        assert source.loads == 2

    async def test_a_load_that_began_before_everything_was_dropped_is_not_kept(
        self, cache: MemoryCache, source: Source
    ) -> None:
        source.open.clear()
        early = fetching(cache, source)
        await source.begun.wait()
        await cache.clear()
        source.open.set()
        assert await early == "first"
        assert cache.stats().keys == []

    async def test_a_late_old_value_does_not_replace_the_new_one(self, cache: MemoryCache, source: Source) -> None:
        slow = Source()
        slow.open.clear()
        early = fetching(cache, slow)
        await slow.begun.wait()
        await cache.forget("profile")
        source.value = "second"
        assert await fetched(cache, source) == "second"
        slow.open.set()
        assert await early == "first"
        assert cache.stats().keys == ["profile:1"]
        assert await fetched(cache, source) == "second"
        assert source.loads == 1

    async def test_a_load_goes_on_when_another_tag_is_forgotten(self, cache: MemoryCache, source: Source) -> None:
        source.open.clear()
        waiting = fetching(cache, source)
        await source.begun.wait()
        await cache.forget("template")
        source.open.set()
        await waiting
        assert cache.stats().keys == ["profile:1"]

    async def test_forgetting_a_tag_drops_all_its_entries_and_no_other(
        self, cache: MemoryCache, source: Source
    ) -> None:
        await fetched(cache, source, "profile:1", "account:1", "profile")
        await fetched(cache, source, "template:1", "account:1")
        await fetched(cache, source, "profile:2", "account:2", "profile")
        await cache.forget("account:1")
        assert cache.stats().keys == ["profile:2"]
        await cache.forget("account:1", "profile")
        assert cache.stats().keys == []

    async def test_an_entry_loaded_after_forgetting_stays(self, cache: MemoryCache, source: Source) -> None:
        await cache.forget("profile")
        await fetched(cache, source)
        await fetched(cache, source)
        assert source.loads == 1

    async def test_the_least_used_entries_give_way(self, cache: MemoryCache, source: Source) -> None:
        await fetched(cache, source, "profile:kept")
        for number in range(150):
            await fetched(cache, source, f"token:{number}")
            await fetched(cache, source, "profile:kept")
        stats = cache.stats()
        assert stats.size == 100
        assert "profile:kept" in stats.keys
        assert "token:0" not in stats.keys

    async def test_tags_beyond_number_are_forgotten_all_the_same(self, cache: MemoryCache, source: Source) -> None:
        await fetched(cache, source)
        for number in range(99):
            await cache.forget(f"other:{number}")
        assert cache.stats().keys == ["profile:1"]
        for number in range(99, 300):
            await cache.forget(f"other:{number}")
        assert cache.stats().keys == []  # more is dropped than was asked for, never less
        source.value = "second"
        assert await fetched(cache, source) == "second"
        await cache.forget("profile")
        assert cache.stats().keys == []

    async def test_the_counters_are_bounded_too(self, cache: MemoryCache, source: Source) -> None:
        for number in range(300):
            await fetched(cache, source, f"{number}:key")
        families = cache.stats().families
        assert len(families) == 101
        assert sum(family.misses for family in families) == 300
        assert sum(family.size for family in families) == 100

    async def test_forgetting_tells_the_other_processes(self, cache: MemoryCache, events: MemoryEvents) -> None:
        async with asyncio.timeout(10), events.subscribe() as signals:
            await cache.forget("profile", "account:1")
            assert await anext(signals) == CacheStale(("profile", "account:1"))
