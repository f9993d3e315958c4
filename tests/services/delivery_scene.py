"""One attempt at WhatsApp for the tests of delivery, what it left behind, and doubles that fail or wait on its way."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.errors import InboxError
from inbox.domain.ids import MessageId
from inbox.domain.outbound import OpId, State
from inbox.domain.outgoing import Sendable
from inbox.domain.work import Lane, WorkKind
from inbox.ports.database import Database, Outbox
from inbox.ports.messaging import Accepted, Fence
from inbox.ports.records import Outgoing, Settlement
from inbox.services.outbound import Outbound
from services.scenes import claimed

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Special(FakeSender):
    """A sender that fails, waits or stutters around its fence."""

    def __init__(self, *, before: InboxError | None = None, stutters: bool = False) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.goes_on = asyncio.Event()
        self._before = before
        self._stutters = stutters

    async def send(
        self,
        channel: Channel,
        to: Address,
        content: Content | Sendable,
        *,
        op: OpId,
        fence: Fence,
        reply_to: str | None = None,
    ) -> Accepted:
        if self._before is not None:
            raise self._before
        if self._stutters:
            await fence()
        return await super().send(channel, to, content, op=op, fence=fence, reply_to=reply_to)


class Hanging(Special):
    """Says that it is at its fence, on one side of it, and waits."""

    def __init__(self, *, behind_fence: bool) -> None:
        super().__init__()
        self._behind_fence = behind_fence

    async def send(
        self,
        channel: Channel,
        to: Address,
        content: Content | Sendable,
        *,
        op: OpId,
        fence: Fence,
        reply_to: str | None = None,
    ) -> Accepted:
        if self._behind_fence:
            await fence()
        self.reached.set()
        await self.goes_on.wait()
        return await super().send(channel, to, content, op=op, fence=fence, reply_to=reply_to)


class SlowOutbox:
    """An outbox whose `settle` says that it began, and waits."""

    def __init__(self, inner: Outbox) -> None:
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.take_heads, self.to_wire, self.release = inner.take_heads, inner.to_wire, inner.release
        self._inner = inner

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        self.began.set()
        await self.goes_on.wait()
        await self._inner.settle(settlement, lane)


class WithOutbox:
    def __init__(self, inner: Database, outbox: Any) -> None:  # noqa: ANN401 - a double
        self.deliveries, self.work, self.queries, self.outbox = inner.deliveries, inner.work, inner.queries, outbox
        self.transaction = inner.transaction


async def head(outbound: Outbound, database: Database) -> tuple[Outgoing, Lane]:
    (taken,) = await database.outbox.take_heads([await claimed(database, WorkKind.SEND)])
    assert taken.head is not None
    return taken.head, taken.lane


async def deliver(outbound: Outbound, database: Database) -> State:
    return await outbound.deliver(*await head(outbound, database))


async def row_of(engine: AsyncEngine, message: MessageId) -> Any:  # noqa: ANN401 - a row
    (row,) = await execute(
        engine,
        """select o.state, o.attempt, o.token, o.wamid, o.reason, o.not_before - o.updated_at as rests,
                  o.unknown_until - o.updated_at as unknown_for, m.status, m.wa_message_id, m.error_code,
                  m.error_message
           from outbox o join messages m on m.id = o.id where o.id = :id""",
        id=message,
    )
    return row


async def due_in(engine: AsyncEngine) -> timedelta:
    (row,) = await execute(
        engine,
        "select due - (select max(updated_at) from outbox) as due_in from lanes where kind = 'send' and ver > done",
    )
    wait: timedelta = row.due_in
    return wait
