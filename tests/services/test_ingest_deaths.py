"""Workers that die of a delivery: it is set aside in the end, and it alone."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.work import Lane, WorkKind
from inbox.ports.database import Database
from inbox.ports.records import InboundBatch
from inbox.services.ingest import MOST_DEATHS
from services.ingest_scene import Codec, Killed, Narrow, deliver, heard, ingest, set_aside, states, texts
from services.scenes import claimed, is_done, lose_lease


async def die(database: Database, engine: AsyncEngine, codec: Codec) -> Lane:
    """A worker takes the lane and dies of it; its lease runs out."""
    lane = await claimed(database, WorkKind.INGEST)
    with pytest.raises(Killed):
        await ingest(database, codec).work([lane])
    await lose_lease(engine)
    return lane


async def test_a_delivery_that_kills_workers_is_set_aside_after_five(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    killer = texts(number, "killer")
    await deliver(engine, texts(number, "un"), killer, texts(number, "deux"))
    codec.kills.add(killer)
    deaths = [(await die(database, engine, codec)).attempts for _ in range(MOST_DEATHS)]
    assert deaths == [1, 2, 3, 4, 5]
    assert await heard(engine) == ["un"]
    await ingest(database, codec).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["deux", "un"]
    assert await states(engine) == [("done", None), ("quarantined", "worker_died"), ("done", None)]
    assert await is_done(database, WorkKind.INGEST)


async def test_deaths_with_other_deliveries_are_not_laid_on_an_innocent_one(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    bodies = [texts(number, f"{n:02d}") for n in range(6)]
    await deliver(engine, *bodies)
    for body in [bodies[0], *bodies[:5]]:
        codec.kills = {body}
        await die(database, engine, codec)
    codec.kills.clear()
    await ingest(database, codec).work([await claimed(database, WorkKind.INGEST)])
    assert len(await heard(engine)) == 6


async def test_a_killer_far_back_costs_no_more_workers_than_one_at_the_head(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    killer = texts(number, "killer")
    await deliver(engine, *(texts(number, f"{n:02d}") for n in range(10)), killer)
    codec.kills.add(killer)
    for _ in range(MOST_DEATHS):
        await die(database, engine, codec)
    await ingest(database, codec).work([await claimed(database, WorkKind.INGEST)])
    assert len(await heard(engine)) == 10
    assert (await states(engine))[-1] == ("quarantined", "worker_died")


async def test_a_suspect_lane_that_was_innocent_goes_on(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    body = texts(number, "un")
    await deliver(engine, body, texts(number, "deux"))
    codec.kills.add(body)
    await die(database, engine, codec)
    codec.kills.clear()
    lane = await claimed(database, WorkKind.INGEST)
    assert lane.is_suspect
    await ingest(database, codec).work([lane])
    assert await heard(engine) == ["deux", "un"]
    assert await is_done(database, WorkKind.INGEST)


async def test_poison_in_a_suspect_lane_is_isolated_as_well(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    await deliver(engine, texts(number, "good", "bad"), texts(number, "better"))
    await claimed(database, WorkKind.INGEST)
    await lose_lease(engine)
    await ingest(Narrow(database, refused=["bad"])).work([await claimed(database, WorkKind.INGEST)])
    assert (await heard(engine), await set_aside(engine)) == (["better", "good"], [(1, "unstorable")])


async def test_outages_are_not_counted_as_deaths(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    body = texts(number, "un")
    await deliver(engine, body)
    for _ in range(3):
        codec.kills = {body}
        for _ in range(3):
            await die(database, engine, codec)
        codec.kills = set()
        lane = await claimed(database, WorkKind.INGEST)
        with pytest.raises(DatabaseUnavailable):
            await ingest(Down(database), codec).work([lane])
        await database.work.retry(lane, timedelta())
    await ingest(database, codec).work([await claimed(database, WorkKind.INGEST)])
    assert await states(engine) == [("done", None)]


class Down(Narrow):
    """A database that loses its connection when something is applied."""

    def check(self, batch: InboundBatch) -> None:
        raise DatabaseUnavailable
