"""What screens show, before and after something happened: nothing of it may change without an event that says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_queued_message, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import CountryCode
from inbox.domain.events import ContactUpdated, Event, kind_of
from inbox.domain.ids import AccountId, ContactId, ConversationId, MessageId
from inbox.domain.outbound import State
from inbox.domain.signals import LogGrew
from inbox.domain.work import Lane
from inbox.ports.records import Outgoing
from inbox.ports.templates import TemplateFilter
from inbox.services.accounts import Accounts
from inbox.services.contacts import Contacts
from inbox.services.conversations import Conversations
from inbox.services.decisions import Decisions
from inbox.services.outbound import Outbound
from member_builders import EVERYWHERE, a_user
from postgres.identity_scene import BSUID, PHONE, happens, said, who
from postgres.outbox_scene import take_one
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful

Shown = dict[tuple[Any, ...], bytes]
"""What a screen shows of one thing: its kind, whose it is, and the JSON of it."""


class Scene:
    """Two numbers of the business. One customer writes to both, another one, of whom only an id is known, to the first.

    Nobody has read anything yet.
    """

    def __init__(self, database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals) -> None:
        self.database, self.engine, self.signals = database, engine, signals
        self.clock = Clock()
        rights = forgetful(database)
        self.conversations = Conversations(database, rights, self.clock, CountryCode("33"))
        self.contacts = Contacts(database, CountryCode("33"))
        self.accounts = Accounts(database, rights)
        self.decisions = Decisions(database, self.clock)
        files = no_files(database, self.clock)
        self.outbound = Outbound(database, rights, FakeSender(), signals, self.clock, files)

    async def begin(self) -> "Scene":
        grants = tuple(Grant(code=code, account_id=None) for code in Permission)
        self.ana = Actor(user_id=await a_user(self.engine), email=None, is_active=True, grants=grants)
        self.mine, self.other = await an_account(self.engine), await an_account(self.engine)
        await execute(self.engine, "update whatsapp_accounts set waba_id = id::text")
        now = self.clock()
        for account in (self.mine, self.other):
            await happens(self.database, said(account, who(PHONE), at=now, wamid=f"wamid.{account.phone_number_id}"))
        await happens(self.database, said(self.mine, who(None, BSUID), at=now, wamid="wamid.nobody"))
        rows = await execute(self.engine, "select id, account_id, contact_id, client_number from conversations")
        found = {(row.account_id, row.client_number): row for row in rows}
        talk = found[self.mine.account_id, PHONE]
        self.contact = ContactId(talk.contact_id)
        self.talk = ConversationId(talk.id)
        self.nameless = ConversationId(found[self.mine.account_id, BSUID].id)
        self.question = await self.id_of(f"wamid.{self.mine.phone_number_id}")
        return self

    async def id_of(self, wamid: str) -> MessageId:
        ((found,),) = await execute(self.engine, "select id from messages where wa_message_id = :wamid", wamid=wamid)
        return MessageId(found)

    async def ours(self, state: State = State.QUEUED, **more: Any) -> MessageId:  # noqa: ANN401 - what a message has
        """A message of ours to the customer."""
        return await a_queued_message(self.engine, self.mine.account_id, self.talk, state=state, **more)

    async def on_wire(self, **more: Any) -> tuple[Outgoing, Lane]:  # noqa: ANN401 - what a message has
        await self.ours(**more)
        head, lane = await take_one(self.database)
        assert await self.database.outbox.to_wire(head.id, head.token) == 1
        return head, lane

    async def an_empty_conversation(self, account: Channel) -> ConversationId:
        return await a_conversation(self.engine, account.account_id, updated_at=NOON)


async def shown(database: PostgresDatabase, engine: AsyncEngine) -> Shown:
    """Everything that lists, threads, the address book and the pages of accounts show."""
    found: Shown = {}
    for (account,) in await execute(engine, "select id from whatsapp_accounts"):
        found |= await _of_account(database, AccountId(account))
    for item in await database.queries.contacts(None, limit=100, before=None):
        found["contact", None, item.id] = msgspec.json.encode(item)
    for one in await database.queries.accounts(EVERYWHERE):
        found["account", one.id, None] = msgspec.json.encode(one)
    return found


async def _of_account(database: PostgresDatabase, account: AccountId) -> Shown:
    found: Shown = {}
    for item in await database.queries.conversations(account, limit=100, before=None):
        found["list", account, item.id] = msgspec.json.encode(item)
        thread = await database.queries.messages(EVERYWHERE, ConversationId(item.id), limit=100, before=None)
        found["thread", account, item.id] = msgspec.json.encode(thread)
    async with database.transaction() as tx:
        row = await tx.accounts.get(account)
    if row and row.paused_reason:
        found["pause", account, None] = row.paused_reason.encode()
    for template in await database.queries.templates(account, TemplateFilter(), limit=100, before=None):
        found["template", account, template.id] = msgspec.json.encode([template.status, template.components])
    for notice in await database.queries.notices_of(account, limit=100, before=None):
        found["notice", account, notice.id] = msgspec.json.encode(notice)
    return found


def is_told(screen: tuple[str, UUID | None, UUID | None], events: list[Event]) -> bool:
    """Whether one of `events` makes who looks at `screen` look again."""
    what, account, thing = screen
    if what == "contact":
        return any(isinstance(event, ContactUpdated) and event.contact_id == thing for event in events)
    words = {
        "list": ("conversation.", "bot."),
        "thread": ("conversation.", "message."),
        "template": ("template.",),
        "notice": ("account.notice",),
        "pause": ("account.paused", "account.resumed"),
    }.get(what, ("account.",))
    conversation = thing if what in ("list", "thread") else None
    return any(
        (event.account_id, event.conversation_id) == (account, conversation) and kind_of(event).startswith(words)
        for event in events
    )


@asynccontextmanager
async def nothing_silent(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals
) -> AsyncIterator[None]:
    """What happens inside must change something, and everything that it changes must be told."""
    before, known = await shown(database, engine), len(await the_log(engine))
    signals.published.clear()
    yield
    after, events = await shown(database, engine), (await the_log(engine))[known:]
    changed = {screen for screen in before.keys() | after.keys() if before.get(screen) != after.get(screen)}
    assert changed, "nothing changed: the row says nothing"
    assert [screen for screen in changed if not is_told(screen, events)] == []
    assert LogGrew() in signals.published
