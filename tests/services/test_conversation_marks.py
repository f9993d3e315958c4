"""Marks and new conversations: who may, what is told, and exact counts whatever happens at once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, an_account, execute
from event_builders import the_log
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import CountryCode
from inbox.domain.errors import AccountNotFound, ConversationNotFound, Invalid, PermissionDenied
from inbox.domain.events import Cause, ConversationRead, ConversationUnread, ConversationUpdated, Event
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.ports.database import Database
from inbox.services.conversations import Conversations
from member_builders import a_user
from services.rights_scene import forgetful
from services.scenes import conversation_row, customer_writes, events_of
from statement_counts import counting

Mark = Callable[[Conversations, Actor, ConversationId], Awaitable[None]]

MARKS: list[Mark] = [
    lambda service, actor, one: service.mark_read(actor, one),
    lambda service, actor, one: service.mark_unread(actor, one),
    lambda service, actor, one: service.set_favorite(actor, one, favorite=True),
]
NUMBER = "33612345678"


async def somebody(engine: AsyncEngine, account_id: AccountId | None, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
def service(database: Database) -> Conversations:
    return Conversations(database, forgetful(database), lambda: datetime.now(UTC), CountryCode("33"))


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.CONVERSATIONS_VIEW, Permission.MESSAGES_SEND)


async def test_a_mark_is_told_to_others_with_its_author(
    engine: AsyncEngine, service: Conversations, ana: Actor, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, unread_count=4)
    said = {"by": {"kind": "person", "id": str(ana.user_id)}}
    await service.set_favorite(ana, conversation, favorite=True)
    assert await events_of(engine, "conversation.favorite") == [{"is_favorite": True, **said}]
    await service.mark_read(ana, conversation)
    assert await events_of(engine, "conversation.read") == [{"unread_count": 0, **said}]
    await service.mark_unread(ana, conversation)
    assert await events_of(engine, "conversation.unread") == [{"unread_count": 1, **said}]
    rows = await execute(engine, "select distinct account_id, conversation_id from event_log")
    assert [tuple(row) for row in rows] == [(account.account_id, conversation)]


@pytest.mark.parametrize("mark", MARKS)
async def test_a_mark_is_one_statement_and_its_event(
    engine: AsyncEngine, service: Conversations, ana: Actor, conversation: ConversationId, mark: Mark
) -> None:
    with counting(engine) as statements:
        await mark(service, ana, conversation)
    assert statements[0].lstrip().startswith("update conversations")
    assert statements[-1].lstrip().startswith("insert into event_log")
    # Whoever reads also wants the customer to know it.
    assert ["into read_receipts" in statement for statement in statements[1:-1]] == [True] * (mark is MARKS[0])


@pytest.mark.parametrize("mark", MARKS)
async def test_rights_on_marks_are_those_of_the_account(
    engine: AsyncEngine, service: Conversations, account: Channel, conversation: ConversationId, mark: Mark
) -> None:
    sender = await somebody(engine, account.account_id, Permission.MESSAGES_SEND)
    stranger = await somebody(engine, (await an_account(engine)).account_id, *Permission)
    everywhere = await somebody(engine, None, *Permission)
    before = await conversation_row(engine, conversation)
    with pytest.raises(PermissionDenied):
        await mark(service, sender, conversation)
    with pytest.raises(ConversationNotFound):
        await mark(service, stranger, conversation)
    with pytest.raises(ConversationNotFound):
        await mark(service, everywhere, ConversationId(uuid7()))
    assert await conversation_row(engine, conversation) == before
    assert await execute(engine, "select 1 from event_log") == []
    await mark(service, everywhere, conversation)
    assert len(await execute(engine, "select 1 from event_log")) == 1


def unread_after(event: Event, count: int) -> int:
    match event:
        case ConversationUpdated(cause=Cause.MESSAGE):
            return count + 1
        case ConversationRead():
            return 0
        case ConversationUnread():
            return max(count, 1)
        case _:
            return count


async def test_fifty_messages_and_reads_at_once_leave_an_exact_count(
    engine: AsyncEngine, database: Database, service: Conversations, ana: Actor, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, client_number=NUMBER)
    few_at_once = asyncio.Semaphore(8)  # connections are few, and this is not about waiting for them

    async def in_turn(step: Awaitable[object]) -> None:
        async with few_at_once:
            await step

    work: list[Awaitable[object]] = []
    for place in range(50):
        work.append(customer_writes(database, account, NUMBER, f"Message {place}"))
        if place % 3 == 0:
            work.append(service.mark_read(ana, conversation))
        if place % 10 == 0:
            work.append(service.mark_unread(ana, conversation))
    await asyncio.gather(*map(in_turn, work))

    count = 0
    for event in await the_log(engine):
        count = unread_after(event, count)
        assert getattr(event, "unread_count", count) == count
    assert len(await the_log(engine, "message.created")) == 50
    assert (await conversation_row(engine, conversation)).unread_count == count


# --- conversations that people begin ----------------------------------------------------------------------------------


async def test_a_conversation_is_begun_once_with_a_number_however_it_is_written(
    engine: AsyncEngine, service: Conversations, ana: Actor, account: Channel
) -> None:
    written = ["06 12 34 56 78", "+33 6 12 34 56 78", "0033612345678", NUMBER]
    rows = await asyncio.gather(*(service.find_or_create(ana, account.account_id, text) for text in written))
    assert len({row.id for row in rows}) == 1
    assert (rows[0].client_number, rows[0].unread_count, rows[0].bot_enabled) == (NUMBER, 0, False)
    assert [event["by"]["id"] for event in await events_of(engine, "conversation.created")] == [str(ana.user_id)]


async def test_a_conversation_that_is_there_is_found_as_it_is(
    engine: AsyncEngine, service: Conversations, ana: Actor, account: Channel
) -> None:
    conversation = await a_conversation(
        engine, account.account_id, client_number=NUMBER, bot_enabled=True, unread_count=3, updated_at=NOON
    )
    before = await conversation_row(engine, conversation)
    row = await service.find_or_create(ana, account.account_id, NUMBER)
    assert (row.id, row.unread_count, row.bot_enabled) == (conversation, 3, True)
    assert await conversation_row(engine, conversation) == before
    assert await execute(engine, "select 1 from event_log") == []


async def test_what_a_person_begins_is_where_the_customer_answers(
    engine: AsyncEngine, database: Database, service: Conversations, ana: Actor, account: Channel
) -> None:
    row = await service.find_or_create(ana, account.account_id, NUMBER)
    await customer_writes(database, account, NUMBER, "Bonjour")
    assert (await conversation_row(engine, ConversationId(row.id))).unread_count == 1


async def test_rights_on_a_new_conversation_come_before_its_number(
    engine: AsyncEngine, service: Conversations, account: Channel
) -> None:
    viewer = await somebody(engine, account.account_id, Permission.CONVERSATIONS_VIEW)
    stranger = await somebody(engine, (await an_account(engine)).account_id, *Permission)
    everywhere = await somebody(engine, None, *Permission)
    for text in (NUMBER, "no number"):
        with pytest.raises(PermissionDenied):
            await service.find_or_create(viewer, account.account_id, text)
        with pytest.raises(AccountNotFound):
            await service.find_or_create(stranger, account.account_id, text)
    with pytest.raises(AccountNotFound):
        await service.find_or_create(everywhere, AccountId(uuid7()), NUMBER)
    with pytest.raises(Invalid):
        await service.find_or_create(everywhere, account.account_id, "no number")
    assert await execute(engine, "select 1 from conversations") == []
    assert await execute(engine, "select 1 from contacts") == []
