"""One turn and its send, with a person who takes over at one named moment of it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from typing import TypeAlias, TypeVar

import msgspec

from builders import LOCK_WAIT, until
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.content import Text
from inbox.domain.work import WorkKind
from inbox.ports.llm import Answer, Prompt
from inbox.services.outbound import Outbound
from services.bot_scene import Scene, a_decision
from services.file_scene import no_files

T = TypeVar("T", bound=msgspec.Struct)
Moment: TypeAlias = tuple[str, int]
"""A point, and its passage, from 1."""
TakeOver: TypeAlias = Callable[[Scene], Coroutine[None, None, None]]

REPLY = "Oui, nous en avons."
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

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        await self._moments.hit("model.complete:before")
        answer = await super().complete(prompt, schema=schema)
        await self._moments.hit("model.complete:after")
        return answer


class Race:
    """`sent` is what the bot told the customer."""

    def __init__(self, scene: Scene, take_over: TakeOver, at: Moment | None) -> None:
        self.scene = scene
        self.sent: list[str] = []
        self.moments = Moments(at, self._person)
        self._take_over = take_over
        self._task: asyncio.Task[None] | None = None
        self._database = FaultyDatabase(scene.database, self.moments)

    async def run(self) -> list[Moment]:
        """The turn, then its send; returns the moments that were passed."""
        scene = self.scene
        scene.assistant = Watched(self.moments)
        scene.assistant.then(a_decision(reply=REPLY), a_decision(reply=REPLY))
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
        database, clock = self._database, self.scene.clock
        outbound = Outbound(
            database, self.scene.rights, sender, MemoryEvents(), clock, no_files(self.scene.database, clock)
        )
        while lanes := await database.work.claim(WorkKind.SEND, 1):
            for taken in await database.outbox.take_heads(lanes):
                if taken.head is None:
                    await database.work.finish([taken.lane])
                else:
                    await outbound.deliver(taken.head, taken.lane)
        said = [one.content.body for one in sender.sent if isinstance(one.content, Text)]
        self.sent = [text for text in said if text == REPLY]
