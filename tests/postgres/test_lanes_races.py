"""Lanes under many hands: nothing is lost, done twice or locked for ever."""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_delivery, execute, until
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase, PostgresTransaction
from inbox.domain.errors import LeaseLost
from inbox.domain.events import AccountStep, AccountUpdated
from inbox.domain.ids import AccountId
from inbox.domain.work import Lane, WorkKind
from inbox.ports.records import InboundBatch
from postgres.lane_scene import TURN, enqueue, keys, lease_over

NOBODY: Final = AccountId(UUID(int=0))


async def note_done(tx: PostgresTransaction, lanes: Sequence[Lane]) -> None:
    """An effect: one event for each piece of work."""
    await tx.record(
        *(
            AccountUpdated(account_id=NOBODY, change=AccountStep.CHANGED, changed=(lane.key, str(lane.ver)))
            for lane in lanes
        )
    )


async def work_on(database: PostgresDatabase, engine: AsyncEngine, number: int, done: asyncio.Event) -> None:
    """A worker under whose hands every fourth lease ends."""
    for round_ in itertools.count(number):
        if done.is_set():
            return
        claimed = await database.work.claim(TURN, 2)
        if claimed and round_ % 4 == 0:
            await lease_over(engine, *keys(claimed))
        with suppress(LeaseLost):
            async with database.transaction() as tx:
                await tx.finish(claimed)
                await note_done(tx, claimed)


async def test_nothing_is_lost_or_done_twice_with_workers_that_oversleep(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    done = asyncio.Event()

    async def write() -> None:
        await asyncio.gather(*(enqueue(database, *(f"{(n * 7 + writer) % 5}" for n in range(30))) for writer in (0, 1)))
        await until(engine, "select 1 where not exists (select from lanes where ver > done)")
        done.set()

    async with asyncio.timeout(60):
        await asyncio.gather(write(), *(work_on(database, engine, number, done) for number in range(3)))

    lanes = {row.key: row.ver for row in await execute(engine, "select key, ver from lanes where ver = done")}
    finished = [(key, int(ver)) for key, ver in (event.changed for event in await the_log(engine))]
    assert sum(lanes.values()) == 60
    assert len(finished) == len(set(finished))
    assert {key: max(ver for done_key, ver in finished if done_key == key) for key in lanes} == lanes


async def free_lanes(engine: AsyncEngine) -> list[str]:
    """The lanes that nobody has locked at this moment."""
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("select key from lanes order by key for update skip locked")
        return [row.key for row in rows]


@pytest.mark.parametrize("what", ["store", "finish", "finish in a transaction", "extend"])
async def test_lanes_are_locked_in_the_order_of_their_keys(
    database: PostgresDatabase, engine: AsyncEngine, what: str
) -> None:
    """Somebody holds the lane in the middle: those before it are locked by now, those behind it are not."""
    await enqueue(database, "1", "2", "3", kind=WorkKind.INGEST)
    claimed = list(reversed(await database.work.claim(WorkKind.INGEST, 3)))

    async def finish() -> None:
        async with database.transaction() as tx:
            await tx.finish(claimed)

    async def store() -> None:
        await asyncio.gather(*(database.deliveries.store(b"%d" % n, f"{n}") for n in (0, 3, 2, 1)))

    work = {"finish": database.work.finish, "extend": database.work.extend}
    async with engine.connect() as holder:
        await holder.exec_driver_sql("select 1 from lanes where key = '2' for update")
        task = asyncio.ensure_future(
            store() if what == "store" else finish() if what == "finish in a transaction" else work[what](claimed)
        )
        await until(engine, LOCK_WAIT)
        assert await free_lanes(engine) == ["3"]
    await task


async def test_a_redelivery_waits_for_no_ingest_that_has_not_locked_its_lane(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    """Intake holds the lane while it compares bodies. An ingest that touches the body first would deadlock with it."""
    delivery = await a_delivery(engine, b"body", lane="1")
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(done=[delivery]))
        async with asyncio.timeout(5):
            await database.deliveries.store(b"body", "1")
    assert [row.state for row in await execute(engine, "select state from deliveries")] == ["done"]


async def test_intake_and_finish_of_many_lanes_never_deadlock(database: PostgresDatabase, engine: AsyncEngine) -> None:
    """The order of keys is turned round on purpose; a redelivery is among the bodies."""
    lanes = [f"{n:02}" for n in range(8)]

    async def take(turn: int) -> None:
        for n in range(10):
            for lane in lanes if turn % 2 else reversed(lanes):
                await database.deliveries.store(b'{"n":%d}' % (n if n % 3 else turn), lane)

    async def ingest() -> None:
        for _ in range(15):
            claimed = await database.work.claim(WorkKind.INGEST, 8)
            page = await database.deliveries.read(claimed, 500)
            async with database.transaction() as tx:
                await tx.apply(InboundBatch(done=[delivery.id for delivery in page]))
                await tx.finish(list(reversed(claimed)))

    async with asyncio.timeout(60):
        await asyncio.gather(*(take(turn) for turn in range(4)), ingest(), ingest())
        while await execute(engine, "select 1 from lanes where ver > done"):
            await ingest()

    assert await execute(engine, "select 1 from deliveries where state <> 'done'") == []


async def test_a_lane_that_was_never_claimed_has_no_one_to_finish_it(database: PostgresDatabase) -> None:
    stranger = Lane(kind=TURN, key=str(uuid4()), ver=1, fence=1, attempts=1)
    with pytest.raises(LeaseLost):
        await database.work.finish([stranger])
