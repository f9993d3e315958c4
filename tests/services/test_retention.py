"""Old rows go in small steps, one process at a time, and nobody waits for it; what waits for a person stays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import (
    LOCK_WAIT,
    SEALER,
    a_conversation,
    a_message,
    a_quarantined_delivery,
    an_account,
    execute,
    until,
)
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.engine import Limits, autocommit
from inbox.adapters.database.postgres.retention import LOOKED_AT, PostgresSweeper
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable
from inbox.ports.database import Database
from inbox.ports.deliveries import Removed, Sweep
from inbox.services.retention import STEP, Ages, Retention
from member_builders import a_local_user
from postgres.own_engines import an_engine


class Counts:
    """What was removed, step by step."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []

    def __call__(self, what: str, count: int) -> None:
        self.steps.append((what, count))


async def sweep(database: Database) -> list[tuple[str, int]]:
    counts = Counts()
    assert await Retention(database, Ages()).sweep(counts, rests=0)
    return counts.steps


async def many(engine: AsyncEngine, count: int, *, days: int, state: str = "done") -> None:
    await execute(
        engine,
        """insert into deliveries (lane, body, sha256, state, done_at)
           select '0', 'x', sha256((cast(:state as text) || ' ' || cast(:days as int) || ' ' || n)::bytea), :state,
                  now() - make_interval(days => :days)
           from generate_series(1, cast(:count as int)) n""",
        count=count,
        days=days,
        state=state,
    )


async def left(engine: AsyncEngine, table: str = "deliveries") -> int:
    (row,) = await execute(engine, f"select count(*) from {table}")  # noqa: S608 - a table of ours
    count: int = row.count
    return count


async def set_aside_an_item(engine: AsyncEngine, delivery: int) -> None:
    await execute(
        engine,
        "insert into quarantined_items (delivery_id, position, reason, raw) values (:id, 0, 'unknown_number', 'x')",
        id=delivery,
    )


async def test_what_is_done_for_longer_than_it_is_kept_goes_in_steps(database: Database, engine: AsyncEngine) -> None:
    await many(engine, 2 * STEP + 200, days=31)
    await many(engine, 3, days=29)
    assert await sweep(database) == [("deliveries", STEP), ("deliveries", STEP), ("deliveries", 200)]
    assert await left(engine) == 3


async def test_what_waits_for_a_person_or_a_worker_stays_however_old_it_is(
    database: Database, engine: AsyncEngine
) -> None:
    await many(engine, 1, days=400, state="open")
    await many(engine, 1, days=400, state="quarantined")
    await many(engine, 1, days=400, state="unrouted")
    await many(engine, STEP + 1, days=400)
    (oldest,) = await execute(engine, "select min(id) as id from deliveries where state = 'done'")
    await set_aside_an_item(engine, oldest.id)
    await sweep(database)
    rows = await execute(engine, "select state from deliveries order by id")
    assert [row.state for row in rows] == ["open", "quarantined", "unrouted", "done"]


async def test_however_many_stay_what_comes_after_them_goes(database: Database, engine: AsyncEngine) -> None:
    await many(engine, LOOKED_AT + 1, days=40)
    await execute(
        engine,
        """insert into quarantined_items (delivery_id, position, reason, raw)
           select id, 0, 'unknown_number', 'x' from deliveries""",
    )
    await many(engine, 2, days=31)
    assert await sweep(database) == [("deliveries", 2)]
    assert await left(engine) == LOOKED_AT + 1


async def test_a_kind_that_takes_too_long_keeps_no_other_one_from_going(
    engine: AsyncEngine, database_url: str, signals: RecordedSignals
) -> None:
    statement, values = (await old_rows(engine))["processes"]
    await execute(engine, statement.replace(":age", "'2 h'"), **values)
    await many(engine, 1, days=31)
    counts = Counts()
    async with an_engine(database_url, Limits(lock=0.1)) as impatient, engine.begin() as other:
        await other.execute(text("lock table deliveries"))
        database = PostgresDatabase(impatient, impatient, SEALER, signals)
        with pytest.raises(DatabaseTimeout):
            await Retention(database, Ages()).sweep(counts, rests=0)
    assert counts.steps == [("processes", 1)]


@asynccontextmanager
async def failing(url: str, signals: RecordedSignals, words: str, error: Exception) -> AsyncIterator[PostgresDatabase]:
    """A database where statements with these words end in `error` of the driver."""

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if words in statement:
            raise error

    async with an_engine(url) as own:
        event.listen(own.sync_engine, "before_cursor_execute", fail)
        yield PostgresDatabase(own, own, SEALER, signals)


@pytest.mark.parametrize("error", [TimeoutError(), SQLAlchemyError()])
async def test_who_cannot_give_its_right_back_loses_it_and_has_swept(
    database: Database, database_url: str, signals: RecordedSignals, error: Exception
) -> None:
    async with failing(database_url, signals, "pg_advisory_unlock", error) as other:
        await sweep(other)
        async with database.retention.alone() as sweeper:
            assert sweeper is not None


async def test_without_an_answer_of_the_server_a_sweep_ends(
    database: Database, database_url: str, signals: RecordedSignals
) -> None:
    async with failing(database_url, signals, "deliveries", TimeoutError()) as other:
        with pytest.raises(DatabaseUnavailable):
            await sweep(other)
        async with database.retention.alone() as sweeper:
            assert sweeper is not None


async def test_what_was_discarded_goes_like_what_is_done(database: Database, engine: AsyncEngine) -> None:
    whole, partly, fresh = [await a_quarantined_delivery(engine) for _ in range(3)]
    await execute(engine, "update deliveries set state = 'done' where id = :id", id=partly)
    await set_aside_an_item(engine, partly)
    for delivery, days in ((whole, 31), (partly, 31), (fresh, 29)):
        await execute(
            engine,
            "update deliveries set reason = 'discarded', done_at = now() - make_interval(days => :days) where id = :id",
            days=days,
            id=delivery,
        )
    assert await sweep(database) == [("deliveries", 1), ("discarded_deliveries", 1)]
    assert [row.id for row in await execute(engine, "select id from deliveries")] == [fresh]
    assert await left(engine, "quarantined_items") == 0


async def test_webhooks_are_stored_while_a_large_sweep_holds_its_locks(database: Database, engine: AsyncEngine) -> None:
    held = await a_quarantined_delivery(engine)
    await set_aside_an_item(engine, held)
    await execute(
        engine,
        "update deliveries set state = 'done', reason = 'discarded', done_at = now() - interval '90 days'",
    )
    await many(engine, 3 * STEP, days=31)
    async with engine.begin() as other:
        await other.execute(text("select 1 from quarantined_items for update"))
        sweeping = asyncio.create_task(sweep(database))
        await until(engine, LOCK_WAIT)
        for n in range(20):
            await database.deliveries.store(b'{"new":%d}' % n, f"{n:02d}")
        waiting = await execute(engine, LOCK_WAIT.replace("select 1", "select query"))
        assert ["delete from deliveries" in row.query for row in waiting] == [True]
        assert not sweeping.done()
    await sweeping
    assert [row.state for row in await execute(engine, "select distinct state from deliveries")] == ["open"]
    assert await left(engine) == 20


async def test_rows_that_somebody_works_on_are_passed_by(database: Database, engine: AsyncEngine) -> None:
    await many(engine, 3, days=31)
    async with engine.begin() as other:
        await other.execute(text("select 1 from deliveries order by id limit 1 for update"))
        assert await sweep(database) == [("deliveries", 2)]
    assert await sweep(database) == [("deliveries", 1)]


async def test_a_delivery_that_is_opened_again_while_a_sweep_looks_at_it_stays(
    engine: AsyncEngine, database_url: str
) -> None:
    await many(engine, 1, days=31)
    async with an_engine(database_url) as own, autocommit(own).connect() as connection, engine.connect() as other:
        # It stands before the table of that name: whoever reads it waits, with what was seen of deliveries before.
        await connection.execute(
            text("""create temporary view quarantined_items as
                    select 0::bigint as delivery_id from pg_advisory_xact_lock(1) offset 0""")
        )
        await other.execute(text("select pg_advisory_xact_lock(1)"))
        sweeping = asyncio.create_task(PostgresSweeper(connection).remove(Sweep.DELIVERIES, Ages().deliveries, STEP))
        await until(engine, LOCK_WAIT)
        await execute(engine, "update deliveries set state = 'open'")
        await other.rollback()
        assert await sweeping == Removed(0, is_over=True)
    assert await left(engine) == 1


async def test_one_process_sweeps_at_a_time(database: Database, engine: AsyncEngine) -> None:
    await many(engine, 1, days=31)
    async with database.retention.alone() as sweeper:
        assert sweeper is not None
        assert await Retention(database, Ages()).sweep(Counts()) is False
        assert await left(engine) == 1
    assert await sweep(database) == [("deliveries", 1)]


async def test_who_fails_in_a_sweep_leaves_it_to_the_others(database: Database, engine: AsyncEngine) -> None:
    await many(engine, 1, days=31)

    def fail(what: str, count: int) -> None:
        raise ZeroDivisionError(what, count)

    with pytest.raises(ZeroDivisionError):
        await Retention(database, Ages()).sweep(fail)
    await many(engine, 1, days=32)
    assert await sweep(database) == [("deliveries", 1)]


async def old_rows(engine: AsyncEngine) -> dict[str, Any]:
    """How a row of each kind is made; the statements take its age as `:age`."""
    account = (await an_account(engine)).account_id
    message = await a_message(engine, account, await a_conversation(engine, account))
    user = await a_local_user(engine)
    return {
        "message_statuses": (
            """insert into message_statuses (message_id, phone_number_id, wamid, status, occurred_at, received_at)
               select case when known then cast(:message as uuid) end, '1', 'wamid.' || known || :age, 'sent', now(),
                      now() - cast(:age as interval)
               from (values (true), (false)) v(known)""",
            {"message": message},
        ),
        "idempotency_keys": (
            """insert into idempotency_keys (account_id, caller, call, key, request_hash, message_id, created_at)
               values (:account, gen_random_uuid(), 'send', 'k', 'x', :message, now() - cast(:age as interval))""",
            {"account": account, "message": message},
        ),
        "login_attempts": (
            "insert into login_attempts (key, window_start, attempts) values ('x', now() - cast(:age as interval), 1)",
            {},
        ),
        "local_sessions": (
            """insert into local_sessions (id, user_id, refresh_counter, not_after)
               values (gen_random_uuid(), :user, 0, now() - cast(:age as interval))""",
            {"user": user},
        ),
        "processes": (
            """insert into processes (id, kind, host, pid, version, seen_at, report)
               values (gen_random_uuid(), 'web', 'h', 1, '1', now() - cast(:age as interval), '{}')""",
            {},
        ),
        "media_failures": (
            "insert into media_failures (account_id, at) values (:account, now() - cast(:age as interval))",
            {"account": account},
        ),
        "lanes": (
            """insert into lanes (kind, key, account_id, due, ver, done)
               select case when n = 3 then 'ingest' else 'media' end, n || :age, :account,
                      now() - cast(:age as interval), 1, case when n = 2 then 0 else 1 end
               from generate_series(1, 3) n""",
            {"account": account},
        ),
        "event_log": (
            """insert into event_log (account_id, kind, body, created_at)
               values (:account, 'x', '{}', now() - cast(:age as interval))""",
            {"account": account},
        ),
    }


@pytest.mark.parametrize(
    ("table", "what", "young", "old", "kept"),
    [
        ("message_statuses", Sweep.PARKED_STATUSES, "6 days 23 h", "7 days 1 h", 3),
        ("idempotency_keys", Sweep.IDEMPOTENCY_KEYS, "47 h", "49 h", 1),
        ("login_attempts", Sweep.LOGIN_ATTEMPTS, "47 h", "49 h", 1),
        ("local_sessions", Sweep.SESSIONS, "29 days", "31 days", 1),
        ("processes", Sweep.PROCESSES, "59 min", "61 min", 1),
        ("media_failures", Sweep.MEDIA_FAILURES, "47 h", "49 h", 1),
        ("lanes", Sweep.MEDIA_WORK, "47 h", "49 h", 5),
        ("event_log", Sweep.EVENTS, "6 days 23 h", "7 days 1 h", 1),
    ],
)
async def test_everything_else_goes_at_its_age_and_not_before(
    database: Database, engine: AsyncEngine, table: str, what: Sweep, young: str, old: str, kept: int
) -> None:
    statement, values = (await old_rows(engine))[table]
    for age in (young, old):
        await execute(engine, statement.replace(":age", f"'{age}'"), **values)
    assert await sweep(database) == [(what.value, 1)]
    assert await left(engine, table) == kept
