"""Marks of a conversation: read, unread, favourite. One statement, and nothing else moves."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_conversation, an_account, execute
from inbox.adapters.database.postgres.conversations import PostgresConversations
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.access import Reach
from inbox.domain.contacts import Address
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.ports.views import ConversationRow
from member_builders import only
from statement_counts import counting

EVERYWHERE = Reach(everywhere=True, accounts=())


async def mark(
    engine: AsyncEngine, reach: Reach, conversation: ConversationId, **marks: bool | None
) -> ConversationRow | None:
    async with engine.begin() as connection:
        return await PostgresConversations(connection, []).mark(reach, conversation, **marks)


async def row_of(engine: AsyncEngine, conversation: ConversationId) -> dict[str, Any]:
    (row,) = await execute(engine, "select * from conversations where id = :id", id=conversation)
    return dict(row._asdict())


@pytest.mark.parametrize(
    ("stored", "marks", "unread", "favorite"),
    [
        (3, {"is_read": True}, 0, False),
        (0, {"is_read": True}, 0, False),
        (0, {"is_read": False}, 1, False),
        (3, {"is_read": False}, 3, False),
        (3, {"is_favorite": True}, 3, True),
        (3, {"is_favorite": False}, 3, False),
        (3, {"is_read": True, "is_favorite": True}, 0, True),
        (3, {}, 3, False),
    ],
)
async def test_a_mark_changes_what_it_names_and_nothing_else(
    engine: AsyncEngine,
    stored: int,
    marks: dict[str, bool],
    unread: int,
    favorite: bool,  # noqa: FBT001 - a case
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account, unread_count=stored, updated_at=NOON, bot_enabled=True)
    before = await row_of(engine, conversation)
    with counting(engine) as statements:
        row = await mark(engine, only(account), conversation, **marks)
    assert len(statements) == 1
    assert row == await PostgresQueries(Reader(engine), SEALER).conversation(account, conversation)
    assert await row_of(engine, conversation) == {**before, "unread_count": unread, "is_favorite": favorite}


async def test_a_favourite_can_be_one_no_longer(engine: AsyncEngine) -> None:
    conversation = await a_conversation(engine, (await an_account(engine)).account_id)
    await mark(engine, EVERYWHERE, conversation, is_favorite=True)
    await mark(engine, EVERYWHERE, conversation, is_read=True)
    assert (await row_of(engine, conversation))["is_favorite"] is True
    await mark(engine, EVERYWHERE, conversation, is_favorite=False)
    assert (await row_of(engine, conversation))["is_favorite"] is False


async def test_out_of_reach_nothing_is_found_and_nothing_changes(engine: AsyncEngine) -> None:
    mine, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    conversation = await a_conversation(engine, mine, unread_count=2)
    before = await row_of(engine, conversation)
    for reach in (only(), only(other), Reach(everywhere=True, accounts=(mine,))):
        assert await mark(engine, reach, conversation, is_read=True, is_favorite=True) is None
    assert await mark(engine, EVERYWHERE, ConversationId(uuid7()), is_read=True) is None
    assert await row_of(engine, conversation) == before


async def test_only_the_one_conversation_is_marked(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    one, other = [await a_conversation(engine, account, unread_count=2) for _ in range(2)]
    await mark(engine, EVERYWHERE, one, is_read=True)
    assert ((await row_of(engine, one))["unread_count"], (await row_of(engine, other))["unread_count"]) == (0, 2)


async def test_who_finds_a_conversation_is_told_whether_it_is_new(engine: AsyncEngine) -> None:
    account, to = (await an_account(engine)).account_id, Address.of("33612345678")
    async with engine.begin() as connection:
        made, is_new = await PostgresConversations(connection, []).find_or_create(account, to, NOON)
    assert is_new
    async with engine.begin() as connection:
        assert await PostgresConversations(connection, []).find_or_create(account, to, NOON) == (made, False)


async def test_no_conversation_begins_at_an_account_that_is_not_there(engine: AsyncEngine) -> None:
    with pytest.raises(AccountNotFound):
        async with engine.begin() as connection:
            await PostgresConversations(connection, []).find_or_create(
                AccountId(uuid7()), Address.of("33612345678"), NOON
            )
    assert await execute(engine, "select 1 from contacts") == []
