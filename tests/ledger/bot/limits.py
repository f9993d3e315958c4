"""Budgets under many turns at once, an outage of the model in small, and texts that want out."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from structlog.testing import capture_logs

from builders import execute
from inbox.adapters.llm.answering import Answering, Ask, Defaults, Ending, Said
from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.bot_profile import Behaviour, Budget
from inbox.domain.errors import InboxError
from inbox.domain.model_usage import MICRO, Price, Prices, Usage
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.domain.work import WorkKind
from inbox.kit.resilience import Guard, Policy
from inbox.ports.llm import Answer, Meter, Prompt
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


_BILLED: Final = Usage(input=50, output=2_000)
"""Of each try: nearly all that is reserved for one."""
_PRICES: Final = Prices(table={"m": Price(input=1.0, output=10.0)})
_FIGURES: Final[Mapping[str, float]] = {
    "turns": 1.0,
    "tokens": _BILLED.input + _BILLED.output,
    "cost": (_PRICES.cost(_BILLED, "m") or 0) / MICRO,
}
"""What one try takes of each limit."""
_STUMBLES: Final = ("breaks off", "is garbage", "is refused", "breaks off", "answers")


class Crowded(FakeAssistant):
    """Answers when so many ask at once, or when nobody else comes, and writes a bill: `billed` are its tries.

    The tries of one that `stumbles` fail in turns; only those that it refused are free.
    """

    def __init__(self, crowd: int, *, stumbles: bool) -> None:
        super().__init__()
        self.billed = 0
        self._crowd = crowd
        self._there = 0
        self._full = asyncio.Event()
        self._fates = itertools.cycle(_STUMBLES if stumbles else _STUMBLES[-1:])
        policy = Policy(total=5.0, attempt=5.0, attempts=3, wait_initial=0.001, wait_max=0.002)
        guard = Guard("model", policy, elsewhere=(ModelFailed, ModelThrottled))
        self._answering = Answering(guard, Defaults(model="m", prices=_PRICES))

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        return await self._answering.answer(prompt, schema, self._once, meter)

    async def _once(self, ask: Ask) -> Said:
        await self._all_there()
        fate = next(self._fates)
        if fate == "is refused":
            raise ModelThrottled(retry_after=0.0)
        self.billed += 1
        if fate == "breaks off":
            raise ModelFailed
        text = "{" if fate == "is garbage" else msgspec.json.encode(a_decision()).decode()
        return Said(text=text, model=ask.model, ending=Ending.WHOLE, usage=_BILLED)

    async def _all_there(self) -> None:
        self._there += 1
        if self._there >= self._crowd:
            self._full.set()
        try:
            async with asyncio.timeout(0.2):
                await self._full.wait()
        except TimeoutError:
            self._full.set()


async def budgets(desk: Desk, runs: int) -> Counts:
    """Many customers write at once to an account that may ask the model a few times only; then it stumbles as well."""
    counts = Counts()
    for run, limit in zip(range(1, runs + 1), itertools.cycle(("tokens", "cost", "turns"))):
        counts += await capped(desk, cap=run % 4, crowd=6)
        counts += await capped(desk, cap=run % 4, crowd=6, limit=limit, stumbles=True)
    return counts


async def capped(desk: Desk, *, cap: int, crowd: int, limit: str = "turns", stumbles: bool = False) -> Counts:
    """Whether more tries of the model were billed than fit into `cap` tries' worth of `limit`, and one more.

    Half a try is added to what is not counted in tries: it fits in, and the one that passes the limit is the last.
    """
    account = await desk.other_account()
    scenes = [await desk.scene(account=account) for _ in range(crowd)]
    most = cap if limit == "turns" else _FIGURES[limit] * (cap + 0.5 if cap else 0)
    budget = msgspec.convert({limit: most if limit == "cost" else int(most)}, Budget)
    await scenes[0].business_says(behaviour=Behaviour(account_budget=budget))
    model = Crowded(crowd, stumbles=stumbles)
    for scene in scenes:
        scene.assistant = model
        scene.settings = {"prices": _PRICES}
        await scene.customer_writes("Bonjour")
    lanes = {lane.key: lane for lane in await desk.database.work.claim(WorkKind.TURN, crowd)}
    with capture_logs():  # each try is a line
        await asyncio.gather(*(scene.bot().work(lanes[str(scene.conversation)]) for scene in scenes))
    rows = await execute(desk.engine, "select * from bot_spending where holder = :id", id=account.account_id)
    spent = {name: model.billed * figure * (MICRO if name == "cost" else 1) for name, figure in _FIGURES.items()}
    missed = [name for name in spent if (getattr(rows[0], name) if rows else 0) < round(spent[name])]
    await desk.forget()
    is_over = model.billed > 0 and (model.billed - 1) * _FIGURES[limit] >= most
    strange = () if is_over or not missed else (f"billed and not counted: {', '.join(missed)}",)
    return Counts(runs=1, cap_overruns=int(is_over), unlike_expected=strange)


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

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        read = [prompt.system, *(turn.text for turn in prompt.history), *(source.text for source in prompt.sources)]
        self.then(a_decision(reply=" ".join(read)[-900:] + f" {CANARY}"))
        return await super().complete(prompt, schema=schema, meter=meter)


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
