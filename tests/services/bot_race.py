"""One turn and its send, with a person who takes over at one named moment of it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from typing import TypeAlias, TypeVar

import msgspec

from builders import LOCK_WAIT, execute, until
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.content import Text
from inbox.domain.upstream_errors import ModelUnavailable
from inbox.domain.work import WorkKind
from inbox.ports.llm import Answer, Meter, Prompt
from services.bot_scene import Scene, a_decision

T = TypeVar("T", bound=msgspec.Struct)
Moment: TypeAlias = tuple[str, int]
"""A point, and its passage, from 1."""
TakeOver: TypeAlias = Callable[[Scene], Coroutine[None, None, None]]

REPLY = "Oui, nous en avons."
ANSWER = a_decision(reply=REPLY)
OUTAGE = ModelUnavailable()
FENCE: Moment = ("outbox.to_wire:after", 1)
"""From here on the message of the bot may be with WhatsApp already."""


def distinct(moments: Sequence[Moment]) -> list[Moment]:
    """Each once: commits under their general name only. Claims are left out, for no turn is between them."""
    return [one for one in moments if not one[0].startswith(("commit.", "work.claim"))]


class Moments(Failpoints):
    """Writes down every point that is passed, and lets something happen at one of them."""

    def __init__(self, at: Moment | None, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.passed: list[Moment] = []
        self._at = at
        self._happens = happens

    async def hit(self, point: str) -> None:
        moment = (point, 1 + sum(point == name for name, _ in self.passed))
        self.passed.append(moment)
        if moment == self._at:
            await self._happens()


class Watched(FakeAssistant):
    """A model whose borders are points as well."""

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self._moments = moments

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        await self._moments.hit("model.complete:before")
        answer = await super().complete(prompt, schema=schema, meter=meter)
        await self._moments.hit("model.complete:after")
        return answer


class Race:
    """`sent` is all that the bot told the customer, whichever words it found. `answer` is what comes of the model."""

    def __init__(self, scene: Scene, take_over: TakeOver, at: Moment | None, answer: object = ANSWER) -> None:
        self.scene = scene
        self.sent: list[str] = []
        self._answer = answer
        self.moments = Moments(at, self._person)
        self._take_over = take_over
        self._task: asyncio.Task[None] | None = None
        self._database = FaultyDatabase(scene.database, self.moments)

    async def run(self) -> list[Moment]:
        """The turn, then its send; returns the moments that were passed."""
        scene = self.scene
        scene.assistant = Watched(self.moments)
        scene.assistant.then(self._answer, self._answer)
        await scene.customer_writes("Avez-vous des cerises ?")
        while lanes := await self._database.work.claim(WorkKind.TURN, 1):
            await scene.bot(database=self._database).work(lanes[0])
        await self._committed()
        await self._deliver()
        if self._task is not None:
            await self._task
        return self.moments.passed

    async def _person(self) -> None:
        """Takes over, or waits for a lock that the turn holds, before the turn goes on."""
        # A person is no part of the turn, nor of its transaction.
        self._task = asyncio.create_task(self._take_over(self.scene), context=Context())
        await until(self.scene.engine, f"{self._is_taken} union all {LOCK_WAIT}")

    async def _committed(self) -> None:
        if self._task is not None:
            await until(self.scene.engine, self._is_taken)

    @property
    def _is_taken(self) -> str:
        return f"select 1 from conversations where id = '{self.scene.conversation}' and epoch > 0"  # noqa: S608 - ours

    async def _deliver(self) -> None:
        sender = FakeSender()
        await self.scene.delivers(sender, database=self._database)
        rows = await execute(
            self.scene.engine,
            "select id from messages where author = 'bot' and conversation_id = :id",
            id=self.scene.conversation,
        )
        by_bot = {row.id for row in rows}
        said = [one.content for one in sender.sent if one.op.message_id in by_bot]
        self.sent = [content.body or "" for content in said if isinstance(content, Text)]
