"""A person takes over at each moment of a turn: after that was committed the bot says nothing any more."""

from itertools import cycle

import pytest

from inbox.domain.access import Permission
from inbox.domain.bot import FALLBACK
from inbox.domain.contacts import CountryCode
from inbox.services.conversations import Conversations
from member_builders import a_user, give_override
from services.bot_race import ANSWER, FENCE, OUTAGE, Moment, Race, distinct
from services.bot_scene import Scene


async def answers(scene: Scene) -> None:
    await scene.person_answers("Je m'en occupe.")


async def switches_off(scene: Scene) -> None:
    await scene.person_switches(enabled=False)


async def is_assigned(scene: Scene) -> None:
    service = Conversations(scene.database, scene.rights, scene.clock, CountryCode("33"))
    bea = await a_user(scene.engine)
    await give_override(scene.engine, bea, Permission.MESSAGES_VIEW, is_allowed=True)
    await service.assign(await scene.person(), scene.conversation, bea)


@pytest.fixture
def scenes(database, engine, account, clock):
    return lambda: Scene(database, engine, account, clock).begin()


async def moments_of(scenes, answer: object) -> tuple[list[Moment], Moment]:
    """All before the fence of the send, and the fence."""
    quiet = Race(await scenes(), answers, None, answer)
    moments = await quiet.run()
    assert len(quiet.sent) == 1
    return distinct(moments[: moments.index(FENCE)]), moments[moments.index(FENCE)]


async def test_no_message_of_the_bot_leaves_after_a_person_took_over(scenes) -> None:
    """At each moment one of three ways; the ledger tries all of them at all moments, and often."""
    before, after = await moments_of(scenes, ANSWER)
    assert len(before) >= 20
    for moment, take_over in zip(before, cycle((answers, switches_off, is_assigned)), strict=False):
        race = Race(await scenes(), take_over, moment)
        assert moment in await race.run()
        assert race.sent == [], (moment, take_over)
    late = Race(await scenes(), switches_off, after)
    await late.run()
    assert len(late.sent) == 1, "what passed its fence before is out"


async def test_while_the_model_is_down_a_person_who_took_over_is_not_talked_over_by_the_fallback_sentence(
    scenes,
) -> None:
    before, after = await moments_of(scenes, OUTAGE)
    for moment, take_over in zip(before[::4], cycle((switches_off, answers, is_assigned)), strict=False):
        race = Race(await scenes(), take_over, moment, OUTAGE)
        assert moment in await race.run()
        assert race.sent == [], (moment, take_over)
    late = Race(await scenes(), switches_off, after, OUTAGE)
    await late.run()
    assert late.sent == [FALLBACK]
