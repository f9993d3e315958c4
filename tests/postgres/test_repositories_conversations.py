"""Conversations: what decisions are made on, changed by one account only."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_client_number, a_conversation, a_new_message, an_account, execute
from event_builders import created, the_log, updated
from inbox.adapters.database.postgres.conversations import PostgresConversations
from inbox.adapters.database.postgres.messages import PostgresMessages
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.bot import Mode
from inbox.domain.contacts import Address
from inbox.domain.conversations import Conversation
from inbox.domain.errors import ConversationNotFound
from inbox.domain.ids import AccountId, ConversationId, TurnId, uuid7
from inbox.domain.messages import Author
from inbox.kit.paging import format_time

Change = Callable[[PostgresConversations, AccountId, ConversationId], Awaitable[Any]]

CHANGES: list[Change] = [
    lambda tx, account, one: tx.lock(account, one),
    lambda tx, account, one: tx.contact_name(account, one),
    lambda tx, account, one: tx.switch_bot(account, one, Mode.AUTO),
    lambda tx, account, one: tx.hand_over(account, one, "too_old", NOON, switch_off=True),
    lambda tx, account, one: tx.take_back(account, one),
]


async def changed(engine: AsyncEngine, change: Change, account: AccountId, conversation: ConversationId) -> Any:  # noqa: ANN401 - what the change gives
    async with engine.begin() as connection:
        return await change(PostgresConversations(connection, []), account, conversation)


async def state_of(engine: AsyncEngine, account: AccountId, conversation: ConversationId) -> Conversation:
    found = await changed(engine, lambda tx, a, c: tx.lock(a, c), account, conversation)
    assert isinstance(found, Conversation)
    return found


async def a_pair(engine: AsyncEngine, **values: Any) -> tuple[AccountId, ConversationId]:  # noqa: ANN401 - of a builder
    account = (await an_account(engine)).account_id
    return account, await a_conversation(engine, account, **values)


async def test_the_locked_row_has_all_that_decisions_need(engine: AsyncEngine) -> None:
    until = NOON + timedelta(hours=3)
    account, conversation = await a_pair(
        engine, client_number="336", bot_enabled=True, epoch=7, unread_count=2, window_expires_at=until
    )
    found = await state_of(engine, account, conversation)
    assert found == Conversation(
        id=conversation,
        account_id=account,
        contact_id=found.contact_id,
        client_number="336",
        unread_count=2,
        bot_enabled=True,
        epoch=7,
        last_inbound_at=None,
        window_expires_at=until,
        handed_over_at=None,
        handover_reason=None,
    )


@pytest.mark.parametrize(("stored", "shown"), [("Marc D.", "Marc D."), ("", "336"), (None, "336")])
async def test_a_contact_has_a_name_or_a_number(engine: AsyncEngine, stored: str | None, shown: str) -> None:
    account, conversation = await a_pair(engine, client_number="336", display_name=stored)
    assert await changed(engine, lambda tx, a, c: tx.contact_name(a, c), account, conversation) == shown
    await execute(engine, "update conversations set contact_id = null")
    assert await changed(engine, lambda tx, a, c: tx.contact_name(a, c), account, conversation) == "336"


async def test_a_locked_row_is_locked(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    async with engine.begin() as one:
        await PostgresConversations(one, []).lock(account, conversation)
        with pytest.raises(DBAPIError, match="could not obtain lock"):
            await execute(engine, "select 1 from conversations where id = :id for update nowait", id=conversation)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_conversation_of_another_account_is_not_found_and_not_changed(
    engine: AsyncEngine, change: Change
) -> None:
    account, conversation = await a_pair(engine, updated_at=NOON)
    other = (await an_account(engine)).account_id
    before = await execute(engine, "select * from conversations")
    for wrong in ((other, conversation), (account, ConversationId(uuid7()))):
        with pytest.raises(ConversationNotFound):
            await changed(engine, change, *wrong)
    assert await execute(engine, "select * from conversations") == before


# --- finding ----------------------------------------------------------------------------------------------------------


async def find(engine: AsyncEngine, account: AccountId, to: Address) -> ConversationId:
    async with engine.begin() as connection:
        conversation, _ = await PostgresConversations(connection, []).find_or_create(account, to, NOON)
        return conversation


async def test_the_first_conversation_with_a_number_is_made_and_the_next_time_found(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    to = Address(wa_id=a_client_number())
    made = await find(engine, account, to)
    assert await find(engine, account, to) == made
    row = await PostgresQueries(Reader(engine), SEALER).conversation(account, made)
    assert row is not None
    assert (row.client_number, row.updated_at, row.bot_enabled, row.status) == (
        to.wa_id,
        format_time(NOON),
        False,
        "open",
    )
    assert row.contact_id is not None


async def test_two_accounts_share_a_contact_but_no_conversation(engine: AsyncEngine) -> None:
    one, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    to = Address(wa_id=a_client_number())
    assert await find(engine, one, to) != await find(engine, other, to)
    assert len(await execute(engine, "select 1 from contacts")) == 1


async def test_a_customer_without_number_is_found_by_their_id(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    to = Address(bsuid="FR.1234")
    assert await find(engine, account, to) == await find(engine, account, to)


async def test_many_at_once_make_one_conversation(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    to = Address(wa_id=a_client_number())
    found = await asyncio.gather(*(find(engine, account, to) for _ in range(8)))
    assert len(set(found)) == 1
    assert len(await execute(engine, "select 1 from conversations")) == 1
    assert len(await execute(engine, "select 1 from contacts")) == 1


async def test_an_old_conversation_without_contact_stays_the_same_conversation(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    (row,) = await execute(
        engine,
        "insert into conversations (account_id, client_number) values (:account, '336') returning id",
        account=account,
    )
    assert await find(engine, account, Address(wa_id="336")) == row.id


# --- the bot ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_switch_ends_a_hand_over_and_raises_the_epoch(
    engine: AsyncEngine,
    enabled: bool,  # noqa: FBT001 - a case
) -> None:
    account, conversation = await a_pair(engine, bot_enabled=not enabled, epoch=3)
    await changed(engine, lambda tx, a, c: tx.hand_over(a, c, "too_old", NOON, switch_off=False), account, conversation)
    mode = Mode.AUTO if enabled else Mode.OFF
    row = await changed(engine, lambda tx, a, c: tx.switch_bot(a, c, mode), account, conversation)
    assert row == await PostgresQueries(Reader(engine), SEALER).conversation(account, conversation)
    assert (row.bot_enabled, row.handed_over_at, row.handover_reason) == (enabled, None, None)
    assert (await state_of(engine, account, conversation)).epoch == 4


@pytest.mark.parametrize("switch_off", [True, False])
async def test_a_hand_over_shows_its_reason_and_switches_the_bot_off_only_if_asked(
    engine: AsyncEngine,
    switch_off: bool,  # noqa: FBT001 - a case
) -> None:
    account, conversation = await a_pair(engine, bot_enabled=True, epoch=3)
    await changed(
        engine,
        lambda tx, a, c: tx.hand_over(a, c, "model_unavailable", NOON, switch_off=switch_off),
        account,
        conversation,
    )
    found = await state_of(engine, account, conversation)
    assert (found.handed_over_at, found.handover_reason) == (NOON, "model_unavailable")
    assert found.bot_enabled is not switch_off
    assert found.epoch == 3


async def test_a_hand_over_never_switches_a_bot_on(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine, bot_enabled=False)
    await changed(engine, lambda tx, a, c: tx.hand_over(a, c, "too_old", NOON, switch_off=False), account, conversation)
    assert not (await state_of(engine, account, conversation)).bot_enabled


@pytest.mark.parametrize("switch_off", [True, False])
async def test_the_bot_takes_back_only_what_it_may_answer(
    engine: AsyncEngine,
    switch_off: bool,  # noqa: FBT001 - a case
) -> None:
    account, conversation = await a_pair(engine, bot_enabled=True)
    await changed(
        engine, lambda tx, a, c: tx.hand_over(a, c, "too_old", NOON, switch_off=switch_off), account, conversation
    )
    await changed(engine, lambda tx, a, c: tx.take_back(a, c), account, conversation)
    found = await state_of(engine, account, conversation)
    assert (found.handed_over_at is not None) is switch_off
    assert (found.handover_reason is not None) is switch_off


# --- lines ------------------------------------------------------------------------------------------------------------


async def said(
    engine: AsyncEngine, account: AccountId, conversation: ConversationId, author: Author, *, at: datetime = NOON
) -> None:
    """A line of the conversation, queued."""
    async with engine.begin() as connection:
        new = a_new_message(account, conversation, author=author, at=at)
        assert await PostgresMessages(connection, []).queue(new, created(new))


async def test_people_raise_the_epoch_by_one_each_time_and_nobody_else_does(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    people = [said(engine, account, conversation, Author.HUMAN) for _ in range(5)]
    others = [said(engine, account, conversation, author) for author in (Author.BOT, Author.SYSTEM)]
    await asyncio.gather(*people, *others)
    assert (await state_of(engine, account, conversation)).epoch == 5


async def test_the_time_of_a_conversation_never_moves_back(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine, updated_at=NOON)

    async def touched(seconds: int, author: Author) -> tuple[str, str | None]:
        await said(engine, account, conversation, author, at=NOON + timedelta(seconds=seconds))
        row = await PostgresQueries(Reader(engine), SEALER).conversation(account, conversation)
        assert row is not None
        return row.updated_at, row.bot_last_reply_at

    ten, twenty = (format_time(NOON + timedelta(seconds=seconds)) for seconds in (10, 20))
    assert await touched(-5, Author.HUMAN) == (format_time(NOON), None)
    assert await touched(10, Author.BOT) == (ten, ten)
    assert await touched(20, Author.HUMAN) == (twenty, ten)
    assert await touched(5, Author.BOT) == (twenty, ten)


@pytest.mark.parametrize("to_send_last", [False, True])
async def test_each_line_is_told_and_what_is_none_moves_nothing(
    database: PostgresDatabase, engine: AsyncEngine, *, to_send_last: bool
) -> None:
    account, conversation = await a_pair(engine, updated_at=NOON - timedelta(days=1))
    new = a_new_message(account, conversation, author=Author.SYSTEM, at=NOON)
    async with database.transaction() as tx:
        await tx.conversations.lock(account, conversation, to_send_last=to_send_last)
        await tx.messages.queue(new, created(new))
    before = await state_of(engine, account, conversation)
    async with engine.begin() as connection:
        await PostgresMessages(connection, []).queue(a_new_message(account, conversation))
    assert await state_of(engine, account, conversation) == before
    event, moved = await the_log(engine)
    assert (event.account_id, event.conversation_id, event.author) == (account, conversation, "system")
    assert moved == updated(account, conversation)
    (row,) = await execute(engine, "select updated_at from conversations")
    assert row.updated_at == NOON


async def test_a_part_of_a_turn_that_is_there_already_is_not_told_again(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account, conversation = await a_pair(engine)
    turn = TurnId(uuid7())
    for _ in range(2):
        async with database.transaction() as tx:
            new = a_new_message(account, conversation, author=Author.BOT, turn_id=turn)
            await tx.messages.queue(new, created(new))
    assert len(await execute(engine, "select 1 from messages")) == 1
    assert len(await the_log(engine, "message.created")) == 1
