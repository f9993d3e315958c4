"""Workers with everything they need, and what tests wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import a_body, a_message
from builders import a_conversation, a_number, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.adapters.messaging.fake import FakeSender
from inbox.adapters.messaging.fake_media import FakeMediaSource
from inbox.adapters.messaging.fake_receipts import FakeReceipts
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content, Text
from inbox.domain.explanations import Language
from inbox.domain.ids import ConversationId
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Sendable
from inbox.domain.signals import Signal
from inbox.entrypoints.worker import Limits, Services, Worker
from inbox.kit.telemetry import Metrics
from inbox.ports.events import Events
from inbox.ports.messaging import Accepted, Fence
from inbox.services.bot import Bot
from inbox.services.bot_context import Contexts
from inbox.services.bot_settings import BotSettings, PromptFile, Prompts
from inbox.services.ingest import Ingest
from inbox.services.intake import Intake
from inbox.services.media_files import MediaFiles
from inbox.services.outbound import Outbound
from inbox.services.read_receipts import ReadReceipts
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful

QUICK = Limits(sends=8, turns=4, poll=0.01, heartbeat=5.0, reap=0.05, drain=5.0)
"""A worker that looks often: no test waits for a rest."""


class Silent(MemoryEvents):
    """A bus that loses everything."""

    def publish(self, *signals: Signal) -> None:
        pass


class Holding(FakeSender):
    """Keeps sends of some texts, before or behind their fence, until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.before: set[str] = set()
        self.behind: set[str] = set()
        self.bugs: set[str] = set()
        self.held: list[str] = []
        self.holds = asyncio.Event()
        self.let_go = asyncio.Event()

    async def send(
        self,
        channel: Channel,
        to: Address,
        content: Content | Sendable,
        *,
        op: OpId,
        fence: Fence,
        reply_to: str | None = None,
    ) -> Accepted:
        assert isinstance(content, Text)
        if content.body in self.bugs:
            raise ZeroDivisionError("a bug in one send")
        if content.body in self.before:
            await self._hold(content.body)
        if content.body not in self.behind:
            return await super().send(channel, to, content, op=op, fence=fence, reply_to=reply_to)
        await fence()
        await self._hold(content.body)
        return await super().send(channel, to, content, op=op, fence=_open, reply_to=reply_to)

    async def _hold(self, text: str) -> None:
        self.held.append(text)
        self.holds.set()
        await self.let_go.wait()

    def texts(self) -> list[str]:
        return sorted(sent.content.body for sent in self.sent if isinstance(sent.content, Text))


async def _open() -> None:
    """A fence that was passed already."""


class House:
    """One database with as many workers as a test wants."""

    def __init__(self, database: Any, engine: AsyncEngine, signals: Events, clock: Clock) -> None:  # noqa: ANN401
        self.database = database
        self.engine = engine
        self.signals = signals
        self.clock = clock
        self.sender = Holding()
        self.assistant = FakeAssistant()
        self.files = FakeMediaSource()
        self.store = MemoryMediaStore()
        self.receipts = FakeReceipts()
        self.metrics = Metrics()
        self.codec = CloudApiCodec([])

    def worker(
        self,
        limits: Limits = QUICK,
        *,
        database: Any = None,  # noqa: ANN401 - or a double
        outbound: Outbound | None = None,
    ) -> Worker:
        database = database or self.database
        files = no_files(database, self.clock)
        texts = {one: PromptFile(name="0", text="{knowledge}") for one in Language}
        settings = BotSettings(prompts=Prompts(assistant=texts, summary=texts), canary="ref-0", backup_number=None)
        return Worker(
            database,
            self.signals,
            self.metrics,
            limits,
            Services(
                ingest=Ingest(database, self.codec, quiet_for=timedelta()),
                outbound=outbound
                or Outbound(database, forgetful(self.database), self.sender, self.signals, self.clock, files),
                bot=Bot(database, forgetful(self.database), Contexts(self.assistant, settings), self.clock),
                media_files=MediaFiles(database, self.files, self.store, self.clock, limit=1_000),
                receipts=ReadReceipts(database, self.receipts),
            ),
        )

    async def customer_writes(self, account: Channel, number: str, text: str) -> None:
        """One POST of Meta, stored."""
        message = a_message(
            id=f"wamid.{a_number()}",
            text={"body": text},
            timestamp=str(int(self.clock().timestamp())),
            **{"from": number},
        )
        rights = forgetful(self.database)
        intake = Intake(self.database, self.codec, rights, verify_token=None, is_signed=False)
        await intake.accept([], a_body(message, number=account.phone_number_id))

    async def a_talk(self, account: Channel, *, bot_enabled: bool = True) -> tuple[ConversationId, str]:
        """A conversation that the bot answers, and the number of its customer."""
        number = f"336{a_number():08d}"
        conversation = await a_conversation(
            self.engine, account.account_id, client_number=number, bot_enabled=bot_enabled
        )
        return conversation, number

    async def until(self, statement: str, *, within: float = 20.0) -> None:
        """Looks until `statement` gives a row; lanes that only wait for another try are made due."""
        async with asyncio.timeout(within):
            while not await execute(self.engine, statement):
                await execute(
                    self.engine, "update lanes set due = now() where attempts = 0 and ver > done and due > now()"
                )

    async def until_true(self, condition: Callable[[], bool], *, within: float = 20.0) -> None:
        """Lets the worker go on until `condition` holds."""
        async with asyncio.timeout(within):
            while not condition():
                await self.database.queries.ping()

    async def until_done(self, kind: str, outcome: str, times: int) -> None:
        await self.until_true(lambda: self.done(kind, outcome) == times)

    async def time_passes(self) -> None:
        """The leases of everything that is in hand run out."""
        await execute(self.engine, "update lanes set due = now() where ver > done")
        await execute(self.engine, "update outbox set lease_until = now() where state = 'claimed'")

    async def states(self) -> dict[str, str]:
        rows = await execute(self.engine, "select m.content_text, o.state from outbox o join messages m on m.id = o.id")
        return {row.content_text: row.state for row in rows}

    def done(self, kind: str, outcome: str) -> float:
        """How often the metrics say that it happened."""
        labels = {"kind": kind, "outcome": outcome}
        return self.metrics.registry.get_sample_value("inbox_work_total", labels) or 0.0


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """The workers, at work; leaving the block stops them and waits for their end."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield tasks
    finally:
        for worker in workers:
            worker.stop()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
