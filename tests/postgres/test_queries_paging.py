"""Paging neither skips nor repeats, whatever the times of the rows are."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_conversation, an_account, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.kit.paging import parse_time
from member_builders import only

SECONDS: Final = st.lists(st.integers(min_value=0, max_value=3), max_size=12)
"""Few different times: Meta's clock has whole seconds, so ties are common."""

paging = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

MOST_PAGES: Final = 40


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


async def conversations_at(
    engine: AsyncEngine, account: AccountId, times: list[datetime]
) -> list[tuple[datetime, UUID]]:
    rows = await execute(
        engine,
        """insert into conversations (id, account_id, client_number, updated_at)
           select u.id, :account, u.id::text, u.at
           from unnest(cast(:ids as uuid[]), cast(:times as timestamptz[])) u(id, at)
           returning updated_at, id""",
        account=account,
        ids=[uuid7() for _ in times],
        times=times,
    )
    return [(row.updated_at, row.id) for row in rows]


async def messages_at(
    engine: AsyncEngine, account: AccountId, conversation: ConversationId, times: list[datetime]
) -> list[tuple[datetime, UUID]]:
    rows = await execute(
        engine,
        """insert into messages (id, account_id, conversation_id, direction, "timestamp")
           select u.id, :account, :conversation, 'inbound', u.at
           from unnest(cast(:ids as uuid[]), cast(:times as timestamptz[])) u(id, at)
           returning "timestamp" as at, id""",
        account=account,
        conversation=conversation,
        ids=[uuid7() for _ in times],
        times=times,
    )
    return [(row.at, row.id) for row in rows]


def when(shown: str) -> datetime:
    return parse_time(shown, name="time")


def moments(seconds: list[int]) -> list[datetime]:
    return [NOON + timedelta(seconds=second) for second in seconds]


@paging
@given(seconds=SECONDS, limit=st.integers(min_value=1, max_value=5))
async def test_pages_of_conversations_are_the_whole_list(
    engine: AsyncEngine, queries: PostgresQueries, seconds: list[int], limit: int
) -> None:
    account = (await an_account(engine)).account_id
    stored = await conversations_at(engine, account, moments(seconds))
    read: list[tuple[datetime, UUID]] = []
    before: tuple[datetime, UUID | None] | None = None
    for _ in range(MOST_PAGES):
        page = await queries.conversations(account, limit=limit, before=before)
        assert len(page) <= limit
        if not page:
            break
        read += [(when(item.updated_at), item.id) for item in page]
        before = read[-1]
    assert read == sorted(stored, reverse=True)


@paging
@given(seconds=SECONDS, limit=st.integers(min_value=1, max_value=5), late=SECONDS)
async def test_pages_of_messages_are_the_whole_list_also_while_new_ones_arrive(
    engine: AsyncEngine, queries: PostgresQueries, seconds: list[int], limit: int, late: list[int]
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    stored = await messages_at(engine, account, conversation, moments(seconds))
    arriving = iter(moments([second + 10 for second in late]))
    read: list[tuple[datetime, UUID]] = []
    before: tuple[datetime, UUID | None] | None = None
    for _ in range(MOST_PAGES):
        page = [
            (when(item.timestamp), item.id)
            for item in await queries.messages(only(account), conversation, limit=limit, before=before) or []
        ]
        assert page == sorted(page)
        if not page:
            break
        read = page + read
        before = page[0]
        await messages_at(engine, account, conversation, list(islice(arriving, 1)))
    assert read == sorted(stored)


@paging
@given(seconds=SECONDS, second=st.integers(min_value=0, max_value=4))
async def test_a_bare_time_is_strict(
    engine: AsyncEngine, queries: PostgresQueries, seconds: list[int], second: int
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    (at,) = moments([second])
    stored = await messages_at(engine, account, conversation, moments(seconds))
    shown = await queries.messages(only(account), conversation, limit=100, before=(at, None)) or []
    assert [(when(item.timestamp), item.id) for item in shown] == sorted(row for row in stored if row[0] < at)
    listed = await conversations_at(engine, account, moments(seconds))
    lines = await queries.conversations(account, limit=100, before=(at, None))
    found = [(when(item.updated_at), item.id) for item in lines if item.id != conversation]
    assert found == sorted((row for row in listed if row[0] < at), reverse=True)
