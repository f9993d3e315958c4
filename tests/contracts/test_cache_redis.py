"""Memory with Redis behind it keeps what every cache keeps, and shares what has a shape, sealed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from builders import SEALER
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.redis import RedisTier
from inbox.adapters.events.memory import MemoryEvents
from inbox.kit.sealing import Sealer
from inbox.ports.cache import FamilyStats, SharedStats
from redis_server import RedisServer

from .caching import Clock, RememberingCases, Source, fetched
from .redis_side import CALM, Process, Processes, Profile, shared_hits, stored, until


class TestRedisCache(RememberingCases):
    @pytest.fixture
    async def cache(self, events: MemoryEvents, clock: Clock, redis_server: RedisServer) -> AsyncIterator[MemoryCache]:
        tier = RedisTier(redis_server.url, SEALER, patience=CALM)
        async with tier.running():
            await until(lambda: tier.is_up)
            yield MemoryCache(events, tier, capacity=100, clock=clock)

    async def test_hits_and_misses_are_counted_in_both_tiers(self, cache: MemoryCache, source: Source) -> None:
        for key in ("profile:1", "profile:1", "profile:2"):
            await fetched(cache, source, key)
        await stored(cache)
        cache._entries.clear()
        await fetched(cache, source, "profile:1")
        [family] = cache.stats().families
        assert family == FamilyStats(family="profile", size=1, hits=1, misses=3, shared_hits=1, shared_misses=2)
        assert family.ratio == 0.5


@pytest.fixture
async def processes(redis_server: RedisServer) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(redis_server.url, stack, CALM)


@pytest.fixture
async def one(processes: Processes) -> Process:
    return await processes.start()


@pytest.fixture
async def other(processes: Processes) -> Process:
    """A second process, which has asked Redis before: it believes what is stored from now on."""
    process = await processes.start()
    await process.fetched("warm:up")
    process.loads = 0
    return process


async def test_what_one_process_loaded_another_does_not_load(one: Process, other: Process) -> None:
    one.value = Profile("shared")
    await one.fetched()
    await stored(one.cache)
    assert await other.fetched() == Profile("shared")
    assert other.loads == 0
    assert shared_hits(other.cache) == 1


async def test_an_absence_is_shared_too(one: Process, other: Process) -> None:
    one.value = None
    await one.fetched()
    await stored(one.cache)
    assert await other.fetched() is None
    assert other.loads == 0


async def test_a_value_without_a_shape_never_leaves_the_process(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    await one.fetched("secret:1", shape=None)
    await stored(one.cache)
    assert not redis_server.client.keys("*:entry:secret:*")
    await other.fetched("secret:1", shape=None)
    assert other.loads == 1


async def test_nothing_stands_in_redis_in_clear(one: Process, redis_server: RedisServer) -> None:
    one.value = Profile("Ada-canary", "canary@example.org")
    await one.fetched("profile:canary", "profile:canary")
    await stored(one.cache)
    await one.cache.forget("tag-canary")
    client = redis_server.client
    names = list(client.scan_iter())
    values = [client.get(name) for name in names if client.type(name) == b"string"]
    assert any(b":entry:profile:" in name for name in names)
    assert b"canary" not in b" ".join([*names, *values])


async def test_what_was_sealed_with_another_key_is_a_miss(one: Process, redis_server: RedisServer) -> None:
    await one.fetched()
    await stored(one.cache)
    tier = RedisTier(redis_server.url, Sealer([("k", bytes(32))]), patience=CALM)
    tier._vault._name_key = one.tier._vault._name_key
    stranger = MemoryCache(MemoryEvents(), tier)
    async with stranger.running():
        await until(lambda: tier.is_up)
        await stranger.fetch("warm:up", other_value, tags=["warm"], ttl=60, shape=Profile)
        one.drop()
        await one.cache.forget("profile")
        await one.fetched()
        await stored(one.cache)
        assert await stranger.fetch("profile:1", other_value, tags=["profile"], ttl=60, shape=Profile) == Profile("own")


async def other_value() -> Profile:
    return Profile("own")


async def test_an_entry_moved_to_another_key_is_a_miss(one: Process, other: Process, redis_server: RedisServer) -> None:
    await one.fetched("profile:1")
    one.value = Profile("second")
    await one.fetched("profile:2")
    await stored(one.cache)
    client = redis_server.client
    first, second = sorted(client.keys("*:entry:profile:*"))
    client.copy(first, second, replace=True)
    other.value = Profile("own")
    found = [await other.fetched("profile:1"), await other.fetched("profile:2")]
    assert found in ([Profile("first"), Profile("own")], [Profile("own"), Profile("second")])


@pytest.mark.parametrize("garbage", [b"", b"\x80\x04garbage", b"0123456789abcdef 99 \x01\x01", b"{}"])
async def test_garbage_in_redis_is_a_miss(
    one: Process, other: Process, redis_server: RedisServer, garbage: bytes
) -> None:
    await one.fetched()
    await stored(one.cache)
    client = redis_server.client
    for name in client.keys("*:entry:profile:*"):
        client.set(name, garbage, keepttl=True)
    assert await other.fetched() == Profile("first")
    assert other.loads == 1
    assert other.tier.is_up


async def test_an_entry_with_a_good_head_and_garbage_behind_it_is_a_miss_and_is_replaced(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    await one.fetched()
    await stored(one.cache)
    client = redis_server.client
    [name] = client.keys("*:entry:profile:*")
    head = b" ".join(client.get(name).split(b" ")[:2])
    client.set(name, head + b" garbage", keepttl=True)
    assert await other.fetched() == Profile("first")
    await stored(other.cache)
    other.drop()
    assert await other.fetched() == Profile("first")
    assert other.loads == 1


@pytest.mark.parametrize("which", ["entry", "tag", "clock"])
async def test_a_key_of_another_kind_is_a_miss_and_heals(
    one: Process, other: Process, redis_server: RedisServer, which: str
) -> None:
    await one.fetched()
    await stored(one.cache)
    client = redis_server.client
    for name in client.keys(f"*:{which}*"):
        client.delete(name)
        client.rpush(name, "a list")
    assert await other.fetched() == Profile("first")
    assert other.loads == 1
    await stored(other.cache)
    other.drop()
    assert await other.fetched() == Profile("first")
    assert other.loads == 1
    assert other.tier.is_up


class Newer(msgspec.Struct, frozen=True):
    name: str
    email: str
    phone: str = ""


async def test_another_versions_shape_is_a_miss(one: Process, other: Process) -> None:
    await one.fetched()
    await stored(one.cache)
    other.value = Newer("newer", "")
    assert await other.fetched(shape=Newer) == Newer("newer", "")
    assert other.loads == 1


async def test_an_entry_with_other_tags_is_a_miss(one: Process, other: Process) -> None:
    await one.fetched("profile:1", "profile")
    await stored(one.cache)
    await other.fetched("profile:1", "profile", "account:1")
    assert other.loads == 1


@pytest.mark.parametrize("value", [Profile("x" * 300_000), Profile(object())])  # type: ignore[arg-type]
async def test_what_is_too_large_or_no_plain_data_is_kept_here_only(
    one: Process, other: Process, redis_server: RedisServer, value: Profile
) -> None:
    one.value = value
    assert await one.fetched() is value
    await stored(one.cache)
    assert await one.fetched() is value
    assert one.loads == 1
    assert not redis_server.client.keys("*:entry:profile:*")


async def test_the_time_in_redis_is_the_rest_of_the_entrys_own(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    await one.fetched(ttl=40)
    await stored(one.cache)
    [name] = redis_server.client.keys("*:entry:profile:*")
    assert 38_000 < redis_server.client.pttl(name) <= 40_000
    await other.fetched(ttl=90)
    [entry] = [entry for key, entry in other.cache._entries.items() if key == "profile:1"]
    assert entry.until - other.cache._clock() <= 40


async def test_every_key_in_redis_ends_by_itself(one: Process, redis_server: RedisServer) -> None:
    await one.fetched()
    await stored(one.cache)
    await one.cache.forget("profile", "account:1")
    await one.cache.forget(*(f"many:{number}" for number in range(5_000)))
    client = redis_server.client
    names = list(client.scan_iter())
    assert 5 <= len(names) < 20
    assert min(client.pttl(name) for name in names) > 0


async def test_what_redis_holds_is_counted_by_family(one: Process) -> None:
    for key in ("profile:1", "profile:2", "account:1"):
        await one.fetched(key)
    await stored(one.cache)
    sizes = {"profile": 2, "account": 1}
    assert await one.cache.shared() == SharedStats(is_up=True, sizes=sizes, is_complete=True)


async def test_two_hundred_cold_requests_make_one_load_per_process(one: Process, other: Process) -> None:
    other.begun.clear()
    one.open.clear()
    other.open.clear()
    waiting = [asyncio.create_task(process.fetched()) for process in (one, other) for _ in range(200)]
    await asyncio.gather(one.begun.wait(), other.begun.wait())
    one.open.set()
    other.open.set()
    assert set(await asyncio.gather(*waiting)) == {Profile("first")}
    assert (one.loads, other.loads) == (1, 1)


async def test_many_at_once_share_one_connection(one: Process, redis_server: RedisServer) -> None:
    keys = [f"profile:{number}" for number in range(500)]
    await asyncio.gather(*(one.fetched(key) for key in keys))
    assert one.loads == 500
    assert one.tier.is_up
    others = [client for client in redis_server.client.client_list() if client["cmd"] != "client"]
    assert len(others) == 1
