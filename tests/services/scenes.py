"""What the tests of services do again and again: customers write, lanes are claimed, rows are looked at."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_number, an_inbound_message, execute
from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.accounts import Channel
from inbox.domain.content import Content, Text
from inbox.domain.errors import LeaseLost
from inbox.domain.ids import ConversationId, DeliveryId, MessageId, uuid7_at
from inbox.domain.work import Lane, WorkKind
from inbox.ports.database import Database
from inbox.ports.llm import Answer, Meter, Prompt
from inbox.ports.records import InboundBatch, Received

T = TypeVar("T", bound=msgspec.Struct)


async def customer_writes(
    database: Database,
    account: Channel,
    number: str,
    *said: Content | str,
    at: datetime | None = None,
    wamid: str | None = None,
    quiet_for: timedelta = timedelta(),
) -> list[MessageId]:
    """Messages of one delivery, applied as ingest does; Meta's clock has whole seconds."""
    at = (at or datetime.now(UTC)).replace(microsecond=0)
    delivery = DeliveryId(a_number())
    messages = [
        Received(
            id=MessageId(uuid7_at(datetime.now(UTC), delivery, position)),
            delivery_id=delivery,
            position=position,
            message=an_inbound_message(
                account.phone_number_id,
                sender=number,
                content=Text(body=content) if isinstance(content, str) else content,
                sent_at=at,
                wamid=wamid,
            ),
        )
        for position, content in enumerate(said)
    ]
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=messages, quiet_for=quiet_for))
    return [message.id for message in messages]


async def claimed(database: Database, kind: WorkKind) -> Lane:
    """The one lane that is due."""
    (lane,) = await database.work.claim(kind, 10)
    return lane


async def is_done(database: Database, kind: WorkKind) -> bool:
    return not await database.work.claim(kind, 10)


async def lose_lease(engine: AsyncEngine) -> None:
    """Time passes and no worker comes back: lanes and messages that somebody holds are free again."""
    await execute(engine, "update lanes set due = now() where ver > done")
    await execute(engine, "update outbox set lease_until = now() where state = 'claimed'")


async def run_twice(work: Callable[[Lane], Awaitable[object]], lane: Lane, engine: AsyncEngine) -> None:
    """The same claim worked on by two workers: the second one leaves every row as it was."""
    await work(lane)
    before = await all_rows(engine)
    with pytest.raises(LeaseLost):
        await work(lane)
    assert await all_rows(engine) == before


_TABLES = ("conversations", "messages", "message_statuses", "deliveries", "quarantined_items", "outbox", "bot_turns")


async def all_rows(engine: AsyncEngine) -> dict[str, list[Any]]:
    """Everything that work may change, but for the event log and the lanes themselves."""
    return {
        table: [tuple(row) for row in await execute(engine, f"select * from {table} order by id")]  # noqa: S608 - ours
        for table in _TABLES
    }


async def conversation_row(engine: AsyncEngine, conversation: ConversationId) -> Any:  # noqa: ANN401 - a row
    (row,) = await execute(engine, "select * from conversations where id = :id", id=conversation)
    return row


async def said_by_us(engine: AsyncEngine, conversation: ConversationId) -> list[str]:
    """What a customer was told, or will be, oldest first."""
    rows = await execute(
        engine,
        """select content_text from messages where conversation_id = :id and direction = 'outbound'
           order by created_at, id""",
        id=conversation,
    )
    return [row.content_text for row in rows]


async def events_of(engine: AsyncEngine, kind: str) -> list[Any]:
    rows = await execute(engine, "select body from event_log where kind = :kind order by id", kind=kind)
    return [msgspec.json.decode(row.body) if isinstance(row.body, str) else row.body for row in rows]


class Thinking(FakeAssistant):
    """Takes its time: `asked` says that it was asked, `answers` lets it answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        if meter is not None:
            await meter.begins("fake", 2_048)
        self.asked.set()
        await self.answers.wait()
        self.asked.clear()
        self.answers.clear()
        answer = await super().complete(prompt, schema=schema)
        if meter is not None:
            meter.used(answer.usage, "fake")
        return answer
