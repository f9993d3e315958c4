"""Redis gone, slow, full, or back with old data: nothing stale is read, and nobody waits for it twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog

from inbox.adapters.cache.redis_entries import Points
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.events.postgres import PostgresEvents
from inbox.domain.signals import Resync
from inbox.main.embedded import Server
from inbox.ports.cache import SharedStats
from postgres_server import create_database, drop_database
from redis_server import RedisServer

from .redis_side import CALM, Process, Processes, Profile, stored, took, until

SECOND = Profile("second")


@pytest.fixture
async def processes(redis_server: RedisServer) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(redis_server.url, stack, CALM)


@pytest.fixture
async def hasty(redis_server: RedisServer) -> AsyncIterator[Process]:
    """A process that gives Redis the 50 ms of production."""
    async with AsyncExitStack() as stack:
        yield await Processes(redis_server.url, stack).start()


@pytest.fixture
async def one(processes: Processes) -> Process:
    return await processes.start()


@pytest.fixture
async def other(processes: Processes) -> Process:
    """A process that no signal of `one` reaches, and that believes what is stored from now on."""
    process = await processes.start()
    await process.fetched("warm:up")
    process.loads = 0
    return process


async def kept_in_redis(process: Process, redis_server: RedisServer) -> None:
    await process.fetched()
    await stored(process.cache)
    assert redis_server.client.keys("*:entry:profile:*")


@asynccontextmanager
async def deaf(redis_server: RedisServer, *processes: Process) -> AsyncIterator[None]:
    """Redis takes no writes, so it hears of nothing; it keeps what it has. The processes find out, and that it ends."""
    redis_server.client.config_set("maxmemory", 1)
    for process in processes:
        await process.is_up(up=False)
    yield
    redis_server.client.config_set("maxmemory", 0)
    for process in processes:
        await process.is_up()


async def forget_without_redis(process: Process, redis_server: RedisServer, *others: Process) -> None:
    """The write happened, the process knows, Redis does not."""
    async with deaf(redis_server, process, *others):
        process.value = SECOND
        await process.cache.forget("profile")


# --- gone or slow -----------------------------------------------------------------------------------------------------


async def test_a_redis_that_hangs_costs_one_short_wait_and_then_nothing(
    hasty: Process, redis_server: RedisServer
) -> None:
    redis_server.hold()
    assert await took(hasty, "profile:1") < 2
    assert not hasty.tier.is_up
    begun = time.perf_counter()
    for number in range(100):
        await hasty.fetched(f"account:{number}")
    assert time.perf_counter() - begun < 2.5  # half of 100 waits
    assert hasty.loads == 101
    redis_server.release()
    await hasty.is_up()


async def test_all_who_ask_a_redis_that_hangs_wait_together(hasty: Process, redis_server: RedisServer) -> None:
    redis_server.hold()
    begun = time.perf_counter()
    await asyncio.gather(*(hasty.fetched(f"profile:{number}") for number in range(200)))
    assert time.perf_counter() - begun < 5  # half of 200 waits
    assert hasty.loads == 200


async def test_forgetting_waits_no_longer_than_a_question(hasty: Process, redis_server: RedisServer) -> None:
    redis_server.hold()
    begun = time.perf_counter()
    for _ in range(50):
        await hasty.cache.forget("profile")
    assert time.perf_counter() - begun < 1.2  # half of 50 waits


async def test_beyond_a_hundred_who_wait_for_redis_nobody_waits(one: Process, redis_server: RedisServer) -> None:
    redis_server.hold()
    waiting = [asyncio.create_task(one.fetched(f"profile:{number}")) for number in range(300)]
    await until(lambda: one.loads > 0)
    assert one.loads == 199  # one asks, a hundred wait
    redis_server.release()
    await asyncio.gather(*waiting)
    assert one.loads == 300
    assert one.changes == [True]


async def test_a_redis_that_dies_is_done_without_and_found_again(one: Process, redis_server: RedisServer) -> None:
    redis_server.kill()
    await one.is_up(up=False)
    assert await one.fetched() == Profile("first")
    redis_server.start()
    await one.is_up()
    assert one.changes == [True, False, True]


async def test_each_change_is_logged_once(processes: Processes, redis_server: RedisServer) -> None:
    with structlog.testing.capture_logs() as lines:
        one = await processes.start()
        redis_server.kill()
        await one.is_up(up=False)
        for number in range(20):
            await one.fetched(f"profile:{number}")
        redis_server.start()
        await one.is_up()
    changes = [line["event"] for line in lines if line["event"].startswith("shared_cache_")]
    assert changes == ["shared_cache_up", "shared_cache_down", "shared_cache_up"]


async def test_a_redis_that_was_never_there_is_done_without() -> None:
    one = Process("unix:///nowhere/redis.sock")
    async with one.cache.running():
        await until(lambda: one.changes == [False])
        assert await one.fetched() == Profile("first")
        assert await one.fetched() == Profile("first")
        shared = await one.cache.shared()
    assert one.loads == 1
    assert shared == SharedStats(is_up=False, sizes={}, is_complete=False)


async def test_a_full_redis_is_left_alone_until_it_takes_writes_again(one: Process, redis_server: RedisServer) -> None:
    redis_server.client.config_set("maxmemory", 1)
    assert await one.fetched() == Profile("first")
    await one.is_up(up=False)
    redis_server.client.config_set("maxmemory", 0)
    await one.is_up()


async def test_scripts_that_were_dropped_are_loaded_again(one: Process, redis_server: RedisServer) -> None:
    redis_server.client.script_flush()
    await kept_in_redis(one, redis_server)
    assert one.changes == [True]


async def test_a_caller_that_leaves_does_not_disturb_the_others(one: Process, redis_server: RedisServer) -> None:
    for turns in range(100):  # it leaves at another place of the call each time
        leaving = asyncio.create_task(one.fetched(f"account:{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        keys = [f"profile:{turns}:{number}" for number in range(5)]
        assert await asyncio.gather(*(one.fetched(key) for key in keys)) == [Profile("first")] * 5
    assert one.changes == [True]


async def test_after_its_end_a_cache_asks_redis_no_more(redis_server: RedisServer) -> None:
    one = Process(redis_server.url)
    async with one.cache.running():
        await one.is_up()
    assert not one.tier.is_up
    assert await one.fetched() == Profile("first")


# --- never stale ------------------------------------------------------------------------------------------------------


async def test_without_a_missed_forgetting_the_entry_would_have_been_used(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    """The control of the tests below: nothing else keeps the entry from being used."""
    await kept_in_redis(one, redis_server)
    async with deaf(redis_server, one, other):
        pass
    one.drop()
    await one.fetched()
    await other.fetched()
    assert (one.loads, other.loads) == (1, 0)


async def test_who_forgot_reads_nothing_older_even_if_redis_missed_it(one: Process, redis_server: RedisServer) -> None:
    await kept_in_redis(one, redis_server)
    await forget_without_redis(one, redis_server)
    assert await one.fetched() == SECOND


async def test_who_was_told_reads_nothing_older_even_if_redis_missed_it(
    processes: Processes, redis_server: RedisServer
) -> None:
    bus = MemoryEvents()
    one, other = await processes.start(bus), await processes.start(bus)
    other.value = SECOND
    await other.fetched("warm:up")
    await kept_in_redis(one, redis_server)
    await other.fetched()
    assert other.loads == 1
    await forget_without_redis(one, redis_server, other)
    await until(lambda: "profile:1" not in other.cache.stats().keys)
    assert await other.fetched() == SECOND
    assert other.loads == 2


async def test_who_starts_later_reads_nothing_older_even_if_redis_missed_it(
    one: Process, processes: Processes, redis_server: RedisServer
) -> None:
    await kept_in_redis(one, redis_server)
    await forget_without_redis(one, redis_server)
    late = await processes.start()
    late.value = SECOND
    assert await late.fetched() == SECOND


async def test_after_a_gap_in_the_bus_nothing_older_is_read(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    await kept_in_redis(one, redis_server)
    await forget_without_redis(one, redis_server, other)
    other.value = SECOND
    await other.fetched("account:1")
    other.events.publish(Resync())
    await until(lambda: other.cache.stats().keys == [])
    assert await other.fetched() == SECOND


async def test_a_redis_that_comes_back_with_old_data_is_not_believed(
    one: Process, other: Process, processes: Processes, redis_server: RedisServer
) -> None:
    await kept_in_redis(one, redis_server)
    redis_server.client.save()
    redis_server.kill()
    await one.is_up(up=False)
    one.value = other.value = SECOND
    await one.cache.forget("profile")
    redis_server.start()
    assert redis_server.client.keys("*:entry:profile:*")
    late = await processes.start()
    late.value = SECOND
    for process in (other, late, one):  # `other` was told nothing: only the id of the run keeps it from believing
        await process.is_up()
        process.drop()
        assert await process.fetched() == SECOND


async def test_a_load_that_began_before_a_forgetting_elsewhere_is_of_use_to_nobody(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    other.begun.clear()
    other.open.clear()
    early = asyncio.create_task(other.fetched())
    await other.begun.wait()
    one.value = SECOND
    await one.cache.forget("profile")
    other.open.set()
    assert await early == Profile("first")
    await stored(other.cache)
    assert not redis_server.client.keys("*:entry:profile:*")
    assert await one.fetched() == SECOND


async def test_a_load_that_began_before_a_forgetting_that_redis_missed_is_not_used_by_who_forgot(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    other.begun.clear()
    other.open.clear()
    early = asyncio.create_task(other.fetched())
    await other.begun.wait()
    await forget_without_redis(one, redis_server, other)
    other.open.set()
    await early
    await stored(other.cache)
    assert redis_server.client.keys("*:entry:profile:*")
    assert await one.fetched() == SECOND


async def test_a_load_that_began_before_a_flush_is_of_use_to_nobody(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    other.begun.clear()
    other.open.clear()
    early = asyncio.create_task(other.fetched())
    await other.begun.wait()
    redis_server.client.flushall()
    await one.fetched("account:1")  # a new clock
    other.open.set()
    await early
    await stored(other.cache)
    assert not redis_server.client.keys("*:entry:profile:*")


async def test_everything_dropped_is_dropped_for_all(one: Process, other: Process, redis_server: RedisServer) -> None:
    await kept_in_redis(one, redis_server)
    await one.cache.clear()
    other.value = SECOND
    assert await other.fetched() == SECOND


async def test_more_tags_than_redis_is_told_of_drop_everything(
    one: Process, other: Process, redis_server: RedisServer
) -> None:
    await kept_in_redis(one, redis_server)
    await one.cache.forget("profile", *(f"many:{number}" for number in range(200)))
    other.value = SECOND
    assert await other.fetched() == SECOND


def test_the_memory_of_points_is_bounded_and_forgets_on_the_safe_side() -> None:
    points = Points()
    for serial in range(10_000):
        points.learn("clock", serial, serial * 10)
    assert len(points._serials) <= 1_000
    floor = points.floor(5)
    assert floor is not None
    assert floor >= 50
    assert points.floor(9_999) == 99_990
    assert points.floor(10_000) is None
    points.learn("another", 10_000, 3)
    assert points.floor(9_999) == 3
    assert points.floor(10_001) is None


# --- over PostgreSQL --------------------------------------------------------------------------------------------------


@pytest.fixture
def dsn(postgres: Server, worker_id: str) -> Iterator[str]:
    name = f"cache_{worker_id}"
    create_database(postgres, name)
    yield postgres.url_for(name).replace("+asyncpg", "")
    drop_database(postgres, name)


async def test_two_processes_joined_by_postgresql_forget_together(processes: Processes, dsn: str) -> None:
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(2):
            bus = PostgresEvents(dsn)
            async with bus.subscribe() as signals, asyncio.timeout(10):
                await stack.enter_async_context(bus.running())
                await anext(signals)  # Resync: it listens
            started.append(await processes.start(bus))
        one, other = started
        await other.fetched("warm:up")
        await one.fetched()
        await stored(one.cache)
        await other.fetched()
        assert (one.loads, other.loads) == (1, 1)
        other.value = SECOND
        begun = time.perf_counter()
        await one.cache.forget("profile")
        await until(lambda: "profile:1" not in other.cache.stats().keys)
        assert time.perf_counter() - begun < 10  # it is remembered for longer
        assert await other.fetched() == SECOND
