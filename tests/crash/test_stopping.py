"""SIGTERM in the middle of work: what is on the wire is finished, the rest waits, and nothing is in doubt."""

import asyncio

from .harness import fresh_world
from .stage import Stage

STOPS_WITHIN = 25.0
ON_WIRE = "select exists (select from outbox where state = 'wire')"
IN_DOUBT = "select count(*) from outbox where state in ('claimed', 'wire', 'unknown', 'unconfirmed')"
HELD = "select count(*) from lanes where attempts > 0"


async def test_a_service_that_is_told_to_stop_finishes_what_is_on_the_wire(stage: Stage) -> None:
    async with fresh_world(stage) as world, asyncio.TaskGroup() as group:
        await world.emulator.call("PATCH", "/behaviour", {"latency": (0.8, 0.8)})
        first = await world.start()
        playing = group.create_task(world.play())
        await world.until(ON_WIRE)
        code, seconds = await first.terminate()
        assert code == 0, first.said()
        assert seconds <= STOPS_WITHIN
        assert await world.database.value(IN_DOUBT) == 0
        assert await world.database.value(HELD) == 0
        second = await world.start()
        await second.ready(world.client)
        said = await playing
        await world.drained()
        verdict = await world.verdict(said, frozenset(), died=False)
        assert verdict.complaints == [], verdict.story
        assert verdict.unconfirmed == 0
