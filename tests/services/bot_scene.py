"""One conversation with the assistant, for the tests of its turns."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_client_number, a_conversation, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import CountryCode
from inbox.domain.content import Content, Media, MediaKind, Text
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.work import Lane, WorkKind
from inbox.ports.database import Database
from inbox.ports.receipts import Typing
from inbox.services.bot import Bot, BotSettings
from inbox.services.conversations import Conversations
from inbox.services.outbound import Outbound
from member_builders import a_user
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful
from services.scenes import claimed, conversation_row, customer_writes, said_by_us

CANARY = "ref-0123456789abcdef"
TEMPLATE = "Contenu illisible: {unreadable} Secret: {canary}\n\nContexte entreprise:\n{knowledge}"
PHOTO = Media(kind=MediaKind.IMAGE, media_id="1")


def a_decision(action: str = "reply", reply: str = "Oui, nous en avons.", reason: str = "none") -> dict[str, object]:
    return {"confidence": 0.9, "action": action, "handoff_reason": reason, "reply": reply}


class Scene:
    """A customer, the assistant and a person of the team."""

    def __init__(
        self, database: Database, engine: AsyncEngine, account: Channel, clock: Clock, typing: Typing | None = None
    ) -> None:
        self.database = database
        self.rights = forgetful(database)
        self.engine = engine
        self.account = account
        self.clock = clock
        self.typing = typing
        self.number = a_client_number()
        self.assistant = FakeAssistant()
        self.conversation: ConversationId

    async def begin(self, *, number: str | None = None, display_name: str | None = None) -> "Scene":
        self.number = number or self.number
        self.conversation = await a_conversation(
            self.engine,
            self.account.account_id,
            client_number=self.number,
            display_name=display_name,
            bot_enabled=True,
        )
        return self

    def bot(self, *, backup_number: str | None = None, database: Any = None) -> Bot:  # noqa: ANN401 - or a double
        settings = BotSettings(template=TEMPLATE, canary=CANARY, backup_number=backup_number)
        return Bot(database or self.database, self.rights, self.assistant, settings, self.clock, self.typing)

    async def customer_writes(
        self,
        *said: Content | str,
        at: datetime | None = None,
        wamid: str | None = None,
        quiet_for: timedelta = timedelta(),
    ) -> list[MessageId]:
        return await customer_writes(
            self.database, self.account, self.number, *said, at=at or self.clock(), wamid=wamid, quiet_for=quiet_for
        )

    async def turn(self, *, backup_number: str | None = None) -> str:
        """The turn that is due."""
        return await self.bot(backup_number=backup_number).work(await self.lane())

    async def lane(self) -> Lane:
        return await claimed(self.database, WorkKind.TURN)

    async def turn_after(self, *said: Content | str) -> str:
        await self.customer_writes(*said)
        return await self.turn()

    async def person(self) -> Actor:
        grants = (Grant(code=Permission.MESSAGES_SEND, account_id=None),)
        return Actor(user_id=await a_user(self.engine), email=None, is_active=True, grants=grants)

    async def person_answers(self, text: str) -> None:
        files = no_files(self.database, self.clock)
        outbound = Outbound(self.database, self.rights, FakeSender(), MemoryEvents(), self.clock, files)
        await outbound.accept(await self.person(), self.conversation, Text(body=text), key=None)

    async def person_switches(self, *, enabled: bool) -> None:
        service = Conversations(self.database, self.rights, self.clock, CountryCode("33"))
        await service.switch_bot(await self.person(), self.conversation, enabled=enabled)

    async def said(self) -> list[str]:
        return await said_by_us(self.engine, self.conversation)

    async def row(self) -> Any:  # noqa: ANN401 - a row
        return await conversation_row(self.engine, self.conversation)

    async def turns(self) -> list[tuple[str, str | None]]:
        rows = await execute(self.engine, "select state, reason from bot_turns order by created_at, id")
        return [(row.state, row.reason) for row in rows]

    def asked(self) -> Sequence[str]:
        """What the model read of the conversation the last time."""
        return [turn.text for turn in self.assistant.prompts[-1].history]


async def thinking(scene: Scene) -> "asyncio.Task[str]":
    """A turn whose model has been asked and has not answered. `scene.assistant` must be a `Thinking`."""
    task = asyncio.create_task(scene.turn())
    await scene.assistant.asked.wait()  # type: ignore[attr-defined]
    return task


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)
