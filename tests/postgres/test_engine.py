"""Transactions: their limits, their collisions, and that what is committed stays."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_conversation, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import the_log, updated
from inbox.adapters.database.postgres.engine import (
    INTAKE,
    Limits,
    autocommit,
    check_durability,
    database_errors,
    repeated,
)
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.errors import DatabaseNotDurable, DatabaseTimeout, DatabaseUnavailable
from inbox.domain.events import AccountStep, AccountUpdated, Cause
from inbox.domain.ids import MessageId, uuid7
from inbox.domain.signals import LogGrew, MessageSettled, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.kit.boundaries import forbid_open_transaction
from postgres.own_engines import an_engine

TURN = WorkKind.TURN


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_clean_exit_commits_and_then_tells(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    settled = MessageSettled(MessageId(uuid7()))
    async with database.transaction() as tx:
        await tx.enqueue(TURN, "a", account_id=None)
        tx.wake(settled, settled)
        assert signals.published == []

    assert len(await execute(engine, "select 1 from lanes")) == 1
    assert signals.published == [WorkWaiting(TURN), settled]


async def test_an_exception_rolls_back_and_tells_nobody(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    account = (await an_account(engine)).account_id
    with pytest.raises(KeyError):
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            await tx.record(AccountUpdated(account_id=account, change=AccountStep.CHANGED))
            raise KeyError
    assert await execute(engine, "select 1 from lanes union all select 1 from event_log") == []
    assert signals.published == []


async def test_a_cancelled_transaction_leaves_nothing_and_gives_its_connection_back(
    engine: AsyncEngine, database_url: str, signals: RecordedSignals
) -> None:
    async with an_engine(database_url) as single:
        database = PostgresDatabase(single, single, SEALER, signals)
        entered = asyncio.Event()

        async def work() -> None:
            async with database.transaction() as tx:
                await tx.enqueue(TURN, "a", account_id=None)
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "b", account_id=None)
    assert [row.key for row in await execute(engine, "select key from lanes")] == ["b"]


async def test_events_are_written_in_their_order_and_told_once_after_the_commit(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    changes = [AccountUpdated(account_id=account, change=AccountStep.CHANGED, changed=(f"{n}",)) for n in range(3)]
    async with database.transaction() as tx:
        for change in changes:
            await tx.record(updated(account, conversation, Cause.CONTACT), change)
        await tx.record(updated(account, conversation, Cause.MESSAGE))
        assert await execute(engine, "select 1 from event_log") == []
        assert signals.published == []

    assert await the_log(engine) == [*changes, updated(account, conversation, Cause.MESSAGE)]
    (row,) = await execute(engine, "select * from event_log where kind = 'conversation.updated'")
    assert (row.account_id, row.conversation_id, row.body) == (account, conversation, '{"cause": "message"}')
    assert signals.published == [LogGrew()]


async def test_inside_a_transaction_nothing_remote_may_be_called(database: PostgresDatabase) -> None:
    async with database.transaction():
        with pytest.raises(RuntimeError):
            forbid_open_transaction()
        with pytest.raises(RuntimeError):
            async with database.transaction():
                pass
    forbid_open_transaction()


async def test_a_failed_statement_whose_error_was_swallowed_cannot_end_in_a_silent_roll_back(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    with pytest.raises(RuntimeError, match="swallowed"):
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            with pytest.raises(DBAPIError):
                await tx.enqueue(TURN, "b\x00", account_id=None)
    assert await execute(engine, "select 1 from lanes") == []
    async with database.transaction() as tx:
        await tx.enqueue(TURN, "c", account_id=None)


async def test_a_transaction_ends_at_its_limit(database: PostgresDatabase, engine: AsyncEngine) -> None:
    with pytest.raises(DatabaseTimeout):
        async with database.transaction(within=0.05) as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            await asyncio.Event().wait()
    assert await execute(engine, "select 1 from lanes") == []


async def test_a_statement_ends_at_the_limit_of_the_server(database_url: str) -> None:
    limits = Limits(statement=0.1)
    async with an_engine(database_url, limits) as engine:
        with pytest.raises(DatabaseTimeout), database_errors():
            await execute(engine, "select pg_sleep(5)")
        found = await execute(
            engine,
            """select name, setting from pg_settings where name in
               ('jit', 'TimeZone', 'application_name', 'statement_timeout', 'idle_in_transaction_session_timeout')""",
        )
    assert {row.name: row.setting for row in found} == {
        "jit": "off",
        "TimeZone": "UTC",
        "application_name": "inbox",
        "statement_timeout": "100",
        "idle_in_transaction_session_timeout": "10000",
    }


async def test_a_lock_is_waited_for_no_longer_than_its_limit(engine: AsyncEngine, database_url: str) -> None:
    await execute(engine, "insert into lanes (kind, key) values ('turn', 'a')")
    async with an_engine(database_url, Limits(lock=0.05)) as impatient, engine.connect() as holder:
        await holder.exec_driver_sql("update lanes set grp = 'x'")
        with pytest.raises(DatabaseTimeout), database_errors():
            await execute(impatient, "update lanes set grp = 'y'")


async def test_an_exhausted_pool_is_a_timeout_and_not_a_wait_without_end(
    database_url: str, signals: RecordedSignals
) -> None:
    async with an_engine(database_url, Limits(acquire=0.05)) as single:
        database = PostgresDatabase(single, single, SEALER, signals)
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            with pytest.raises(DatabaseTimeout):
                await database.work.claim(TURN, 1)


# --- collisions -------------------------------------------------------------------------------------------------------


async def test_a_deadlock_is_tried_again_by_its_victim(engine: AsyncEngine) -> None:
    await execute(engine, "insert into lanes (kind, key) values ('turn', 'a'), ('turn', 'b')")
    tries: list[str] = []
    both = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> None:
        async def once() -> None:
            is_first_try = first not in tries
            tries.append(first)
            with database_errors():
                async with engine.begin() as connection:
                    change = text("update lanes set ver = ver + 1 where key = :key")
                    await connection.execute(change, {"key": first})
                    if is_first_try:
                        await both.wait()
                    await connection.execute(change, {"key": second})

        await repeated(once)

    await asyncio.gather(cross("a", "b"), cross("b", "a"))

    assert len(tries) == 3
    assert [row.ver for row in await execute(engine, "select ver from lanes")] == [3, 3]


async def test_other_outages_are_not_tried_again() -> None:
    tries = []

    async def once() -> None:
        tries.append(1)
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await repeated(once)
    assert len(tries) == 1


# --- durability -------------------------------------------------------------------------------------------------------


async def test_a_server_that_may_lose_commits_is_refused_by_name(engine: AsyncEngine) -> None:
    with pytest.raises(DatabaseNotDurable, match=r"fsync.*full_page_writes.*synchronous_commit"):
        await check_durability(engine)
    await check_durability(engine, allow_unsafe=True)


async def test_each_statement_of_the_autocommit_view_stands_for_itself(engine: AsyncEngine) -> None:
    async with autocommit(engine).connect() as connection:
        await connection.exec_driver_sql("insert into lanes (kind, key) values ('turn', 'a')")
        assert len(await execute(engine, "select 1 from lanes")) == 1


def test_intake_keeps_its_promise_of_three_seconds() -> None:
    assert INTAKE.acquire + INTAKE.statement < 3
