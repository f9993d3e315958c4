"""Group commit at intake: what was answered is there, once."""

import asyncio
import hashlib
from collections import Counter

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_delivery, execute
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres import deliveries as module
from inbox.adapters.database.postgres.engine import INTAKE, Limits, create_engine
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, Overloaded
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import Lane, WorkKind
from statement_counts import counting


def lane(key: str) -> Lane:
    return Lane(kind=WorkKind.INGEST, key=key, ver=1, fence=1, attempts=1)


async def test_a_stored_body_is_committed_byte_for_byte_and_its_lane_is_due(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    body = bytes(range(256)) * 3

    await database.deliveries.store(body, "07")

    [row] = await execute(engine, "select * from deliveries")
    assert (row.body, row.lane, row.state, row.sha256) == (body, "07", "open", hashlib.sha256(body).digest())
    assert [claimed.key for claimed in await database.work.claim(WorkKind.INGEST, 5)] == ["07"]
    assert signals.published == [WorkWaiting(WorkKind.INGEST)]


async def test_a_redelivered_body_is_answered_and_stored_once(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await database.deliveries.store(b"{}", "01")
    await asyncio.gather(*(database.deliveries.store(b"{}", "01") for _ in range(5)))
    assert len(await execute(engine, "select 1 from deliveries")) == 1


async def test_concurrent_callers_share_commits(
    database: PostgresDatabase, engine: AsyncEngine, intake_engine: AsyncEngine
) -> None:
    with counting(intake_engine) as statements:
        await asyncio.gather(*(database.deliveries.store(b'{"n":%d}' % n, f"{n % 5:02}") for n in range(50)))

    assert len(await execute(engine, "select 1 from deliveries")) == 50
    assert 1 <= len(statements) <= 5


async def test_serials_of_one_lane_follow_the_order_of_arrival(database: PostgresDatabase, engine: AsyncEngine) -> None:
    tasks = []
    for n in range(60):
        tasks.append(asyncio.create_task(database.deliveries.store(b"%03d" % n, f"{n % 3:02}")))
        if n % 7 == 0:
            await tasks[-1]
    await asyncio.gather(*tasks)

    rows = await execute(engine, "select lane, body from deliveries order by id")
    for key in ("00", "01", "02"):
        bodies = [row.body for row in rows if row.lane == key]
        assert bodies == sorted(bodies)
        assert len(bodies) == 20


async def test_a_caller_who_leaves_does_not_take_the_others_along(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    tasks = [asyncio.create_task(database.deliveries.store(b"%d" % n, "01")) for n in range(20)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results if result is not None] == [asyncio.CancelledError]
    stored = {int(row.body) for row in await execute(engine, "select body from deliveries")}
    assert stored >= set(range(20)) - {7}


async def test_a_page_holds_open_deliveries_of_the_lanes_oldest_first(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    ids = [await a_delivery(engine, lane=key) for key in ("01", "02", "01", "03", "01")]
    await execute(engine, "update deliveries set state = 'done' where id = :id", id=ids[0])

    page = await database.deliveries.read([lane("01"), lane("02")], 10)
    assert [(item.id, item.lane) for item in page] == [(ids[1], "02"), (ids[2], "01"), (ids[4], "01")]
    short = await database.deliveries.read([lane("01"), lane("02")], 2)
    assert [item.id for item in short] == [ids[1], ids[2]]
    assert await database.deliveries.read([], 10) == []


async def test_a_page_is_bounded_in_bytes_but_never_empty(
    database: PostgresDatabase, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 150)
    ids = [await a_delivery(engine, b"%d" % n * 100, lane="01") for n in range(4)]

    page = await database.deliveries.read([lane("01")], 10)

    assert [item.id for item in page] == ids[:2]


async def test_a_delivery_that_cannot_be_stored_is_told_to_its_caller_within_the_limit(
    engine: AsyncEngine, database_url: str, signals: RecordedSignals
) -> None:
    quick = create_engine(
        database_url, pool_size=1, limits=Limits(connect=1, acquire=0.2, statement=0.3, lock=0.2, idle_in_transaction=5)
    )
    blocked = PostgresDatabase(engine, quick, SEALER, signals)
    try:
        async with blocked.running(), engine.begin() as holder:
            await holder.exec_driver_sql("insert into lanes (kind, key) values ('ingest', '09')")
            results = await asyncio.gather(
                *(blocked.deliveries.store(b"%d" % n, "09") for n in range(3)), return_exceptions=True
            )
        assert [type(result) for result in results] == [DatabaseTimeout] * 3
    finally:
        await quick.dispose()
    assert signals.published == []


async def test_a_database_that_is_away_is_an_outage_and_not_a_lost_body(
    engine: AsyncEngine, signals: RecordedSignals
) -> None:
    nowhere = create_engine("postgresql://postgres@/postgres?host=/nonexistent", pool_size=1, limits=INTAKE)
    database = PostgresDatabase(engine, nowhere, SEALER, signals)
    async with database.running():
        with pytest.raises(DatabaseUnavailable):
            await database.deliveries.store(b"{}", "01")
    await nowhere.dispose()


async def test_nothing_is_taken_before_the_start_and_after_the_stop(
    engine: AsyncEngine, intake_engine: AsyncEngine, signals: RecordedSignals
) -> None:
    database = PostgresDatabase(engine, intake_engine, SEALER, signals)
    with pytest.raises(Overloaded):
        await database.deliveries.store(b"{}", "01")
    async with database.running():
        pass
    with pytest.raises(Overloaded):
        await database.deliveries.store(b"{}", "01")


async def test_a_stop_writes_what_waits(
    engine: AsyncEngine, intake_engine: AsyncEngine, signals: RecordedSignals
) -> None:
    database = PostgresDatabase(engine, intake_engine, SEALER, signals)
    async with database.running():
        tasks = [asyncio.create_task(database.deliveries.store(b"%d" % n, "01")) for n in range(30)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert len(await execute(engine, "select 1 from deliveries")) == 30


async def test_the_start_inside_a_transaction_is_refused(
    database: PostgresDatabase, engine: AsyncEngine, intake_engine: AsyncEngine, signals: RecordedSignals
) -> None:
    other = PostgresDatabase(engine, intake_engine, SEALER, signals)
    async with database.transaction():
        with pytest.raises(RuntimeError):
            async with other.running():
                pass


async def test_every_answered_body_is_there_when_connections_die_under_load(
    engine: AsyncEngine, database_url: str, signals: RecordedSignals
) -> None:
    mortal = create_engine(database_url, pool_size=2, limits=INTAKE, application_name="mortal")
    database = PostgresDatabase(engine, mortal, SEALER, signals)
    answered: list[int] = []
    refused: Counter[str] = Counter()

    async def post(n: int) -> None:
        try:
            await database.deliveries.store(b"%d" % n, f"{n % 4:02}")
        except InboxError as error:
            refused[type(error).__name__] += 1
        else:
            answered.append(n)

    async def murder() -> None:
        for _ in range(5):
            await execute(
                engine,
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and application_name = 'mortal'""",
            )

    async with database.running():
        for batch in range(5):
            await asyncio.gather(*(post(batch * 40 + n) for n in range(40)), murder())
    await mortal.dispose()

    stored = {int(row.body) for row in await execute(engine, "select body from deliveries")}
    assert set(answered) <= stored
    assert len(answered) + refused.total() == 200
