"""Lists and single rows for screens: their shape, their order, and that no other account's rows are in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import (
    NOON,
    SEALER,
    a_conversation,
    a_message,
    a_queued_message,
    an_account,
    execute,
)
from inbox.adapters.database.postgres import queries as module
from inbox.adapters.database.postgres.engine import create_engine
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.content import Content, Text
from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.domain.outbound import State
from inbox.kit.paging import format_time
from inbox.kit.sealing import Sealer
from inbox.ports.records import Owner
from inbox.ports.views import (
    AccountItem,
    ContactName,
    ConversationItem,
    ConversationRow,
    MessageItem,
    Outcome,
)
from member_builders import EVERYWHERE, only
from postgres.own_engines import an_engine
from statement_counts import counting

MISSING = uuid7()


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


# --- shape ------------------------------------------------------------------------------------------------------------

PAGE = {"limit": 1, "at": NOON, "id": MISSING}
NOWHERE = {"everywhere": False, "accounts": []}


@pytest.mark.parametrize(
    ("statement", "values", "item", "more"),
    [
        (module.ACCOUNTS, NOWHERE, AccountItem, ()),
        (module.CONVERSATION, {"id": MISSING, "account_id": MISSING}, ConversationRow, ()),
        (module.CONVERSATIONS, {**PAGE, "account_id": MISSING}, ConversationRow, ContactName.__struct_fields__),
    ],
)
async def test_the_columns_of_a_list_have_the_order_of_its_fields(
    engine: AsyncEngine,
    statement: TextClause,
    values: dict[str, Any],
    item: type[msgspec.Struct],
    more: tuple[str, ...],
) -> None:
    async with engine.connect() as connection:
        columns = tuple((await connection.execute(statement, values)).keys())
    assert columns == (*item.__struct_fields__, *more)


def test_an_item_of_the_list_is_the_plain_row_and_then_the_contact() -> None:
    assert ConversationItem.__struct_fields__ == (*ConversationRow.__struct_fields__, "contacts")


@given(at=st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - made aware
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_times_are_written_as_everywhere_else(engine: AsyncEngine, at: datetime) -> None:
    aware = at.replace(tzinfo=UTC)
    async with engine.connect() as connection:
        await connection.execute(text("set local timezone to 'America/Caracas'"))
        found = await connection.execute(text(f"select {shown('cast(:at as timestamptz)')}"), {"at": aware})
        assert found.scalar_one() == format_time(aware)


# --- accounts ---------------------------------------------------------------------------------------------------------


async def test_accounts_come_by_name_without_inactive_ones(engine: AsyncEngine, queries: PostgresQueries) -> None:
    second = await an_account(engine, name="Brest")
    first = await an_account(engine, name="Amiens")
    third = await an_account(engine, name="Brest")
    await an_account(engine, name="Calais", is_active=False)
    shown = await queries.accounts(EVERYWHERE)
    assert [item.id for item in shown] == [first.account_id, second.account_id, third.account_id]
    assert shown[0].phone_number_id == first.phone_number_id
    assert set(await queries.active_account_ids()) == {one.account_id for one in (first, second, third)}


async def test_an_account_that_is_out_of_reach_is_not_listed(engine: AsyncEngine, queries: PostgresQueries) -> None:
    one, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    all_but_one = Reach(everywhere=True, accounts=(one,))
    assert [item.id for item in await queries.accounts(only(one))] == [one]
    assert [item.id for item in await queries.accounts(all_but_one)] == [other]
    assert await queries.accounts(only()) == []


async def test_an_account_exists_also_when_it_is_not_active(engine: AsyncEngine, queries: PostgresQueries) -> None:
    channel = await an_account(engine, is_active=False)
    assert await queries.account_exists(channel.account_id)
    assert not await queries.account_exists(AccountId(MISSING))


# --- conversations ----------------------------------------------------------------------------------------------------


async def test_a_conversation_is_shown_with_its_contact(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    until = NOON + timedelta(hours=24)
    conversation = await a_conversation(
        engine,
        account,
        client_number="33639980142",
        display_name="Marc D.",
        bot_enabled=True,
        unread_count=2,
        window_expires_at=until,
    )
    (item,) = await queries.conversations(account, limit=50, before=None)
    assert item == ConversationItem(
        id=conversation,
        contact_id=item.contact_id,
        account_id=account,
        client_number="33639980142",
        is_group=False,
        is_favorite=False,
        unread_count=2,
        status="open",
        updated_at=format_time(NOON),
        bot_enabled=True,
        bot_last_reply_at=None,
        window_expires_at=format_time(until),
        handed_over_at=None,
        handover_reason=None,
        free_entry_until=None,
        assignee_id=None,
        bot_mode="auto",
        preferences={},
        contacts=ContactName("Marc D.", "33639980142"),
    )
    assert item.contact_id is not None
    row = await queries.conversation(account, conversation)
    assert row is not None
    assert msgspec.structs.astuple(row) == msgspec.structs.astuple(item)[:-1]


async def test_a_conversation_without_contact_has_none(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    await execute(
        engine, "insert into conversations (account_id, client_number) values (:account, '336')", account=account
    )
    (item,) = await queries.conversations(account, limit=50, before=None)
    assert item.contacts is None
    assert item.contact_id is None


async def test_conversations_come_newest_first_and_those_of_one_moment_by_id(
    engine: AsyncEngine, queries: PostgresQueries
) -> None:
    account = (await an_account(engine)).account_id
    older = await a_conversation(engine, account, updated_at=NOON - timedelta(seconds=1))
    same = [await a_conversation(engine, account, updated_at=NOON) for _ in range(3)]
    shown = await queries.conversations(account, limit=50, before=None)
    assert [item.id for item in shown] == [*sorted(same, reverse=True), older]


async def test_conversations_of_another_account_are_not_there(engine: AsyncEngine, queries: PostgresQueries) -> None:
    mine, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    conversation = await a_conversation(engine, mine)
    assert await queries.conversations(other, limit=50, before=None) == []
    assert await queries.conversation(other, conversation) is None
    assert await queries.conversation(mine, ConversationId(MISSING)) is None


async def test_the_owner_of_a_conversation(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    owner = Owner(account_id=account, conversation_id=conversation)
    assert await queries.owner_of_conversation(conversation) == owner
    assert await queries.owner_of_conversation(ConversationId(MISSING)) is None
    assert await queries.owners_of([conversation, conversation, ConversationId(MISSING)]) == [owner]


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_the_newest_messages_come_oldest_first(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    newest, _, *same = [
        await a_message(engine, account, conversation, timestamp=NOON + timedelta(seconds=second))
        for second in (2, 0, 1, 1)
    ]
    shown = await queries.messages(only(account), conversation, limit=3, before=None) or []
    assert [item.id for item in shown] == [*sorted(same), newest]


async def test_an_outbound_message_shows_its_outer_and_its_inner_state(
    engine: AsyncEngine, queries: PostgresQueries
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    queued = await a_queued_message(engine, account, conversation, state=State.UNKNOWN, content=Text(body="Oui"))
    (item,) = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert item == MessageItem(
        id=queued,
        conversation_id=conversation,
        direction="outbound",
        content_text="Oui",
        timestamp=format_time(NOON),
        wa_message_id=None,
        message_type="text",
        status="pending",
        media_id=None,
        media_mime_type=None,
        media_filename=None,
        error_message=None,
        actor="human",
        client_id=None,
        delivery_state="unknown",
        content=item.content,
    )
    assert item.content is not None
    assert msgspec.json.decode(item.content, type=Content) == Text(body="Oui")


async def test_a_conversation_that_is_out_of_reach_is_none_and_an_empty_one_is_not(
    engine: AsyncEngine, queries: PostgresQueries
) -> None:
    mine, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    conversation = await a_conversation(engine, mine)
    for reach, found in (
        (only(mine), []),
        (EVERYWHERE, []),
        (Reach(everywhere=True, accounts=(other,)), []),
        (only(other), None),
        (only(), None),
        (Reach(everywhere=True, accounts=(mine,)), None),
    ):
        assert await queries.messages(reach, conversation, limit=100, before=None) == found
    assert await queries.messages(EVERYWHERE, ConversationId(MISSING), limit=100, before=None) is None


async def test_messages_of_another_account_are_not_there(engine: AsyncEngine, queries: PostgresQueries) -> None:
    mine, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    conversation = await a_conversation(engine, mine)
    message = await a_message(engine, mine, conversation)
    assert await queries.outcome(other, message) is None
    await execute(engine, "update messages set account_id = :other", other=other)
    assert await queries.messages(only(mine), conversation, limit=100, before=None) == []


# --- outcomes ---------------------------------------------------------------------------------------------------------


async def test_the_outcome_of_a_send_is_its_inner_state(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    message = await a_queued_message(engine, account, conversation, state=State.ACCEPTED, wamid="wamid.1")
    assert await queries.outcome(account, message) == Outcome(
        id=message,
        state="accepted",
        is_postponed=False,
        wamid="wamid.1",
        error_code=None,
        error_message=None,
        reason=None,
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [("failed", "failed"), ("read", "read"), ("pending", "queued"), ("odd", "sent"), (None, "sent")],
)
async def test_a_message_that_never_waited_has_an_outcome_too(
    engine: AsyncEngine, queries: PostgresQueries, status: str | None, state: str
) -> None:
    account = (await an_account(engine)).account_id
    message = await a_message(engine, account, await a_conversation(engine, account), status=status)
    outcome = await queries.outcome(account, message)
    assert outcome is not None
    assert outcome.state == state


async def test_an_inbound_message_has_no_outcome(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    message = await a_message(engine, account, conversation, direction="inbound", status="received")
    assert await queries.outcome(account, message) is None
    assert await queries.outcome(account, MessageId(MISSING)) is None


# --- the handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_active", [True, False])
async def test_a_verify_token_finds_its_account(
    engine: AsyncEngine,
    queries: PostgresQueries,
    is_active: bool,  # noqa: FBT001 - a case
) -> None:
    await an_account(engine, verify_token="another")
    channel = await an_account(engine, verify_token="choose-a-long-one", is_active=is_active)
    assert await queries.account_by_verify_token("choose-a-long-one") == channel.account_id
    assert await queries.account_by_verify_token("choose-a-long-On") is None


@pytest.mark.parametrize("token", ["", "legacy-verify"])
async def test_neither_an_empty_token_nor_the_dummy_accounts_passes(
    engine: AsyncEngine, queries: PostgresQueries, token: str
) -> None:
    channel = await an_account(engine, verify_token="x")
    await execute(
        engine,
        "update whatsapp_accounts set verify_token_digest = :digest where id = :id",
        digest=SEALER.digest(token, "verify_token"),
        id=channel.account_id,
    )
    assert await queries.account_by_verify_token(token) is None


async def test_a_verify_token_is_found_while_keys_are_rotated(engine: AsyncEngine) -> None:
    channel = await an_account(engine, verify_token="choose-a-long-one")
    rotated = Sealer([("new", b"n" * 32), ("test", bytes(range(32)))])
    found = await PostgresQueries(Reader(engine), rotated).account_by_verify_token("choose-a-long-one")
    assert found == channel.account_id


# --- cost and failure -------------------------------------------------------------------------------------------------


async def test_each_read_is_one_statement(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    message = await a_message(engine, account, conversation)
    with counting(engine) as statements:
        for read in (
            queries.accounts(EVERYWHERE),
            queries.conversations(account, limit=50, before=None),
            queries.conversation(account, conversation),
            queries.messages(only(account), conversation, limit=100, before=(datetime.now(UTC), None)),
            queries.outcome(account, message),
            queries.account_by_verify_token("x"),
            queries.owner_of_conversation(conversation),
            queries.ping(),
        ):
            await read
            assert len(statements) == 1, statements
            statements.clear()


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (module.CONVERSATIONS, {**PAGE, "account_id": MISSING}, "idx_conversations_account_updated"),
        (module.ASSIGNED, {**PAGE, "account_id": MISSING, "assignee": MISSING}, "conversations_assigned"),
        (module.UNASSIGNED, {**PAGE, "account_id": MISSING}, "conversations_unassigned"),
        (module.MESSAGES, {**PAGE, **NOWHERE, "conversation_id": MISSING}, "idx_messages_conversation_timestamp"),
    ],
)
async def test_a_page_is_read_from_its_index_without_sorting(
    fresh_url: str, statement: TextClause, values: dict[str, Any], index: str
) -> None:
    async with an_engine(fresh_url) as engine, engine.connect() as connection:
        # The tables are empty here, so the planner has to be told that reading all of them is no way, nor sorting them.
        for way in ("seqscan", "bitmapscan", "sort"):
            await connection.execute(text(f"set local enable_{way} = off"))
        plan = "\n".join((await connection.execute(text(f"explain {statement.text}"), values)).scalars())
    assert index in plan
    assert '"timestamp", id) <' in plan or "updated_at, id) <" in plan
    assert "Sort" not in plan


async def test_a_database_that_is_gone_has_a_name() -> None:
    engine = create_engine("postgresql://inbox@127.0.0.1:1/inbox", pool_size=1)
    with pytest.raises(DatabaseUnavailable):
        await PostgresQueries(Reader(engine), SEALER).ping()
    await engine.dispose()
