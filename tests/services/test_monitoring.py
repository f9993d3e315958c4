"""What administrators see over all processes, and what they may do: two processes on one database and one bus."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from builders import SEALER, execute
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.shared import Found
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.errors import CircuitBreakerNotFound, DatabaseUnavailable, PermissionDenied
from inbox.domain.ids import UserId
from inbox.domain.signals import CircuitReset
from inbox.kit.breaker import Breakers, Circuit
from inbox.ports.cache import SharedStats
from inbox.ports.monitoring import Process, ProcessKind
from inbox.services.monitoring import Monitoring
from inbox.services.processes import REPORTED_KEYS, Processes
from statement_counts import counting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADMIN = Actor(
    user_id=UserId(uuid4()),
    email=None,
    is_active=True,
    grants=(Grant(code=Permission.ROLES_MANAGE.value, account_id=None),),
)
NOBODY = Actor(user_id=UserId(uuid4()), email=None, is_active=True)
WITHIN = 5
FEW = ("quarantined_items", "whatsapp_accounts")
"""Tables that are read as they are."""


class House:
    """One process, as its services see it."""

    def __init__(self, database, events, started_at=NOW, shelf=None) -> None:
        self.breakers = Breakers(
            [
                Circuit(name="gemini", threshold=5, stays_open=60, shown_as="gemini_api"),
                Circuit(name="whatsapp", threshold=3, stays_open=30, shown_as="whatsapp_api"),
            ]
        )
        self.cache = MemoryCache(events, shelf)
        self.process = Process(
            id=uuid4(), kind=ProcessKind.BOTH, host="host", pid=7, version="1", started_at=started_at
        )
        self.processes = Processes(database, events, self.breakers, self.cache, this=self.process)
        self.monitoring = Monitoring(database, self.processes, self.breakers, self.cache)

    async def remember(self, *keys: str):
        async def load():
            return 1

        for key in keys:
            await self.cache.fetch(key, load, tags=["t"], ttl=60, shape=int)


class Shelf:
    """A tier that both processes share; it has what is named."""

    def __init__(self, *known: str) -> None:
        self.known = known

    @asynccontextmanager
    async def running(self):
        yield

    async def find(self, wanted):
        return Found(value=1, left=60) if wanted.key in self.known else self.keep

    async def keep(self, value, left):
        pass

    async def forget(self, tags):
        pass

    async def stats(self):
        return SharedStats(is_up=True, sizes={"me": 1}, is_complete=True)


@pytest.fixture
def bus():
    return MemoryEvents()


@pytest.fixture
async def shared(engine, intake_engine, bus):
    database = PostgresDatabase(engine, intake_engine, SEALER, bus)
    async with database.running():
        yield database


@pytest.fixture
async def houses(shared, bus):
    async with AsyncExitStack() as stack:
        here, there = House(shared, bus), House(shared, bus, NOW + timedelta(seconds=1))
        for house, kind in ((here, ProcessKind.WEB), (there, ProcessKind.WORKER)):
            await stack.enter_async_context(house.cache.running())
            await stack.enter_async_context(house.processes.running(kind))
        await until(lambda: reported(shared, 2))
        yield here, there


async def reported(database, count):
    return len(await database.operations.processes()) == count


async def until(is_so):
    async with asyncio.timeout(WITHIN):
        while not await is_so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def tell(house):
    """What the process knows now is written now."""
    house.processes._has_news.set()


async def test_each_process_says_what_it_is(shared, houses):
    found = [(live.process.id, live.process.kind) for live in await shared.operations.processes()]
    assert found == [(houses[0].process.id, ProcessKind.WEB), (houses[1].process.id, ProcessKind.WORKER)]


async def test_a_circuit_is_shown_in_its_worst_state_with_all_failures(houses):
    here, there = houses
    there.breakers.trip("whatsapp")
    tell(there)

    async def is_shown():
        return (await here.monitoring.circuits(ADMIN))["whatsapp"].state == "open"

    await until(is_shown)
    shown = await here.monitoring.circuits(ADMIN)
    assert list(shown) == ["gemini", "whatsapp"]
    assert shown["whatsapp"].name == "whatsapp_api"
    assert shown["whatsapp"].opened_at is not None
    assert shown["gemini"].state == "closed"
    assert here.breakers.inspect()["whatsapp"].state == "closed"


async def test_a_reset_closes_the_circuit_here_at_once_and_elsewhere_soon(engine, houses):
    here, there = houses
    here.breakers.trip("gemini")
    there.breakers.trip("gemini")
    await here.monitoring.reset_circuit(ADMIN, "gemini")
    assert here.breakers.inspect()["gemini"].state == "closed"

    async def is_closed_everywhere():
        is_closed_there = there.breakers.inspect()["gemini"].state == "closed"
        return is_closed_there and (await here.monitoring.circuits(ADMIN))["gemini"].state == "closed"

    await until(is_closed_everywhere)
    (line,) = await execute(engine, "select action, target from audit_entries")
    assert tuple(line) == ("circuit_breaker.reset", "gemini")


async def test_a_reset_reaches_a_process_that_did_not_hear_of_it(shared, bus):
    here, deaf = House(shared, bus), House(shared, MemoryEvents())
    async with deaf.processes.running(ProcessKind.WORKER):
        deaf.breakers.trip("gemini")
        await here.monitoring.reset_circuit(ADMIN, "whatsapp")
        await here.monitoring.reset_circuit(ADMIN, "gemini")
        tell(deaf)

        async def is_closed():
            return deaf.breakers.inspect()["gemini"].state == "closed"

        await until(is_closed)


async def test_a_circuit_that_opened_after_the_reset_stays_open(shared, bus):
    here, deaf = House(shared, bus), House(shared, MemoryEvents())
    await here.monitoring.reset_circuit(ADMIN, "gemini")
    async with deaf.processes.running(ProcessKind.WORKER):
        deaf.breakers.trip("gemini")
        deaf.breakers.trip("whatsapp")
        await here.monitoring.reset_circuit(ADMIN, "whatsapp")
        tell(deaf)

        async def has_looked():
            return deaf.breakers.inspect()["whatsapp"].state == "closed"

        await until(has_looked)
        assert deaf.breakers.inspect()["gemini"].state == "open"


async def test_a_bug_in_what_listens_or_reports_ends_the_process_at_once(shared, bus, monkeypatch):
    house, ended = House(shared, bus), asyncio.Event()

    def broken(name=None):
        raise ZeroDivisionError

    monkeypatch.setattr(house.breakers, "reset", broken)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WITHIN), house.processes.running(ProcessKind.BOTH, ended.set):
            bus.publish(CircuitReset("gemini"))
            await ended.wait()
    reporting, stopped = House(shared, bus), asyncio.Event()
    monkeypatch.setattr(reporting.cache, "stats", broken)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WITHIN), reporting.processes.running(ProcessKind.BOTH, stopped.set):
            await stopped.wait()


async def test_there_is_no_circuit_of_that_name(engine, houses):
    with pytest.raises(CircuitBreakerNotFound):
        await houses[0].monitoring.reset_circuit(ADMIN, "database")
    assert await execute(engine, "select 1 from audit_entries") == []


async def test_the_caches_are_added_up(houses):
    here, there = houses
    await here.remember("me:1", "me:1", "bot_profile:1")
    await there.remember("me:1", "me:2")
    tell(there)

    async def has_come():
        return (await here.monitoring.cache(ADMIN)).stats.size == 4

    await until(has_come)
    found = await here.monitoring.cache(ADMIN)
    assert found.processes == 2
    assert found.stats.keys == ["bot_profile:1", "me:1", "me:2"]
    assert [(one.family, one.size, one.hits, one.misses) for one in found.stats.families] == [
        ("bot_profile", 1, 0, 1),
        ("me", 3, 1, 3),
    ]


async def test_what_the_shared_tier_answered_is_added_up_too(shared, bus):
    shelf = Shelf("me:1")
    here, there = House(shared, bus, shelf=shelf), House(shared, bus, shelf=shelf)
    async with there.processes.running(ProcessKind.WORKER):
        await here.remember("me:1", "me:1")
        await there.remember("me:1", "me:2")
        tell(there)

        async def has_come():
            return (await here.monitoring.cache(ADMIN)).stats.size == 3

        await until(has_come)
        found = await here.monitoring.cache(ADMIN)
    (family,) = found.stats.families
    assert (family.hits, family.misses, family.shared_hits, family.shared_misses) == (1, 3, 2, 1)
    assert family.ratio == 0.75
    assert found.shared == SharedStats(is_up=True, sizes={"me": 1}, is_complete=True)


async def test_clearing_empties_every_cache(engine, houses):
    here, there = houses
    await here.remember("me:1")
    await there.remember("me:1")
    await here.monitoring.clear_cache(ADMIN)
    assert here.cache.stats().size == 0

    async def is_empty():
        return there.cache.stats().size == 0

    await until(is_empty)
    assert [row.action for row in await execute(engine, "select action from audit_entries")] == ["cache.cleared"]


async def test_a_process_tells_the_others_a_bounded_number_of_keys(shared, houses):
    here, there = houses
    await there.remember(*(f"k:{number:05}" for number in range(1_500)))
    tell(there)

    async def has_come():
        return (await here.monitoring.cache(ADMIN)).stats.size == 1_500

    await until(has_come)
    assert len((await here.monitoring.cache(ADMIN)).stats.keys) == REPORTED_KEYS
    assert len((await there.monitoring.cache(ADMIN)).stats.keys) == 1_000


async def test_a_process_that_ends_is_gone_at_once(shared, bus):
    house = House(shared, bus)
    async with house.processes.running(ProcessKind.BOTH):
        await until(lambda: reported(shared, 1))
    assert await shared.operations.processes() == []


async def test_a_process_is_counted_while_the_others_know_of_it(shared, bus):
    house = House(shared, bus)
    assert not house.processes.is_counted()
    async with house.processes.running(ProcessKind.BOTH):

        async def is_counted():
            return house.processes.is_counted()

        await until(is_counted)
        assert await shared.operations.has_others(None)
        assert not await shared.operations.has_others(house.processes.id)
    assert not house.processes.is_counted()


async def test_a_process_that_cannot_report_is_not_counted(shared, bus):
    class Deaf:
        def __init__(self) -> None:
            self.operations, self.asked = self, asyncio.Event()

        async def report(self, process, report):
            if self.asked.is_set():
                await asyncio.Event().wait()
            self.asked.set()
            raise DatabaseUnavailable

        async def leave(self, process_id):
            pass

    deaf = Deaf()
    house = House(deaf, bus)
    async with house.processes.running(ProcessKind.BOTH):
        await deaf.asked.wait()
        assert not house.processes.is_counted()


async def test_whoever_may_not_administer_learns_and_changes_nothing(engine, houses):
    monitoring = houses[0].monitoring
    houses[0].breakers.trip("gemini")
    for call in (
        monitoring.circuits(NOBODY),
        monitoring.reset_circuit(NOBODY, "gemini"),
        monitoring.reset_circuit(NOBODY, "nonsense"),
        monitoring.cache(NOBODY),
        monitoring.clear_cache(NOBODY),
        monitoring.queues(NOBODY),
    ):
        with pytest.raises(PermissionDenied):
            await call
    assert houses[0].breakers.inspect()["gemini"].state == "open"
    assert await execute(engine, "select 1 from audit_entries") == []


async def test_the_queues_cost_four_statements(engine, shared, bus):
    monitoring = House(shared, bus).monitoring
    with counting(engine) as seen:
        await monitoring.queues(ADMIN)
    assert len(seen) == 4


async def test_the_queues_are_found_by_indexes(engine, shared, bus):
    monitoring = House(shared, bus).monitoring
    with counting(engine) as seen:
        await monitoring.queues(ADMIN)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("set local enable_seqscan = off")
        for statement in seen:
            plan = (await connection.exec_driver_sql(f"explain {statement}".replace("$1::INTEGER", "100"))).all()
            scanned = {line for (line,) in plan if "Seq Scan" in line and not any(few in line for few in FEW)}
            assert not scanned, plan
