"""A usual line of a person, stored and queued in one statement: or nothing at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_new_message, a_queued_message, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import created, the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.errors import IdempotencyKeyReused
from inbox.domain.events import ConversationUpdated, MessageCreated
from inbox.domain.ids import ConversationId, UserId
from inbox.domain.outbound import WINDOW_MARGIN, State
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.records import IdempotencyKey, NewMessage
from statement_counts import counting

_ROWS = """
select m.id, m.content_text, m.status, o.state, o.expires_at, c.epoch, c.updated_at, l.ver, l.ver > l.done as is_open
from outbox o join messages m on m.id = o.id join conversations c on c.id = o.conversation_id
join lanes l on l.kind = 'send' and l.key = c.id::text
where m.content_text = 'Bien sûr'
"""


@pytest.fixture
async def talk(engine: AsyncEngine, account: Channel) -> ConversationId:
    """Its window is open for a day, and something was sent there before."""
    conversation = await a_conversation(engine, account.account_id)
    await a_queued_message(engine, account.account_id, conversation, state=State.DELIVERED)
    await execute(
        engine,
        "update conversations set window_expires_at = now() + interval '1 day', updated_at = now() - interval '1 hour'",
    )
    await execute(engine, "update lanes set done = ver")
    return conversation


@pytest.fixture
def new(account: Channel, talk: ConversationId) -> NewMessage:
    return a_new_message(account.account_id, talk)


async def post(database: PostgresDatabase, new: NewMessage, key: IdempotencyKey | None = None) -> bool | None:
    """Whether it is prompt."""
    posted = await database.outbox.post(new, created(new), key)
    assert posted is None or posted.claimed is None
    return None if posted is None else posted.is_prompt


def a_key(new: NewMessage, request: bytes = b"what it says") -> IdempotencyKey:
    return IdempotencyKey(
        account_id=new.account_id, caller=UserId(UUID(int=7)), call="messages.send", key="k-1", request_hash=request
    )


async def test_one_statement_stores_queues_and_tells(
    engine: AsyncEngine, database: PostgresDatabase, signals: RecordedSignals, new: NewMessage
) -> None:
    await execute(engine, "delete from event_log")
    with counting(engine) as statements:
        assert await post(database, new) is True
    assert len(statements) == 1
    (row,) = await execute(engine, _ROWS)
    assert (row.id, row.status, row.state, row.expires_at) == (new.id, "pending", "queued", new.expires_at)
    assert (row.epoch, row.updated_at, row.is_open) == (1, new.at, True)
    assert [type(event) for event in await the_log(engine)] == [MessageCreated, ConversationUpdated]
    assert signals.published == [WorkWaiting(WorkKind.SEND), LogGrew()]


async def test_it_is_as_a_transaction_would_have_left_it(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    twin = a_new_message(new.account_id, new.conversation_id, at=new.at)
    assert await post(database, new) is True
    async with database.transaction() as tx:
        await tx.conversations.lock(new.account_id, new.conversation_id)
        assert await tx.messages.queue(twin, created(twin)) is True
    messages = await execute(
        engine,
        "select to_jsonb(m) - 'id' - 'created_at' as shown from messages m where id = any(:ids)",
        ids=[new.id, twin.id],
    )
    waiting = await execute(
        engine,
        """select to_jsonb(o) - 'id' - 'serial' - 'created_at' - 'updated_at' as shown from outbox o
           where id = any(:ids)""",
        ids=[new.id, twin.id],
    )
    for one, other in (messages, waiting):
        assert one.shown == other.shown
    (conversation,) = await execute(engine, "select epoch from conversations")
    assert conversation.epoch == 1 + 1


async def test_the_first_message_of_a_conversation_makes_its_lane(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    await execute(engine, "delete from lanes")
    assert await post(database, new) is True
    (row,) = await execute(engine, _ROWS)
    assert (row.ver, row.is_open) == (1, True)


async def test_a_lane_that_waits_says_so(engine: AsyncEngine, database: PostgresDatabase, new: NewMessage) -> None:
    await execute(engine, "update lanes set retries = 1, ver = ver + 1, due = now() + interval '1 minute'")
    assert await post(database, new) is False


async def _unanswered(engine: AsyncEngine, new: NewMessage) -> NewMessage:
    await execute(engine, "update conversations set window_expires_at = null")
    return new


async def _open_for_too_short(engine: AsyncEngine, new: NewMessage) -> NewMessage:
    until = new.expires_at + WINDOW_MARGIN - timedelta(milliseconds=1)
    await execute(engine, "update conversations set window_expires_at = :until", until=until)
    return new


async def _older_than_the_last_line(engine: AsyncEngine, new: NewMessage) -> NewMessage:
    after = new.at + timedelta(microseconds=1)
    await execute(engine, "update conversations set updated_at = :after", after=after)
    return new


async def _foreign(engine: AsyncEngine, new: NewMessage) -> NewMessage:
    return msgspec.structs.replace(new, account_id=(await an_account(engine)).account_id)


async def _missing(_: AsyncEngine, new: NewMessage) -> NewMessage:
    return msgspec.structs.replace(new, conversation_id=ConversationId(new.id))


@pytest.mark.parametrize("unusual", [_unanswered, _open_for_too_short, _older_than_the_last_line, _foreign, _missing])
async def test_what_is_not_usual_is_left_to_a_transaction(
    engine: AsyncEngine, database: PostgresDatabase, signals: RecordedSignals, new: NewMessage, unusual
) -> None:
    await execute(engine, "delete from event_log")
    assert await post(database, await unusual(engine, new)) is None
    assert await execute(engine, _ROWS) == []
    assert await the_log(engine) == []
    assert signals.published == []


async def test_a_window_that_lasts_as_long_as_the_message_is_enough(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    until = new.expires_at + WINDOW_MARGIN
    await execute(engine, "update conversations set window_expires_at = :until", until=until)
    assert await post(database, new) is True


async def test_a_key_is_remembered_with_it_and_a_second_one_is_left_to_a_transaction(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    again = a_new_message(new.account_id, new.conversation_id)
    key = a_key(new)
    assert await post(database, new, key) is True
    assert await post(database, again, key) is None
    async with database.transaction() as tx:
        assert await tx.messages.remember(key, again.id) == new.id
        with pytest.raises(IdempotencyKeyReused):
            await tx.messages.remember(a_key(new, b"something else"), again.id)
    assert [row.id for row in await execute(engine, _ROWS)] == [new.id]


async def test_a_key_of_what_is_not_usual_is_not_used_up(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    assert await post(database, await _unanswered(engine, new), a_key(new)) is None
    assert await execute(engine, "select from idempotency_keys") == []


async def test_of_many_with_one_key_one_is_stored(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    lines = [a_new_message(new.account_id, new.conversation_id) for _ in range(10)]
    posted = await asyncio.gather(*(post(database, one, a_key(one)) for one in lines))
    assert [one for one in posted if one is not None] == [True]
    assert len(await execute(engine, _ROWS)) == 1


@pytest.mark.parametrize("table", ["conversations", "lanes"])
async def test_it_waits_for_nobody(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage, table: str
) -> None:
    async with engine.begin() as holder:
        await holder.execute(text(f"select from {table} for update"))
        assert await post(database, new) is None
    assert await execute(engine, _ROWS) == []


async def test_what_many_post_at_once_gets_serials_and_times_in_the_order_of_commits(
    engine: AsyncEngine, database: PostgresDatabase, new: NewMessage
) -> None:
    async def line() -> None:
        one = a_new_message(new.account_id, new.conversation_id, at=datetime.now(UTC))
        if await post(database, one) is None:
            async with database.transaction() as tx:
                await tx.conversations.lock(one.account_id, one.conversation_id, to_send_last=True)
                one = msgspec.structs.replace(one, at=datetime.now(UTC))
                await tx.messages.queue(one, created(one))

    await asyncio.gather(*(line() for _ in range(30)))
    rows = await execute(
        engine,
        """select o.serial, m.created_at, m."timestamp" as at, e.id as told
           from outbox o join messages m on m.id = o.id
           join event_log e on e.kind = 'message.created' and e.body ->> 'message_id' = m.id::text
           where m.content_text = 'Bien sûr' order by o.serial""",
    )
    assert len(rows) == 30
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert [row.told for row in rows] == sorted(row.told for row in rows)
