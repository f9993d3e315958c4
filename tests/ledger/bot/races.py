"""A person takes over, or a worker dies, at each moment of a turn and of its send."""

import random
from collections.abc import Sequence
from itertools import islice
from typing import Final

from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.access import Permission
from inbox.domain.contacts import CountryCode
from inbox.domain.work import WorkKind
from inbox.services.conversations import Conversations
from member_builders import a_user, give_override
from services.bot_race import ANSWER, FENCE, OUTAGE, REPLY, Moment, Race, TakeOver, distinct
from services.bot_scene import Scene, a_decision

from .books import Counts
from .stage import Desk


async def answers(scene: Scene) -> None:
    await scene.person_answers("Je m'en occupe.")


async def switches_off(scene: Scene) -> None:
    await scene.person_switches(enabled=False)


async def is_assigned(scene: Scene) -> None:
    service = Conversations(scene.database, scene.rights, scene.clock, CountryCode("33"))
    bea = await a_user(scene.engine)
    await give_override(scene.engine, bea, Permission.MESSAGES_VIEW, is_allowed=True)
    await service.assign(await scene.person(), scene.conversation, bea)


WAYS: Final[Sequence[TakeOver]] = (answers, switches_off, is_assigned)
MODELS: Final[Sequence[object]] = (ANSWER, OUTAGE)
"""One that answers, and one that is down: then the bot says that a person comes."""
LEAST_MOMENTS: Final = 20


class WorkerDied(BaseException):
    """As SIGKILL: nobody gets to handle it."""


class Dying(Race):
    """A worker that is dead from one moment on; another one goes on when its leases have ended."""

    def __init__(self, desk: Desk, scene: Scene, at: Moment) -> None:
        super().__init__(scene, answers, at)
        self._desk = desk
        self.has_died = False

    async def _person(self) -> None:
        self.has_died = True
        raise WorkerDied

    async def run(self) -> list[Moment]:
        try:
            passed = await super().run()
        except WorkerDied:
            passed = self.moments.passed
        await self._desk.lapse()
        self.moments._at = None
        scene = self.scene
        scene.assistant = FakeAssistant()
        scene.assistant.then(*(a_decision(reply=REPLY) for _ in range(3)))
        while lanes := await self._database.work.claim(WorkKind.TURN, 1):
            await scene.bot(database=self._database).work(lanes[0])
        await self._deliver()
        return passed


async def moments_of(desk: Desk, model: object = ANSWER) -> tuple[list[Moment], Moment]:
    """All before the fence of the send, and the fence."""
    quiet = Race(await desk.scene(), answers, None, model)
    passed = await quiet.run()
    assert len(quiet.sent) == 1, "an undisturbed turn answers once"
    place = passed.index(FENCE)
    before = distinct(passed[:place])
    # In an outage there is no answer to pass, and no budget to put right.
    assert len(before) >= LEAST_MOMENTS - 2 * (model is OUTAGE), f"only {len(before)} moments"
    return before, passed[place]


async def races(desk: Desk, runs: int, seed: int) -> Counts:
    """Each moment with each way to take over and each model, again and again, in an order that `seed` gives."""
    cases = [(moment, way, model) for model in MODELS for moment in (await moments_of(desk, model))[0] for way in WAYS]
    chance = random.Random(f"{seed}:races")  # noqa: S311 - the order of a test
    counts = Counts()
    while counts.runs < runs:
        for moment, way, model in islice(chance.sample(cases, len(cases)), runs - counts.runs):
            counts += await taken_over(desk, moment, way, model)
    return counts


async def taken_over(desk: Desk, moment: Moment, way: TakeOver, model: object = ANSWER) -> Counts:
    """One race: whatever the bot says in it, it says too much."""
    race = Race(await desk.scene(), way, moment, model)
    passed = await race.run()
    strange = () if moment in passed else (f"{moment} was not passed",)
    await desk.forget()
    return Counts(runs=1, spoke_after_takeover=len(race.sent), unlike_expected=strange)


async def deaths(desk: Desk, *, every: int = 1) -> Counts:
    """A worker dies at each moment of the turn, or at one of `every`; what comes after it is the ledger's of sends."""
    before, _ = await moments_of(desk.as_variant(type(desk.parts)()))
    turn = [moment for moment in before if not moment[0].startswith("outbox.")]
    counts = Counts()
    for moment in turn[::every]:
        counts += await died(desk, moment)
    return counts


async def died(desk: Desk, moment: Moment) -> Counts:
    """One death."""
    scene = await desk.scene()
    dying = Dying(desk, scene, moment)
    await dying.run()
    said = len([text for text in await scene.said() if text == REPLY])
    left = await desk.turn_states(scene)
    await desk.forget()
    return Counts(
        runs=1,
        lost_turns=int(said == 0 or "open" in left),
        double_turns=int(said > 1 or len(dying.sent) > 1),
        unlike_expected=() if dying.has_died else (f"nobody died at {moment}",),
    )
