"""What a worker does with the outbox, and the rows that it leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_queued_message, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.outbound import State
from inbox.domain.work import Lane, WorkKind
from inbox.ports.records import HeadTaken, Outgoing, Settlement

SEND = WorkKind.SEND


def soon(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


async def take(database: PostgresDatabase, *, now: datetime | None = None) -> list[HeadTaken]:
    """What a worker does in one round: claim lanes, then their heads."""
    return await database.outbox.take_heads(await database.work.claim(SEND, 10), now or soon())


async def take_one(database: PostgresDatabase, *, now: datetime | None = None) -> tuple[Outgoing, Lane]:
    [taken] = await take(database, now=now)
    assert taken.head is not None
    return taken.head, taken.lane


def settled(head: Outgoing, state: State, **more: Any) -> Settlement:  # noqa: ANN401 - fields of Settlement
    return Settlement(message_id=head.id, account_id=head.account_id, token=head.token, state=state, **more)


async def outbox_row(engine: AsyncEngine, message_id: MessageId) -> Row[Any]:
    [row] = await execute(engine, "select * from outbox where id = :id", id=message_id)
    return row


async def message_row(engine: AsyncEngine, message_id: MessageId) -> Row[Any]:
    [row] = await execute(engine, "select * from messages where id = :id", id=message_id)
    return row


async def lanes_due(engine: AsyncEngine) -> None:
    await execute(engine, "update lanes set due = now() - interval '1 s' where attempts = 0")


async def lane_row(engine: AsyncEngine) -> Row[Any]:
    [row] = await execute(
        engine, "select *, ver > done as is_open, extract(epoch from due - now())::float8 as seconds from lanes"
    )
    return row


async def on_wire(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> tuple[Outgoing, Lane]:
    await a_queued_message(engine, account.account_id, conversation)
    head, lane = await take_one(database)
    assert await database.outbox.to_wire(head.id, head.token) == 1
    return head, lane
