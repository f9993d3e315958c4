"""Connections that die, and what the driver's failures are called."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, SEALER, a_conversation, an_account, execute, until
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.constraints import ERRORS
from inbox.adapters.database.postgres.engine import check_durability, create_engine, database_errors, translated
from inbox.adapters.database.postgres.tables import metadata
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.access import Subject
from inbox.domain.errors import (
    AccountNotFound,
    CommitUnknown,
    DatabaseTimeout,
    DatabaseUnavailable,
    SlugTaken,
    Unstorable,
)
from inbox.domain.ids import AccountId, MessageId, UserId, uuid7
from inbox.domain.work import WorkKind
from postgres.own_engines import an_engine

TURN = WorkKind.TURN


@pytest.fixture
async def mortal(engine: AsyncEngine, database_url: str, signals: RecordedSignals) -> AsyncIterator[PostgresDatabase]:
    """A database whose connections `kill` ends; those of `engine` stay."""
    own = create_engine(database_url, pool_size=2, application_name="mortal")
    database = PostgresDatabase(own, own, SEALER, signals)
    async with database.running():
        yield database
    await own.dispose()


async def kill(engine: AsyncEngine) -> None:
    await execute(
        engine,
        """select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name = 'mortal'""",
    )


# --- outages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@/postgres?host=/nonexistent",
        "postgresql://postgres@127.0.0.1:1/postgres",
        "postgresql://postgres@127.0.0.1:1/postgres?sslmode=require",
    ],
)
async def test_a_server_that_is_away_is_an_outage(url: str, signals: RecordedSignals) -> None:
    async with an_engine(url) as engine:
        database = PostgresDatabase(engine, engine, SEALER, signals)
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction():
                pass
        with pytest.raises(DatabaseUnavailable):
            await database.work.claim(TURN, 1)
        with pytest.raises(DatabaseUnavailable):
            await check_durability(engine)


async def test_a_database_that_does_not_exist_is_an_outage(database_url: str, signals: RecordedSignals) -> None:
    async with an_engine(database_url.replace("/inbox_", "/missing_")) as engine:
        with pytest.raises(DatabaseUnavailable):
            await PostgresDatabase(engine, engine, SEALER, signals).work.claim(TURN, 1)


async def test_a_connection_that_dies_in_a_transaction_is_an_outage_and_the_next_one_works(
    mortal: PostgresDatabase, engine: AsyncEngine
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with mortal.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            await kill(engine)
            await tx.enqueue(TURN, "b", account_id=None)
    async with mortal.transaction() as tx:
        await tx.enqueue(TURN, "c", account_id=None)
    assert [row.key for row in await execute(engine, "select key from lanes")] == ["c"]


async def test_connections_that_died_while_idle_fail_nobody(
    engine: AsyncEngine, database_url: str, signals: RecordedSignals
) -> None:
    async with an_engine(database_url) as single:
        database = PostgresDatabase(single, single, SEALER, signals)
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
        async with single.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
        await execute(engine, "select pg_terminate_backend(:pid)", pid=driver.get_server_pid())
        while not driver.is_closed():
            await execute(engine, "select 1")

        async with database.transaction() as tx:
            await tx.enqueue(TURN, "b", account_id=None)
    assert [row.key for row in await execute(engine, "select key from lanes order by key")] == ["a", "b"]


async def test_a_connection_that_dies_during_commit_leaves_nobody_the_wiser(
    mortal: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    """A deferred trigger makes COMMIT itself slow, so that it can be killed in the act."""
    await execute(
        engine,
        """create function slow_commit() returns trigger language plpgsql as $$
           begin perform pg_sleep(4); return null; end $$""",
    )
    await execute(
        engine,
        """create constraint trigger slow_commit after insert on lanes deferrable initially deferred
           for each row execute function slow_commit()""",
    )

    async def kill_it() -> None:
        committing = """select 1 from pg_stat_activity
                        where datname = current_database() and query ilike 'commit%' and state = 'active'"""
        await until(engine, committing)
        await kill(engine)

    async def commit() -> None:
        async with mortal.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)

    try:
        with pytest.raises(CommitUnknown):
            await asyncio.gather(commit(), kill_it())
    finally:
        await execute(engine, "drop function slow_commit cascade")
    assert signals.published == []


async def test_a_commit_that_does_not_answer_in_time_leaves_nobody_the_wiser(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await execute(
        engine,
        """create function slow_commit() returns trigger language plpgsql as $$
           begin perform pg_sleep(4); return null; end $$""",
    )
    await execute(
        engine,
        """create constraint trigger slow_commit after insert on lanes deferrable initially deferred
           for each row execute function slow_commit()""",
    )
    try:
        with pytest.raises(CommitUnknown):
            async with database.transaction(within=0.3) as tx:
                await tx.enqueue(TURN, "a", account_id=None)
    finally:
        await execute(engine, "drop function slow_commit cascade")


async def test_a_fence_whose_connection_dies_leaves_nobody_the_wiser(
    mortal: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    conversation = await a_conversation(engine, account.account_id)
    message, token = MessageId(uuid7()), uuid7()
    await execute(
        engine,
        """with m as (insert into messages (id, direction, conversation_id) values (:id, 'outbound', :c) returning id)
           insert into outbox (id, account_id, conversation_id, state, token, epoch, expires_at, lease_until)
           select id, :a, :c, 'claimed', :token, 0, now() + interval '1 h', now() + interval '30 s' from m""",
        id=message,
        a=account.account_id,
        c=conversation,
        token=token,
    )
    async with engine.connect() as person:
        await person.exec_driver_sql("update conversations set epoch = 1")
        fence = asyncio.create_task(mortal.outbox.to_wire(message, token))
        await until(engine, LOCK_WAIT)
        await kill(engine)
        with pytest.raises(CommitUnknown):
            await fence


# --- names ------------------------------------------------------------------------------------------------------------


async def test_a_violated_rule_has_the_name_that_the_domain_gives_it(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await execute(engine, "insert into whatsapp_accounts (name, slug, phone_number_id) values ('a', 'taken', '1')")
    with pytest.raises(SlugTaken), database_errors():
        await execute(engine, "insert into whatsapp_accounts (name, slug, phone_number_id) values ('b', 'taken', '2')")
    with pytest.raises(AccountNotFound):
        async with database.transaction() as tx:
            await tx.members.sign_in(
                Subject(user_id=UserId(uuid7()), email="a@b.c"), bootstrap_email=None, default_role=None
            )
            connection: Any = tx.members
            await connection._connection.execute(
                text("insert into conversations (account_id, client_number) values (:id, '1')"),
                {"id": AccountId(uuid7())},
            )


def test_every_named_rule_is_one_of_the_schema() -> None:
    known = {str(rule.name) for table in metadata.tables.values() for rule in table.constraints}
    foreign = {
        f"{table.name}_{column.name}_fkey"
        for table in metadata.tables.values()
        for column in table.c
        if column.foreign_keys
    }
    assert set(ERRORS) <= known | foreign | {
        f"{table.name}_{column.name}_key" for table in metadata.tables.values() for column in table.c
    }


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("select cast(:value as text)", {"value": "a\x00"}),
        ("select cast(:value as text)", {"value": "\ud800"}),
        ("select cast(:value as int)", {"value": 2**40}),
        ("select cast(cast(:value as text) as jsonb)", {"value": '"\\u0000"'}),
        ("insert into messages (direction, author) values ('inbound', :value)", {"value": "nobody"}),
    ],
)
async def test_a_value_that_the_database_refuses_is_the_fault_of_the_item(
    engine: AsyncEngine, statement: str, values: dict[str, Any]
) -> None:
    with pytest.raises(Unstorable), database_errors():
        await execute(engine, statement, **values)


async def test_a_mistake_of_ours_keeps_its_name(engine: AsyncEngine) -> None:
    with pytest.raises(ProgrammingError), database_errors():
        await execute(engine, "select nonsense")
    assert translated(ValueError()) is None


async def test_neither_values_nor_secrets_are_in_the_text_of_a_failure(engine: AsyncEngine) -> None:
    with pytest.raises(Unstorable) as failure, database_errors():
        await execute(engine, "select cast(:value as int)", value="secret-text")
    assert "secret-text" not in repr(failure.value) + str(failure.value)
    assert "parameters hidden" in str(failure.value.__cause__)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (asyncpg.exceptions.AdminShutdownError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.CannotConnectNowError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.TooManyConnectionsError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.DiskFullError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.ReadOnlySQLTransactionError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.InvalidPasswordError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.DeadlockDetectedError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.LockNotAvailableError("x"), DatabaseTimeout),
        (asyncpg.exceptions.QueryCanceledError("x"), DatabaseTimeout),
        (asyncpg.exceptions.InterfaceError("connection is closed"), DatabaseUnavailable),
        (asyncpg.InternalClientError("cannot switch to state 11"), DatabaseUnavailable),
        (ConnectionResetError(), DatabaseUnavailable),
        (TimeoutError(), DatabaseTimeout),
    ],
)
def test_each_failure_of_the_driver_has_one_name(error: Exception, name: type[Exception]) -> None:
    assert type(translated(error)) is name


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (asyncpg.exceptions.AdminShutdownError("x"), CommitUnknown),
        (asyncpg.exceptions.ConnectionDoesNotExistError("x"), CommitUnknown),
        (asyncpg.exceptions.InterfaceError("connection is closed"), CommitUnknown),
        (ConnectionResetError(), CommitUnknown),
        (TimeoutError(), CommitUnknown),
        (asyncpg.exceptions.SerializationError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.DeadlockDetectedError("x"), DatabaseUnavailable),
        (asyncpg.exceptions.QueryCanceledError("x"), DatabaseTimeout),
    ],
)
def test_a_lost_answer_to_a_commit_is_told_from_a_refused_one(error: Exception, name: type[Exception]) -> None:
    assert type(translated(error, committing=True)) is name
