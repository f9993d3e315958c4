"""Deliveries for the tests of ingest, what became of them, and a codec and a database that fail as told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import CUSTOMER, a_body, a_message
from builders import a_delivery, execute
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.errors import DatabaseTimeout, Undecodable, Unstorable
from inbox.domain.inbound import InboundEvent
from inbox.domain.work import Lane
from inbox.ports.database import Database, Transaction
from inbox.ports.records import Applied, InboundBatch
from inbox.services.ingest import Ingest


class Codec(CloudApiCodec):
    """The real one, but for deliveries that a test makes special."""

    def __init__(self) -> None:
        super().__init__([])
        self.kills: set[bytes] = set()
        self.undecodable: set[bytes] = set()
        self.decoded: list[bytes] = []

    def decode(self, body: bytes, received_at: datetime) -> list[InboundEvent]:
        self.decoded.append(body)
        if body in self.kills:
            raise Killed
        if body in self.undecodable:
            raise Undecodable("of no use")
        return super().decode(body, received_at)


class Killed(BaseException):
    """The process is gone."""


class Narrow:
    """A database that is too slow for many messages and for some texts, and refuses those that it is told to."""

    def __init__(
        self, inner: Database, *, most: int = 1_000, refused: Sequence[str] = (), slow: Sequence[str] = ()
    ) -> None:
        self.deliveries, self.work, self.outbox, self.queries = (
            inner.deliveries,
            inner.work,
            inner.outbox,
            inner.queries,
        )
        self.sizes: list[int] = []
        self._inner = inner
        self._most = most
        self._refused = refused
        self._slow = slow

    @asynccontextmanager
    async def transaction(self, *, within: float = 5.0) -> AsyncIterator[Transaction]:
        async with self._inner.transaction(within=within) as tx:
            yield _NarrowTransaction(tx, self)  # type: ignore[misc]

    def check(self, batch: InboundBatch) -> None:
        self.sizes.append(len(batch.messages))
        if len(batch.messages) > self._most or self._has(batch, self._slow):
            raise DatabaseTimeout
        if self._has(batch, self._refused):
            raise Unstorable

    def _has(self, batch: InboundBatch, texts: Sequence[str]) -> bool:
        return any(text in str(received.message.content) for received in batch.messages for text in texts)


class _NarrowTransaction:
    def __init__(self, inner: Transaction, database: Narrow) -> None:
        self._inner = inner
        self._database = database

    async def apply(self, batch: InboundBatch) -> Applied:
        self._database.check(batch)
        return await self._inner.apply(batch)

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await self._inner.finish(lanes)


def ingest(database: Any, codec: Codec | None = None) -> Ingest:  # noqa: ANN401 - or a double
    return Ingest(database, codec or Codec(), quiet_for=timedelta(seconds=3))


async def deliver(engine: AsyncEngine, *deliveries: bytes, lane: str = "07") -> None:
    """Stored deliveries of one lane, which is due."""
    for body in deliveries:
        await a_delivery(engine, body, lane=lane)
        await execute(
            engine,
            """insert into lanes (kind, key) values ('ingest', :lane)
               on conflict (kind, key) do update set ver = lanes.ver + 1""",
            lane=lane,
        )


def texts(number: str, *said: str, sender: str = CUSTOMER) -> bytes:
    """One delivery with a message for each text; the text is its wamid as well."""
    messages = [a_message(id=f"wamid.{text}", text={"body": text}, **{"from": sender}) for text in said]
    return a_body(*messages, number=number)


async def heard(engine: AsyncEngine) -> list[str]:
    rows = await execute(engine, "select content_text from messages where direction = 'inbound' order by content_text")
    return [row.content_text for row in rows]


async def set_aside(engine: AsyncEngine) -> list[tuple[int, str]]:
    rows = await execute(engine, "select position, reason from quarantined_items order by delivery_id, position")
    return [(row.position, row.reason) for row in rows]


async def states(engine: AsyncEngine) -> list[tuple[str, str | None]]:
    rows = await execute(engine, "select state, reason from deliveries order by id")
    return [(row.state, row.reason) for row in rows]
