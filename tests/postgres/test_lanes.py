"""Lanes: claims, leases, and what happens to workers that die or oversleep."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_delivery, an_account, execute
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.errors import LeaseLost
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.ports.records import InboundBatch
from postgres.lane_scene import TURN, all_due, enqueue, keys, lease_over

# --- claiming ---------------------------------------------------------------------------------------------------------


async def test_lanes_are_claimed_by_kind_the_most_overdue_first(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a", "b", "c")
    await enqueue(database, "other", kind=WorkKind.SEND)
    await lease_over(engine, "c", "a", "b")

    assert keys(await database.work.claim(TURN, 2)) == ["c", "a"]
    assert keys(await database.work.claim(TURN, 2)) == ["b"]
    assert await database.work.claim(TURN, 2) == []


async def test_a_claim_knows_its_account_and_what_there_is_to_do(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = (await an_account(engine)).account_id
    for _ in range(3):
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=account)

    assert await database.work.claim(TURN, 5) == [
        Lane(kind=TURN, key="a", ver=3, fence=1, attempts=1, account_id=account)
    ]


async def test_a_claimed_lane_belongs_to_its_worker_for_thirty_seconds(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a")
    await database.work.claim(TURN, 1)

    [row] = await execute(engine, "select extract(epoch from due - now())::float8 as seconds from lanes")
    assert 25 < row.seconds <= 30
    await enqueue(database, "a")
    assert await database.work.claim(TURN, 1) == []


async def test_a_finished_lane_comes_back_with_the_next_enqueue_only(database: PostgresDatabase) -> None:
    await enqueue(database, "a")
    await database.work.finish(await database.work.claim(TURN, 1))
    assert await database.work.claim(TURN, 1) == []

    await enqueue(database, "a")
    assert [(lane.key, lane.ver) for lane in await database.work.claim(TURN, 1)] == [("a", 2)]


async def test_what_was_enqueued_during_the_work_is_not_finished_with_it(database: PostgresDatabase) -> None:
    await enqueue(database, "a")
    claimed = await database.work.claim(TURN, 1)
    await enqueue(database, "a")

    await database.work.finish(claimed)

    assert [(lane.key, lane.ver, lane.attempts) for lane in await database.work.claim(TURN, 1)] == [("a", 2, 1)]


async def test_a_page_that_was_full_leaves_its_lane_open(database: PostgresDatabase) -> None:
    await enqueue(database, "a")
    [lane] = await database.work.claim(TURN, 1)

    await database.work.finish([Lane(kind=TURN, key="a", ver=0, fence=lane.fence, attempts=1)])

    assert keys(await database.work.claim(TURN, 1)) == ["a"]


async def test_an_ingest_lane_with_an_open_delivery_stays_open_whatever_its_worker_says(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "7", kind=WorkKind.INGEST)
    delivery = await a_delivery(engine, lane="7")
    claimed = await database.work.claim(WorkKind.INGEST, 1)

    await database.work.finish(claimed)
    [again] = await database.work.claim(WorkKind.INGEST, 1)
    async with database.transaction() as tx:
        await tx.finish([again])
        await tx.apply(InboundBatch(done=[delivery]))

    assert await database.work.claim(WorkKind.INGEST, 1) == []


async def test_no_lane_is_claimed_by_two_workers(database: PostgresDatabase) -> None:
    await enqueue(database, *(f"{n:02}" for n in range(40)))

    claims = await asyncio.gather(*(database.work.claim(TURN, 5) for _ in range(10)))

    taken = [key for claimed in claims for key in keys(claimed)]
    assert len(taken) == len(set(taken))


# --- leases -----------------------------------------------------------------------------------------------------------


async def test_a_worker_that_overslept_its_lease_can_neither_finish_extend_nor_retry(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a")
    [slow] = await database.work.claim(TURN, 1)
    await lease_over(engine, "a")
    [quick] = await database.work.claim(TURN, 1)
    before = await execute(engine, "select * from lanes")

    with pytest.raises(LeaseLost):
        await database.work.finish([slow])
    await database.work.extend([slow])
    await database.work.retry(slow, timedelta(hours=1))
    await database.work.put_off(slow, timedelta(hours=1))

    assert await execute(engine, "select * from lanes") == before
    await database.work.finish([quick])


async def test_an_overslept_worker_drops_everything_of_its_transaction(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a", "b")
    slow = await database.work.claim(TURN, 2)
    await lease_over(engine, "b")
    await database.work.claim(TURN, 2)

    with pytest.raises(LeaseLost):
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "effect", account_id=None)
            await tx.finish(slow)

    found = {row.key: (row.done, row.attempts) for row in await execute(engine, "select * from lanes")}
    assert found == {"a": (0, 1), "b": (0, 2)}


async def test_a_lease_that_is_over_but_not_taken_by_anybody_is_still_good(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a")
    claimed = await database.work.claim(TURN, 1)
    await lease_over(engine, "a")
    async with database.transaction() as tx:
        await tx.finish(claimed)
    assert await database.work.claim(TURN, 1) == []


async def test_a_heartbeat_makes_the_lease_end_thirty_seconds_from_now(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a", "b")
    claimed = await database.work.claim(TURN, 2)
    await execute(engine, "update lanes set due = now() + interval '1 s'")

    await database.work.extend(claimed)

    rows = await execute(engine, "select extract(epoch from due - now())::float8 as seconds from lanes")
    assert all(25 < row.seconds <= 30 for row in rows)


async def test_a_heartbeat_after_the_finish_holds_nothing_back(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "a")
    claimed = await database.work.claim(TURN, 1)
    await database.work.finish(claimed)
    await enqueue(database, "a")

    await database.work.extend(claimed)

    assert keys(await database.work.claim(TURN, 1)) == ["a"]


async def test_a_lane_can_be_finished_once_only(database: PostgresDatabase) -> None:
    await enqueue(database, "a")
    claimed = await database.work.claim(TURN, 1)
    await database.work.finish(claimed)
    with pytest.raises(LeaseLost):
        await database.work.finish(claimed)


# --- retries and suspects ---------------------------------------------------------------------------------------------


async def test_an_orderly_failure_waits_and_is_no_suspect(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "a")
    [lane] = await database.work.claim(TURN, 1)

    await database.work.retry(lane, timedelta(seconds=60))
    await enqueue(database, "a")

    assert await database.work.claim(TURN, 1) == []
    await all_due(engine)
    assert [(lane.attempts, lane.is_suspect) for lane in await database.work.claim(TURN, 1)] == [(1, False)]


async def test_what_is_put_off_has_not_failed(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "a")
    [lane] = await database.work.claim(TURN, 1)
    await database.work.retry(lane, timedelta())
    [lane] = await database.work.claim(TURN, 1)
    await database.work.put_off(lane, timedelta(seconds=60))
    assert await database.work.claim(TURN, 1) == []
    await all_due(engine)
    assert [(lane.attempts, lane.retries) for lane in await database.work.claim(TURN, 1)] == [(1, 1)]


async def test_lanes_whose_worker_died_come_alone_and_never_with_innocent_ones(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a", "b", "c", "d")
    await lease_over(engine, "a", "b", "c", "d")
    assert len(await database.work.claim(TURN, 2)) == 2
    await lease_over(engine, "c", "a", "b", "d")

    claims = [await database.work.claim(TURN, 10) for _ in range(4)]

    assert [[(lane.key, lane.is_suspect) for lane in claimed] for claimed in claims] == [
        [("c", False), ("d", False)],
        [("a", True)],
        [("b", True)],
        [],
    ]


async def test_a_suspect_gets_its_turn_under_a_steady_load(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "bad", "good")
    await lease_over(engine, "bad", "good")
    await database.work.claim(TURN, 1)
    await lease_over(engine, "bad")
    seen = []
    for _ in range(3):
        claimed = await database.work.claim(TURN, 10)
        seen += keys(claimed)
        await database.work.finish(claimed)
        await enqueue(database, "good")
    assert "bad" in seen


async def test_each_death_of_a_worker_is_counted(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "a")
    attempts = []
    for _ in range(4):
        [lane] = await database.work.claim(TURN, 1)
        attempts.append(lane.attempts)
        await lease_over(engine, "a")
    assert attempts == [1, 2, 3, 4]


# --- enqueueing -------------------------------------------------------------------------------------------------------


async def test_an_enqueue_touches_neither_lease_nor_back_off(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "leased", "waiting")
    leased, waiting = sorted(await database.work.claim(TURN, 2), key=lambda lane: lane.key)
    await database.work.retry(waiting, timedelta(hours=1))
    before = {row.key: row.due for row in await execute(engine, "select key, due from lanes")}

    await enqueue(database, "leased", "waiting")

    after = await execute(engine, "select key, due, ver from lanes")
    assert {row.key: row.due for row in after} == before
    assert {row.ver for row in after} == {2}
    await database.work.finish([leased])


async def test_a_timer_is_not_due_before_its_time(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await enqueue(database, "a", due_in=timedelta(minutes=5))
    assert await database.work.claim(TURN, 1) == []
    await all_due(engine)
    assert keys(await database.work.claim(TURN, 1)) == ["a"]


async def test_an_enqueue_that_rolls_back_leaves_and_tells_nothing(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
            raise ZeroDivisionError
    assert await execute(engine, "select * from lanes") == []
    assert signals.published == []

    await enqueue(database, "a")
    assert signals.published == [WorkWaiting(TURN)]


async def test_the_backlog_counts_open_lanes_of_each_kind_and_the_age_of_the_oldest(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await enqueue(database, "a", "b", "c")
    await enqueue(database, "x", kind=WorkKind.SEND, due_in=timedelta(hours=1))
    await execute(engine, "update lanes set due = now() - interval '90 s' where key = 'b'")
    await database.work.finish([lane for lane in await database.work.claim(TURN, 3) if lane.key == "a"])
    await execute(engine, "update lanes set due = now() - interval '90 s', attempts = 0 where key = 'b'")

    backlog = {item.kind: item for item in await database.work.backlog()}

    assert (backlog["turn"].waiting, backlog["send"].waiting) == (2, 1)
    assert 89 < backlog["turn"].oldest_seconds < 120
    assert backlog["send"].oldest_seconds == 0.0
