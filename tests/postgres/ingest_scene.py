"""Batches of messages or statuses, and the rows that they leave."""

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute, received
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.ids import MessageId
from inbox.domain.inbound import InboundMessage, InboundStatus
from inbox.domain.outbound import OpId
from inbox.ports.records import Applied, InboundBatch, Received

SECOND = timedelta(seconds=1)
SHOWN = "id, status, wa_message_id, error_code, error_message, sent_at, delivered_at, read_at, failed_at"


async def apply(database: PostgresDatabase, *messages: Received | InboundMessage, **batch: Any) -> Applied:  # noqa: ANN401 - fields of InboundBatch
    items = [item if isinstance(item, Received) else received(item) for item in messages]
    async with database.transaction() as tx:
        return await tx.apply(InboundBatch(messages=items, **batch))


async def rows(engine: AsyncEngine, table: str, order: str = "id") -> list[dict[str, Any]]:
    return [row._asdict() for row in await execute(engine, f"select * from {table} order by {order}")]  # noqa: S608


async def hear(database: PostgresDatabase, *statuses: InboundStatus) -> Applied:
    async with database.transaction() as tx:
        return await tx.apply(InboundBatch(statuses=statuses))


async def message_row(engine: AsyncEngine, message_id: MessageId) -> dict[str, Any]:
    [row] = await execute(engine, f"select {SHOWN} from messages where id = :id", id=message_id)  # noqa: S608
    return dict(row._asdict())


async def state_of(engine: AsyncEngine, message_id: MessageId) -> tuple[str, str | None]:
    [row] = await execute(engine, "select state, wamid from outbox where id = :id", id=message_id)
    return row.state, row.wamid


def op(message_id: MessageId, attempt: int = 1) -> str:
    return str(OpId(message_id, attempt))
