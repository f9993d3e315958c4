"""The switch of the bot: when it answers, nothing that was computed before can reach the customer any more."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, a_queued_message, an_account, execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import CountryCode
from inbox.domain.errors import AccountNotFound, ConversationNotFound, PermissionDenied
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.ports.database import Database, Outbox
from inbox.services.conversations import Conversations
from member_builders import a_user
from services.rights_scene import forgetful
from services.scenes import conversation_row, events_of


class Watched:
    """The database, which says when somebody looked whether the bot is on the wire."""

    def __init__(self, inner: Database) -> None:
        self.deliveries, self.work, self.queries = inner.deliveries, inner.work, inner.queries
        self.team, self.operations, self.transaction = inner.team, inner.operations, inner.transaction
        self.archive, self.retention = inner.archive, inner.retention
        self.event_log, self.tickets, self.knowledge = inner.event_log, inner.tickets, inner.knowledge
        self.bot = inner.bot
        self.outbox: Outbox = self  # type: ignore[assignment]
        self.looked = asyncio.Event()
        self.looks = 0
        self._inner = inner

    async def is_bot_on_wire(self, account_id: AccountId, conversation_id: ConversationId, within: timedelta) -> bool:
        found = await self._inner.outbox.is_bot_on_wire(account_id, conversation_id, within)
        self.looks += 1
        self.looked.set()
        return found


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id, bot_enabled=True)


async def somebody(engine: AsyncEngine, account_id: AccountId | None, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.MESSAGES_SEND)


def conversations(database: Database | Watched) -> Conversations:
    return Conversations(database, forgetful(database), lambda: datetime.now(UTC), CountryCode("33"))


async def on_wire(
    engine: AsyncEngine, account: Channel, conversation: ConversationId, author: Author, **ago: float
) -> MessageId:
    return await a_queued_message(
        engine,
        account.account_id,
        conversation,
        state=State.WIRE,
        author=author,
        epoch=0 if author is Author.BOT else None,
        wire_at=datetime.now(UTC) - timedelta(**ago),
    )


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_switch_raises_the_epoch_and_says_who_did_it(
    engine: AsyncEngine, database: Database, ana: Actor, conversation: ConversationId, enabled
) -> None:
    row = await conversations(database).switch_bot(ana, conversation, enabled=enabled)
    assert (row.id, row.bot_enabled) == (conversation, enabled)
    assert (await conversation_row(engine, conversation)).epoch == 1
    (told,) = await events_of(engine, "conversation.bot")
    stored = await conversation_row(engine, conversation)
    assert (told["enabled"], told["epoch"], told["by"]["id"]) == (enabled, stored.epoch, str(ana.user_id))


async def test_run_twice_the_switch_stays_where_it_was_put(
    database: Database, ana: Actor, conversation: ConversationId
) -> None:
    first = await conversations(database).switch_bot(ana, conversation, enabled=False)
    assert await conversations(database).switch_bot(ana, conversation, enabled=False) == first


async def test_the_switch_waits_for_an_answer_of_the_bot_on_the_wire(
    engine: AsyncEngine, database: Database, ana: Actor, conversation: ConversationId, account: Channel
) -> None:
    await on_wire(engine, account, conversation, Author.BOT, seconds=0)
    watched = Watched(database)
    switch = asyncio.create_task(conversations(watched).switch_bot(ana, conversation, enabled=False))
    await watched.looked.wait()
    assert not switch.done()
    await execute(engine, "update outbox set state = 'accepted'")
    assert (await switch).bot_enabled is False


@pytest.mark.parametrize(("author", "ago"), [(Author.BOT, 3.0), (Author.HUMAN, 0.0)])
async def test_it_waits_for_nothing_else(
    engine: AsyncEngine, database: Database, ana: Actor, conversation: ConversationId, account: Channel, author, ago
) -> None:
    await on_wire(engine, account, conversation, author, seconds=ago)
    watched = Watched(database)
    await conversations(watched).switch_bot(ana, conversation, enabled=False)
    assert watched.looks == 1


async def test_the_wait_has_an_end(
    engine: AsyncEngine, database: Database, ana: Actor, conversation: ConversationId, account: Channel
) -> None:
    await on_wire(engine, account, conversation, Author.BOT, seconds=1.7)
    await conversations(database).switch_bot(ana, conversation, enabled=False)
    (row,) = await execute(engine, "select state from outbox")
    assert row.state == "wire"


async def test_the_answer_that_waits_behind_the_switch_is_refused_by_its_fence(
    engine: AsyncEngine, database: Database, ana: Actor, conversation: ConversationId, account: Channel
) -> None:
    token = uuid7()
    answer = await a_queued_message(
        engine, account.account_id, conversation, state=State.CLAIMED, author=Author.BOT, epoch=0, token=token
    )
    await conversations(database).switch_bot(ana, conversation, enabled=False)
    assert await database.outbox.to_wire(answer, token) is None


async def test_rights_are_those_of_the_account_of_the_conversation(
    engine: AsyncEngine, database: Database, account: Channel, conversation: ConversationId
) -> None:
    service = conversations(database)
    reader = await somebody(engine, account.account_id, Permission.MESSAGES_VIEW)
    stranger = await somebody(engine, (await an_account(engine)).account_id, *Permission)
    with pytest.raises(PermissionDenied):
        await service.switch_bot(reader, conversation, enabled=False)
    with pytest.raises(ConversationNotFound):
        await service.switch_bot(stranger, conversation, enabled=False)
    with pytest.raises(ConversationNotFound):
        await service.messages_of(stranger, conversation, limit=10, before=None)
    with pytest.raises(ConversationNotFound):
        await service.switch_bot(reader, ConversationId(uuid7()), enabled=False)
    with pytest.raises(AccountNotFound):
        await service.list_of(stranger, account.account_id, limit=10, before=None)
    with pytest.raises(PermissionDenied):
        await service.list_of(reader, account.account_id, limit=10, before=None)
    row = await conversation_row(engine, conversation)
    assert (row.bot_enabled, row.epoch) == (True, 0)


async def test_who_may_read_reads(
    engine: AsyncEngine, database: Database, account: Channel, conversation: ConversationId
) -> None:
    reader = await somebody(engine, account.account_id, Permission.MESSAGES_VIEW, Permission.CONVERSATIONS_VIEW)
    message = await a_message(engine, account.account_id, conversation)
    listed = await conversations(database).list_of(reader, account.account_id, limit=10, before=None)
    assert [item.id for item in listed] == [conversation]
    read = await conversations(database).messages_of(reader, conversation, limit=10, before=None)
    assert [item.id for item in read] == [message]


async def test_an_account_that_does_not_exist_is_not_found_by_those_who_may_see_all(
    engine: AsyncEngine, database: Database
) -> None:
    everything = await somebody(engine, None, *Permission)
    with pytest.raises(AccountNotFound):
        await conversations(database).list_of(everything, AccountId(uuid7()), limit=10, before=None)
