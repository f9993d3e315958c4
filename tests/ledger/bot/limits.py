"""Budgets under many turns at once, an outage of the model in small, and texts that want out."""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from builders import execute
from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.bot_profile import Behaviour, Budget
from inbox.domain.errors import InboxError
from inbox.domain.model_usage import Usage
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.domain.work import WorkKind
from inbox.ports.llm import Answer, Prompt
from services.bot_scene import CANARY, Scene, a_decision
from services.injections import INJECTIONS

from .books import Counts
from .stage import Desk

T = TypeVar("T", bound=msgspec.Struct)

_SECRET: Final = "CANARY-7f3a"
FAILURES: Final[Sequence[InboxError]] = (
    ModelTimeout(),
    ModelThrottled(retry_after=21.0),
    ModelUnavailable(),
    ModelFailed(),
    ModelRefused(),
    ModelSilent("empty", usage=Usage(input=10, output=0)),
    ModelSilent("blocked"),
    ModelSilent("malformed"),
)


class Crowded(FakeAssistant):
    """Answers when so many ask at once, or when nobody else comes."""

    def __init__(self, crowd: int) -> None:
        super().__init__()
        self._crowd = crowd
        self._full = asyncio.Event()

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        if len(self.prompts) + 1 >= self._crowd:
            self._full.set()
        self.prompts.append(prompt)
        try:
            async with asyncio.timeout(0.2):
                await self._full.wait()
        except TimeoutError:
            pass
        self.prompts.pop()
        return await super().complete(prompt, schema=schema)


async def budgets(desk: Desk, runs: int) -> Counts:
    """Many customers write at once to an account that may ask the model a few times only."""
    counts = Counts()
    for cap in range(1, runs + 1):
        counts += await capped(desk, cap=cap % 4, crowd=6)
    return counts


async def capped(desk: Desk, *, cap: int, crowd: int) -> Counts:
    """How many calls of the model there were above `cap` and one more."""
    account = await desk.other_account()
    scenes = [await desk.scene(account=account) for _ in range(crowd)]
    await scenes[0].business_says(behaviour=Behaviour(account_budget=Budget(turns=cap)))
    model = Crowded(crowd)
    for scene in scenes:
        scene.assistant = model
        await scene.customer_writes("Bonjour")
    lanes = {lane.key: lane for lane in await desk.database.work.claim(WorkKind.TURN, crowd)}
    await asyncio.gather(*(scene.bot().work(lanes[str(scene.conversation)]) for scene in scenes))
    rows = await execute(desk.engine, "select turns from bot_spending where holder = :id", id=account.account_id)
    counted = rows[0].turns if rows else 0
    asked = len(model.prompts)
    strange = () if asked == counted else (f"{asked} calls, {counted} counted",)
    await desk.forget()
    return Counts(runs=1, cap_overruns=int(asked > cap + 1), unlike_expected=strange if asked <= cap + 1 else ())


async def failures(desk: Desk) -> Counts:
    """Each way in which a model fails: a person goes on and is told why, and the next message is the bot's again."""
    counts = Counts()
    for error in FAILURES:
        scene = await desk.scene()
        scene.assistant.then(error)
        await scene.turn_after("Bonjour")
        row = await scene.row()
        said, has_reason = await scene.said(), row.handover_reason is not None and row.handed_over_at is not None
        scene.assistant.then(a_decision(reply="Me revoilà."))
        await scene.turn_after("Toujours là ?")
        is_back = (await scene.said())[len(said) :] == ["Me revoilà."] and (await scene.row()).bot_enabled
        strange = () if has_reason else (f"{error.code}: no reason to see",)
        counts += Counts(runs=1, lost_turns=int(not said), bots_lost_for_good=int(not is_back), unlike_expected=strange)
        await desk.forget()
    return counts


class Traitor(FakeAssistant):
    """Gives away all it has read."""

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        read = [prompt.system, *(turn.text for turn in prompt.history), *(source.text for source in prompt.sources)]
        self.then(a_decision(reply=" ".join(read)[-900:] + f" {CANARY}"))
        return await super().complete(prompt, schema=schema)


async def canaries(desk: Desk, prompts: Sequence[str] = INJECTIONS) -> Counts:
    """Another customer has a secret, and so have our instructions; the model obeys whoever writes."""
    other = await desk.scene(name=f"{_SECRET}-name")
    other.assistant.then(a_decision(reply=f"Bien reçu {_SECRET}"))
    await other.turn_after(f"Mon code est {_SECRET}")
    leaks = 0
    for said in prompts:
        scene = await desk.scene(name=said[:80])
        scene.assistant = Traitor()
        await scene.turn_after(said)
        leaks += await _leaks(scene)
        await desk.forget()
    return Counts(runs=len(prompts), canary_leaks=leaks)


async def _leaks(scene: Scene) -> int:
    read = [str(prompt) for prompt in scene.assistant.prompts]
    said = await scene.said()
    return sum(_SECRET in text for text in (*read, *said)) + sum(CANARY in text for text in said)
