"""What every bus keeps: order, bounds, no silent gap. And what the bus between processes keeps besides."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from inbox.adapters.events.memory import QUEUE, MemoryEvents
from inbox.adapters.events.postgres import CHANNEL, PostgresEvents
from inbox.domain.events import CacheStale, MessageSettled, Resync, Signal, WorkWaiting
from inbox.domain.ids import MessageId
from inbox.domain.work import WorkKind
from inbox.main.embedded import Server
from inbox.ports.events import Events
from postgres_server import create_database, drop_database


def a_signal() -> Signal:
    return MessageSettled(MessageId(uuid4()))


async def taken(signals: AsyncIterator[Signal], count: int = 1) -> list[Signal]:
    async with asyncio.timeout(10):
        return [await anext(signals) for _ in range(count)]


class EventsCases:
    async def test_a_subscriber_gets_what_is_published_in_order(self, events: Events) -> None:
        published = [a_signal() for _ in range(50)]
        async with events.subscribe() as signals:
            for signal in published:
                events.publish(signal)
            assert await taken(signals, 50) == published

    async def test_one_call_may_publish_several_signals(self, events: Events) -> None:
        first, second = a_signal(), CacheStale(("profile:1", "profile:2"))
        async with events.subscribe() as signals:
            events.publish(first, second)
            assert await taken(signals, 2) == [first, second]

    async def test_publishing_nothing_wakes_nobody_up(self, events: Events) -> None:
        signal = a_signal()
        async with events.subscribe() as signals:
            events.publish()
            waiting = asyncio.ensure_future(anext(signals))
            events.publish(signal)
            async with asyncio.timeout(10):
                assert await waiting == signal

    async def test_every_subscriber_gets_every_signal_once(self, events: Events) -> None:
        first, second = a_signal(), a_signal()
        async with events.subscribe() as one, events.subscribe() as other:
            events.publish(first)
            events.publish(second)
            assert await taken(one, 2) == [first, second]
            assert await taken(other, 2) == [first, second]

    async def test_a_subscription_begins_with_the_block_and_ends_with_it(self, events: Events) -> None:
        early, late = a_signal(), a_signal()
        events.publish(early)
        async with events.subscribe() as signals:
            events.publish(late)
            assert await taken(signals) == [late]
        async with events.subscribe() as again:
            events.publish(early)
            assert await taken(again) == [early]

    async def test_a_cancelled_wait_loses_no_signal(self, events: Events) -> None:
        signal = a_signal()
        async with events.subscribe() as signals:
            waiting = asyncio.ensure_future(anext(signals))
            await asyncio.wait([waiting], timeout=0)
            waiting.cancel()
            events.publish(signal)
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            assert await taken(signals) == [signal]

    async def test_a_subscriber_that_falls_behind_is_told_to_look_at_everything(self, events: Events) -> None:
        newest = a_signal()
        async with events.subscribe() as slow, events.subscribe() as quick:
            for _ in range(QUEUE + 1):
                signal = a_signal()
                events.publish(signal)
                assert await taken(quick) == [signal]
            events.publish(newest)
            assert await taken(slow, 2) == [Resync(), newest]

    async def test_more_signals_at_once_than_a_queue_holds_are_one_resync(self, events: Events) -> None:
        newest = a_signal()
        async with events.subscribe() as signals:
            events.publish(*[a_signal() for _ in range(QUEUE + 1)])
            events.publish(newest)
            assert await taken(signals, 2) == [Resync(), newest]

    async def test_a_full_queue_is_no_gap_yet(self, events: Events) -> None:
        published = [a_signal() for _ in range(QUEUE)]
        async with events.subscribe() as signals:
            events.publish(*published)
            assert await taken(signals, QUEUE) == published


class TestMemoryEvents(EventsCases):
    @pytest.fixture
    def events(self) -> MemoryEvents:
        return MemoryEvents()


@pytest.fixture(scope="module")
def bus_database(postgres: Server, worker_id: str) -> Iterator[str]:
    name = f"bus_{worker_id}"
    create_database(postgres, name)
    yield name
    drop_database(postgres, name)


@pytest.fixture
def dsn(postgres: Server, bus_database: str) -> str:
    return postgres.url_for(bus_database).replace("+asyncpg", "")


class Buses:
    """Several processes on one database."""

    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self._dsn = dsn
        self._stack = stack

    async def start(self, bus: PostgresEvents | None = None) -> PostgresEvents:
        """A bus that listens by now."""
        bus = bus or PostgresEvents(self._dsn)
        async with bus.subscribe() as signals:
            await self._stack.enter_async_context(bus.running())
            assert await taken(signals) == [Resync()]
        return bus


@pytest.fixture
async def buses(dsn: str) -> AsyncIterator[Buses]:
    async with AsyncExitStack() as stack:
        yield Buses(dsn, stack)


class TestPostgresEvents(EventsCases):
    @pytest.fixture
    async def events(self, buses: Buses) -> PostgresEvents:
        return await buses.start()

    async def test_another_process_gets_the_signals_in_order(self, events: PostgresEvents, buses: Buses) -> None:
        other = await buses.start()
        published = [a_signal(), WorkWaiting(WorkKind.SEND), CacheStale(("profile:é",)), a_signal()]
        async with other.subscribe() as signals:
            events.publish(*published[:2])
            events.publish(*published[2:])
            assert await taken(signals, 4) == published

    async def test_own_signals_do_not_come_back_from_the_database(self, events: PostgresEvents, buses: Buses) -> None:
        other = await buses.start()
        mine, theirs = a_signal(), a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            events.publish(mine)
            assert await taken(there) == [mine]
            other.publish(theirs)  # after `mine` in the order of the database
            assert await taken(here, 2) == [mine, theirs]

    async def test_signals_that_are_too_large_for_one_letter_arrive_in_several(
        self, events: PostgresEvents, buses: Buses
    ) -> None:
        other = await buses.start()
        published = [CacheStale((f"{number:04d}" * 50,)) for number in range(400)]
        async with other.subscribe() as signals:
            events.publish(*published)
            assert await taken(signals, 400) == published

    async def test_a_signal_too_large_for_the_database_arrives_as_a_resync(
        self, events: PostgresEvents, buses: Buses
    ) -> None:
        other = await buses.start()
        newest = a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            large = CacheStale(("x" * 9_000,))
            events.publish(large)
            events.publish(newest)
            assert await taken(here, 2) == [large, newest]
            assert await taken(there, 2) == [Resync(), newest]

    async def test_a_letter_of_another_version_is_a_resync(
        self, events: PostgresEvents, postgres: Server, bus_database: str
    ) -> None:
        async with events.subscribe() as signals:
            for letter in ("nonsense", '["someone",[{"type":"later"}]]'):
                postgres.query(f"select pg_notify('{CHANNEL}', '{letter}')", database=bus_database)
                assert await taken(signals) == [Resync()]

    async def test_a_lost_listener_is_told_to_look_again_and_hears_again(
        self, events: PostgresEvents, buses: Buses, postgres: Server, bus_database: str
    ) -> None:
        other = await buses.start()
        signal = a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            _kill(postgres, bus_database, "listen%")
            assert await taken(here) == [Resync()]
            assert await taken(there) == [Resync()]
            events.publish(signal)
            assert await taken(there) == [signal]

    async def test_signals_lost_with_the_telling_connection_are_a_resync_for_the_others(
        self, events: PostgresEvents, buses: Buses, postgres: Server, bus_database: str
    ) -> None:
        other = await buses.start()
        before, lost, after = a_signal(), a_signal(), a_signal()
        async with other.subscribe() as signals:
            events.publish(before)
            assert await taken(signals) == [before]
            _kill(postgres, bus_database, "select pg_notify%")
            events.publish(lost)
            assert await taken(signals) == [Resync()]
            events.publish(after)
            assert await taken(signals) == [after]

    async def test_a_backlog_that_is_too_long_becomes_one_resync(
        self, events: PostgresEvents, buses: Buses, dsn: str
    ) -> None:
        cut_off = PostgresEvents(dsn)
        newest = a_signal()
        async with events.subscribe() as signals:
            for _ in range(10_001):
                cut_off.publish(WorkWaiting(WorkKind.SEND))
            cut_off.publish(newest)
            await buses.start(cut_off)
            assert await taken(signals, 2) == [Resync(), newest]

    async def test_without_a_database_the_process_still_hears_itself(self) -> None:
        alone = PostgresEvents("postgresql://nobody@127.0.0.1:1/nowhere")
        signal = a_signal()
        async with alone.running(), alone.subscribe() as signals:
            alone.publish(signal)
            assert await taken(signals) == [signal]


def _kill(server: Server, database: str, query: str) -> None:
    """End the backends whose last statement was this, and wait for their end."""
    killed = server.query(
        "select count(*) filter (where pg_terminate_backend(pid, 5000)) from pg_stat_activity"  # noqa: S608 - constants of this file
        f" where datname = '{database}' and query ilike '{query}' and pid <> pg_backend_pid()"
    )
    assert int(killed) > 0
