"""The buses keep their promises: within a process, over PostgreSQL and over Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, get_args, get_origin

import msgspec
import pytest
import structlog

from builders import SEALER
from inbox.adapters.events.letters import STALE_SECONDS, Letters
from inbox.adapters.events.lines import Patience
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.events.postgres import CHANNEL, PostgresEvents
from inbox.adapters.events.redis import RedisEvents
from inbox.domain.signals import LogGrew, Resync, Signal
from inbox.kit.sealing import Sealer
from inbox.main.embedded import Server
from postgres_server import create_database, drop_database
from redis_server import RedisServer

from .bus_cases import QUICK, SECRET, Bus, BusCases, Buses, EventsCases, Side, a_signal, taken, taken_until
from .redis_side import until

OLD, NEW = ("old", bytes(32)), ("new", b"another".ljust(32))


class TestMemoryEvents(EventsCases):
    @pytest.fixture
    def events(self) -> MemoryEvents:
        return MemoryEvents()

    @pytest.mark.parametrize("kind", get_args(Signal))
    def test_every_kind_of_signal_can_be_recognised_among_those_that_wait(self, kind: type[msgspec.Struct]) -> None:
        assert kind.__struct_config__.frozen
        for field in msgspec.structs.fields(kind):
            assert get_origin(field.type) not in {list, dict, set}, "publishing would raise: it has no hash"


async def test_what_waited_long_for_the_wire_arrives_as_a_resync() -> None:
    now = 100.0
    one, other = (Letters(most_bytes=1_000, clock=lambda: now) for _ in range(2))
    async with other.subscribe() as signals:
        for waited, arrives in (STALE_SECONDS, soon := a_signal()), (STALE_SECONDS + 0.1, Resync()):
            one.publish(soon)
            now += waited
            for letter in await one.outgoing(within=0):
                other.received(letter)
            assert await taken(signals) == [arrives]


async def test_that_the_log_grew_waits_for_company_and_nothing_else_does() -> None:
    patient, other = Letters(most_bytes=1_000, gather=300.0), Letters(most_bytes=1_000)
    async with other.subscribe() as signals, asyncio.timeout(20):
        patient.publish(LogGrew())
        letters = asyncio.create_task(patient.outgoing(within=10.0))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not letters.done()
        patient.publish(soon := a_signal())
        for letter in await letters:
            other.received(letter)
        assert [await anext(signals), await anext(signals)] == [LogGrew(), soon]


async def test_that_the_log_grew_is_said_without_company_too() -> None:
    one, other = Letters(most_bytes=1_000, gather=0.001), Letters(most_bytes=1_000)
    async with other.subscribe() as signals:
        one.publish(LogGrew())
        for letter in await one.outgoing(within=10.0):
            other.received(letter)
        assert await taken(signals) == [LogGrew()]


@pytest.fixture
async def buses(side: Side) -> AsyncIterator[Buses]:
    async with AsyncExitStack() as stack:
        yield Buses(side, stack)


@pytest.fixture
async def events(buses: Buses) -> Bus:
    return await buses.start()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


class PostgresSide:
    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database

    def bus(self, **wiring: Any) -> PostgresEvents:  # noqa: ANN401 - as the adapter takes it
        dsn = self._server.url_for(self._database).replace("+asyncpg", "")
        return PostgresEvents(dsn, **{"patience": QUICK, **wiring})

    def nowhere(self, **wiring: Any) -> PostgresEvents:  # noqa: ANN401
        return PostgresEvents(f"postgresql://nobody:{SECRET}@127.0.0.1:1/nowhere", **wiring)

    def say(self, letter: str) -> None:
        self._server.query(f"select pg_notify('{CHANNEL}', '{letter}')", database=self._database)

    def kill_listeners(self) -> None:
        self._kill("listen%")

    def kill_tellers(self) -> None:
        self._kill("select pg_notify%")

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.query(f"alter database {self._database} allow_connections false")
        self._kill("%")
        yield
        self._server.query(f"alter database {self._database} allow_connections true")

    def _kill(self, query: str) -> None:
        """End the backends whose last statement was this, and wait for their end."""
        killed = self._server.query(
            "select count(*) filter (where pg_terminate_backend(pid, 5000)) from pg_stat_activity"  # noqa: S608 - constants of this file
            f" where datname = '{self._database}' and query ilike '{query}' and pid <> pg_backend_pid()"
        )
        assert int(killed) > 0


@pytest.fixture(scope="module")
def postgres_side(postgres: Server, worker_id: str) -> Iterator[PostgresSide]:
    name = f"bus_{worker_id}"
    create_database(postgres, name)
    yield PostgresSide(postgres, name)
    drop_database(postgres, name)


class TestPostgresEvents(BusCases):
    @pytest.fixture
    def side(self, postgres_side: PostgresSide) -> PostgresSide:
        return postgres_side


# --- Redis ------------------------------------------------------------------------------------------------------------


class RedisSide:
    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def bus(self, **wiring: Any) -> RedisEvents:  # noqa: ANN401 - as the adapter takes it
        return RedisEvents(self._server.url, **{"sealer": SEALER, "patience": QUICK, **wiring})

    def nowhere(self, **wiring: Any) -> RedisEvents:  # noqa: ANN401
        return RedisEvents(f"rediss://nobody:{SECRET}@127.0.0.1:1/0", SEALER, **wiring)

    def say(self, letter: str) -> None:
        (channel,) = self._server.client.pubsub_channels()
        self._server.client.publish(channel, SEALER.seal(letter, table="bus", column="letter", row_id=""))

    def kill_listeners(self) -> None:
        assert self._server.client.client_kill_filter(_type="pubsub", skipme=True) > 0

    def kill_tellers(self) -> None:
        assert self._server.client.client_kill_filter(_type="normal", skipme=True) > 0

    def times(self, command: str) -> int:
        """How often the server was asked this."""
        calls: int = self._server.client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
        return calls

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.kill()
        yield
        self._server.start()


class TestRedisEvents(BusCases):
    @pytest.fixture
    def side(self, redis_of_module: RedisServer) -> RedisSide:
        return RedisSide(redis_of_module)

    async def test_a_redis_that_says_nothing_is_given_up_and_found_again(
        self, events: Bus, buses: Buses, side: RedisSide, redis_of_module: RedisServer
    ) -> None:
        changes: list[bool] = []
        hasty = Patience(silence=0.05, answer=0.4, rest=0.02)
        other = await buses.start(side.bus(patience=hasty, on_change=changes.append))
        await until(lambda: True in changes)
        signal = a_signal()
        async with other.subscribe() as signals:
            redis_of_module.hold()
            await until(lambda: changes[-1] is False)
            redis_of_module.release()
            assert await taken(signals) == [Resync()]
            await until(lambda: changes[-1])
            events.publish(signal)
            assert (await taken_until(signals, signal))[-1] == signal

    async def test_signals_that_redis_did_not_confirm_are_a_resync_for_the_others(
        self, events: Bus, buses: Buses, side: RedisSide, redis_of_module: RedisServer
    ) -> None:
        changes: list[bool] = []
        other = await buses.start(side.bus(patience=Patience(answer=0.3, rest=0.02), on_change=changes.append))
        await until(lambda: changes == [True])
        async with events.subscribe() as signals:
            redis_of_module.hold()
            other.publish(a_signal())
            await until(lambda: changes == [True, False])
            redis_of_module.release()
            assert (await taken_until(signals, Resync()))[-1] == Resync()

    async def test_a_silent_bus_asks_now_and_then_and_stays_connected(self, buses: Buses, side: RedisSide) -> None:
        changes: list[bool] = []
        asked, told = side.times("ping"), side.times("publish")
        await buses.start(side.bus(patience=Patience(silence=0.01), on_change=changes.append))
        await until(lambda: side.times("ping") > asked + 2 and side.times("publish") > told + 2)
        assert changes == [True]

    async def test_nothing_can_be_read_or_forged_without_the_key(
        self, events: Bus, redis_of_module: RedisServer
    ) -> None:
        signal = a_signal()
        with redis_of_module.client.pubsub(ignore_subscribe_messages=True) as stranger:
            stranger.psubscribe("*")
            stranger.get_message(timeout=5)
            async with events.subscribe() as signals:
                events.publish(signal)
                letter = await asyncio.to_thread(stranger.get_message, timeout=5)
                assert str(signal.message_id).encode() not in letter["data"]
                assert await taken(signals) == [signal]
                redis_of_module.client.publish(letter["channel"], b'["stranger",[{"type":"circuit_reset","name":"x"}]]')
                assert await taken(signals) == [Resync()]

    async def test_installations_that_share_a_redis_do_not_meet(
        self, events: Bus, buses: Buses, side: RedisSide
    ) -> None:
        friend = await buses.start()
        stranger, neighbour = [await buses.start(side.bus(sealer=Sealer([NEW]))) for _ in range(2)]
        foreign, ours = a_signal(), a_signal()
        async with events.subscribe() as here, neighbour.subscribe() as there:
            stranger.publish(foreign)
            assert await taken(there) == [foreign]
            friend.publish(ours)
            assert await taken(here) == [ours]

    async def test_processes_hear_each_other_while_keys_are_replaced(self, buses: Buses, side: RedisSide) -> None:
        for keys in ([OLD], [OLD, NEW]), ([OLD, NEW], [NEW, OLD]), ([NEW, OLD], [NEW]):
            one, other = [await buses.start(side.bus(sealer=Sealer(some))) for some in keys]
            async with one.subscribe() as here, other.subscribe() as there:
                mine, theirs = a_signal(), a_signal()
                one.publish(mine)
                assert await taken(there) == [mine]
                other.publish(theirs)
                assert await taken(here, 2) == [mine, theirs]

    async def test_a_user_needs_the_rights_that_the_manual_names_and_its_password_stays_secret(
        self, buses: Buses, redis_server: RedisServer
    ) -> None:
        rights = ["+publish", "+subscribe", "+ping", "resetchannels", "&inbox:signals:*"]
        redis_server.client.execute_command("ACL", "SETUSER", "bus", "on", f">{SECRET}", *rights)
        changes: list[bool] = []
        address = redis_server.url.removeprefix("unix://")
        with structlog.testing.capture_logs() as lines:
            bus = RedisEvents(f"unix://bus:{SECRET}@{address}", SEALER, patience=QUICK, on_change=changes.append)
            await buses.start(bus)
            await until(lambda: changes == [True])
            redis_server.client.execute_command("ACL", "SETUSER", "bus", "resetpass", ">another")
            redis_server.client.client_kill_filter(_type="pubsub")
            await until(lambda: changes == [True, False])
        assert [line.get("error") for line in lines if line["event"] == "bus_disconnected"] == ["ConnectionError"]
        assert SECRET not in str(lines)

    @pytest.mark.parametrize("options", [f"db={SECRET}", f"{SECRET}=1", f"ssl_cert_reqs={SECRET}"])
    def test_options_that_cannot_be_are_refused_before_anything_starts(self, options: str) -> None:
        with pytest.raises(ValueError, match="option") as caught:
            RedisEvents(f"rediss://cache.example/0?{options}", SEALER)
        assert SECRET not in str(caught.value)

    async def test_a_bus_that_ended_leaves_no_connection_behind(
        self, side: RedisSide, redis_server: RedisServer
    ) -> None:
        bus = side.bus()
        async with bus.subscribe() as signals:
            async with bus.running():
                await taken(signals)
                assert redis_server.client.client_list(_type="pubsub")
            await until(lambda: not redis_server.client.client_list(_type="pubsub"))
