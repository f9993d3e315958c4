"""Reading the log: what is final, its generations, tickets."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import execute
from inbox.adapters.database.postgres.event_feed import PostgresEventLog, PostgresTickets
from inbox.adapters.database.postgres.event_log import record
from inbox.adapters.database.postgres.retention import PostgresRetention
from inbox.domain.access import ActorKind, Subject
from inbox.domain.events import AccountResumed
from inbox.domain.feed import Horizon
from inbox.domain.ids import AccountId, UserId
from inbox.ports.deliveries import Sweep


@pytest.fixture
def log(engine: AsyncEngine) -> PostgresEventLog:
    return PostgresEventLog(engine)


class Reader:
    """A reader as the feed is one."""

    def __init__(self, log: PostgresEventLog) -> None:
        self.log = log
        self.horizon = Horizon()
        self.read_to = 0

    async def look(self) -> list[int]:
        end = await self.log.end()
        until = self.horizon.look(end.last, end.writers)
        rows = await self.log.read(self.read_to, until, 1_000)
        self.read_to = max(self.read_to, until)
        return [row.id for row in rows]


async def write(connection: AsyncConnection) -> int:
    await record(connection, [AccountResumed(account_id=AccountId(uuid4()))])
    found = await connection.execute(text("select currval('event_log_id_seq')"))
    return int(found.scalar_one())


async def test_what_commits_late_is_not_skipped(engine: AsyncEngine, log: PostgresEventLog) -> None:
    reader = Reader(log)
    await reader.look()
    async with engine.connect() as slow, engine.connect() as fast:
        early = await write(slow)
        late = await write(fast)
        await fast.commit()
        assert await reader.look() == []
        await slow.commit()
    assert await reader.look() == [early, late]


async def test_what_is_rolled_back_holds_up_nobody(engine: AsyncEngine, log: PostgresEventLog) -> None:
    reader = Reader(log)
    await reader.look()
    async with engine.connect() as slow, engine.connect() as fast:
        await write(slow)
        late = await write(fast)
        await fast.commit()
        await slow.rollback()
    assert await reader.look() == [late]


async def test_a_long_transaction_that_wrote_no_event_holds_up_nobody(
    engine: AsyncEngine, log: PostgresEventLog
) -> None:
    reader = Reader(log)
    await reader.look()
    async with engine.connect() as long, engine.connect() as fast:
        await long.execute(text("update event_log_state set floor = floor"))
        await long.execute(text("select count(*) from event_log"))
        told = await write(fast)
        await fast.commit()
        assert await reader.look() == [told]


async def test_writers_of_other_databases_hold_up_nobody(engine: AsyncEngine, log: PostgresEventLog) -> None:
    assert (await log.end()).writers == frozenset()
    async with engine.connect() as slow:
        await write(slow)
        assert len((await log.end()).writers) == 1


async def test_many_writers_with_delayed_commits_lose_and_swap_nothing(
    engine: AsyncEngine, log: PostgresEventLog
) -> None:
    reader = Reader(log)
    await reader.look()
    written: list[int] = []

    async def writer(delays: int) -> None:
        for n in range(12):
            async with engine.connect() as connection:
                told = await write(connection)
                await connection.execute(text("select pg_sleep(:s)"), {"s": 0.002 * ((n * delays) % 4)})
                if (n + delays) % 5 == 0:
                    await connection.rollback()
                else:
                    await connection.commit()
                    written.append(told)

    seen: list[int] = []
    tasks = [asyncio.create_task(writer(delays)) for delays in (1, 2, 3, 5, 7, 11)]
    while not all(task.done() for task in tasks):
        seen += await reader.look()
    await asyncio.gather(*tasks)
    for _ in range(2):
        seen += await reader.look()
    assert seen == sorted(written)


async def test_another_server_begins_another_generation_with_an_empty_log(
    engine: AsyncEngine, log: PostgresEventLog
) -> None:
    first = await log.begin()
    assert await log.begin() == first == await log.state()
    async with engine.connect() as connection:
        await write(connection)
        await connection.commit()
    await execute(engine, "update event_log_state set server = 'the one before'")
    second = await log.begin()
    assert second.generation != first.generation
    assert await execute(engine, "select 1 from event_log") == []
    assert second.floor == (await log.end()).last


async def test_the_floor_rises_with_what_retention_removes(engine: AsyncEngine, log: PostgresEventLog) -> None:
    before = (await log.begin()).floor
    async with engine.connect() as connection:
        ids = [await write(connection) for _ in range(3)]
        await connection.commit()
    await execute(engine, "update event_log set created_at = created_at - interval '8 days' where id <= :id", id=ids[1])
    async with PostgresRetention(engine).alone() as sweeper:
        assert sweeper is not None
        assert (await sweeper.remove(Sweep.EVENTS, timedelta(days=7), 100)).count == 2
    assert before < (await log.state()).floor == ids[1]


async def test_a_ticket_is_used_by_one_of_many_who_try(engine: AsyncEngine) -> None:
    tickets = PostgresTickets(engine)
    subject = Subject(user_id=UserId(uuid4()), kind=ActorKind.API_KEY)
    await tickets.issue(b"digest", subject, 30.0)
    found = await asyncio.gather(*(tickets.use(b"digest") for _ in range(8)))
    assert [one for one in found if one is not None] == [subject]


async def test_old_tickets_are_removed_by_later_ones(engine: AsyncEngine) -> None:
    tickets = PostgresTickets(engine)
    subject = Subject(user_id=UserId(uuid4()))
    await tickets.issue(b"old", subject, -1.0)
    await tickets.issue(b"new", subject, 30.0)
    assert [bytes(row.digest) for row in await execute(engine, "select digest from event_tickets")] == [b"new"]
