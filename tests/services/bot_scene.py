"""One conversation with the assistant, for the tests of its turns."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_client_number, a_conversation, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Actor, ActorKind, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.bot import Mode
from inbox.domain.bot_profile import Profile
from inbox.domain.contacts import CountryCode
from inbox.domain.content import Content, Media, MediaKind, Text
from inbox.domain.explanations import Language
from inbox.domain.ids import ConversationId, MessageId, UserId
from inbox.domain.work import Lane, WorkKind
from inbox.ports.database import Database
from inbox.ports.media import MediaStore
from inbox.ports.messaging import Sender
from inbox.ports.receipts import Typing
from inbox.services.bot import Bot
from inbox.services.bot_context import Contexts
from inbox.services.bot_settings import BotSettings, PromptFile, Prompts
from inbox.services.bot_summary import Summaries
from inbox.services.conversations import Conversations
from inbox.services.knowledge import Knowledge
from inbox.services.outbound import Outbound
from member_builders import a_user, an_api_key
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful
from services.scenes import claimed, conversation_row, customer_writes, said_by_us

CANARY = "ref-0123456789abcdef"
TEMPLATE = "Contenu illisible: {unreadable} Secret: {canary}\n\nContexte entreprise:\n{knowledge}"
PROMPTS = Prompts(
    assistant={one: PromptFile(name=f"{one}/assistant_0", text=TEMPLATE) for one in Language},
    summary={one: PromptFile(name=f"{one}/summary_0", text="Secret: {canary}") for one in Language},
)
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
        self.settings: dict[str, object] = {}
        self.articles: Knowledge | None = None
        self.store: MediaStore | None = None
        self.summarises = False
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
        settings = BotSettings(prompts=PROMPTS, canary=CANARY, backup_number=backup_number)
        settings = msgspec.structs.replace(settings, **self.settings)
        used = database or self.database
        contexts = Contexts(self.assistant, settings, self.articles, self.store)
        summaries = Summaries(used, contexts, self.clock) if self.summarises else None
        return Bot(used, self.rights, contexts, self.clock, summaries=summaries, typing=self.typing)

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

    async def person(self, *codes: Permission) -> Actor:
        """With the right to send, if nothing else is said. The rights are stored as well."""
        grants = tuple(Grant(code=code, account_id=None) for code in codes or (Permission.MESSAGES_SEND,))
        return Actor(user_id=await a_user(self.engine), email=None, is_active=True, grants=grants)

    async def person_answers(self, text: str) -> None:
        await self._outbound().accept(await self.person(), self.conversation, Text(body=text), key=None)

    async def program_sends(self, text: str, *, send_at: datetime | None = None) -> None:
        key, _ = await an_api_key(self.engine)
        grants = (Grant(code=Permission.MESSAGES_SEND, account_id=None),)
        program = Actor(user_id=UserId(key), email=None, is_active=True, grants=grants, kind=ActorKind.API_KEY)
        await self._outbound().accept(program, self.conversation, Text(body=text), key=None, send_at=send_at)

    async def delivers(self, sender: Sender, *, database: Any = None) -> None:  # noqa: ANN401 - or a double
        """All that waits to be sent now."""
        database = database or self.database
        outbound = self._outbound(sender, database=database)
        while lanes := await database.work.claim(WorkKind.SEND, 1):
            for taken in await database.outbox.take_heads(lanes):
                if taken.head is None:
                    await database.work.finish([taken.lane])
                else:
                    await outbound.deliver(taken.head, taken.lane)

    def _outbound(self, sender: Sender | None = None, *, database: Any = None) -> Outbound:  # noqa: ANN401 - or a double
        files = no_files(self.database, self.clock)
        database = database or self.database
        return Outbound(database, self.rights, sender or FakeSender(), MemoryEvents(), self.clock, files)

    async def person_switches(self, *, enabled: bool = False, mode: Mode | None = None) -> None:
        service = Conversations(self.database, self.rights, self.clock, CountryCode("33"))
        await service.switch_bot(await self.person(), self.conversation, enabled=enabled, mode=mode)

    async def business_says(self, **told: object) -> None:
        """The profile of the account, as a whole."""
        async with self.database.transaction() as tx:
            await tx.change_rights()
            await tx.bot.put_profile(Profile(account_id=self.account.account_id, **told))  # type: ignore[arg-type]

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
