"""Lanes that were given back to wait: left out of a claim, or due again before their time."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from postgres.lane_scene import TURN, enqueue, keys

SOON, LATE = timedelta(0), timedelta(hours=1)


async def given_back(database: PostgresDatabase, *names: str, wait: timedelta) -> None:
    await enqueue(database, *names)
    for lane in await database.work.claim(TURN, len(names)):
        await database.work.retry(lane, wait)


async def test_a_claim_of_untried_lanes_leaves_out_what_was_given_back(database: PostgresDatabase) -> None:
    await given_back(database, "tried", wait=SOON)
    await enqueue(database, "fresh")
    assert keys(await database.work.claim(TURN, 5, untried=True)) == ["fresh"]
    assert await database.work.claim(TURN, 5, untried=True) == []
    assert keys(await database.work.claim(TURN, 5)) == ["tried"]


async def test_a_lane_that_got_on_is_untried_again(database: PostgresDatabase) -> None:
    await given_back(database, "a", wait=SOON)
    await database.work.finish(await database.work.claim(TURN, 1))
    await enqueue(database, "a")
    assert keys(await database.work.claim(TURN, 1, untried=True)) == ["a"]


async def test_a_lane_whose_worker_died_is_untried_and_comes_alone(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await given_back(database, "tried", wait=SOON)
    await enqueue(database, "dead")
    await database.work.claim(TURN, 1, untried=True)
    await enqueue(database, "fresh")
    await execute(engine, "update lanes set due = now() - interval '1 minute' where key = 'dead'")
    assert keys(await database.work.claim(TURN, 5, untried=True)) == ["dead"]
    assert keys(await database.work.claim(TURN, 5, untried=True)) == ["fresh"]


async def test_hurried_lanes_are_due_at_once_and_no_others(database: PostgresDatabase) -> None:
    await given_back(database, "a", "b", wait=LATE)
    await database.work.hurry(TURN, ["a", "nobody"])
    await database.work.hurry(TURN, [])
    assert keys(await database.work.claim(TURN, 5)) == ["a"]


async def test_a_lane_in_work_is_not_hurried(database: PostgresDatabase) -> None:
    await enqueue(database, "a")
    await database.work.claim(TURN, 1)
    await database.work.hurry(TURN, ["a"])
    assert await database.work.claim(TURN, 1) == []
