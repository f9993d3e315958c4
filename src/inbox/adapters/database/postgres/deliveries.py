"""Raw webhook bodies: the commit that stands behind every 200 that Meta gets."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct
from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.domain.errors import DatabaseTimeout, InboxError, Unstorable
from inbox.domain.ids import DeliveryId
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.kit import tracing
from inbox.kit.coalescing import Batching, Coalescer
from inbox.ports.events import Events
from inbox.ports.records import Delivery

BATCHING: Final = Batching(items=100, size=8 << 20, waiting=1_000)
STORE_SECONDS: Final = 3.0
PAGE_BYTES: Final = 2 << 20
"""A page of deliveries ends after the one that passes this size; the rest is read the next time."""

# The lanes come first, each once and in the order of their keys, so that the serials of one lane follow the order of
# commits. The sort by `n` makes PostgreSQL take all lanes before it draws the first serial.
_STORE: Final = text("""
with item as (
  select * from unnest(cast(:lanes as text[]), cast(:bodies as bytea[]), cast(:digests as bytea[]),
                       cast(:traces as text[]))
    with ordinality t(lane, body, sha256, traceparent, n)
), held as (
  insert into lanes (kind, key) select distinct 'ingest', lane from item order by 2
  on conflict (kind, key) do update set ver = lanes.ver + 1
  returning key
)
insert into deliveries (lane, body, sha256, traceparent)
select i.lane, i.body, i.sha256, i.traceparent from item i join held on held.key = i.lane order by i.n
on conflict (sha256) do nothing
""")

# First the ids alone: of many full lanes all but one page is thrown away, and bodies are dear to carry along.
_READ: Final = text("""
with oldest as materialized (
  select d.id
  from unnest(cast(:keys as text[])) k(key)
  cross join lateral (
    select id from deliveries where lane = k.key and state = 'open' order by id limit :limit
  ) d
  order by d.id limit :limit
)
select id, lane, body, received_at, tries, traceparent
from (
  select d.*, sum(octet_length(d.body)) over (order by d.id) - octet_length(d.body) as size_before
  from oldest join deliveries d on d.id = oldest.id
) page
where size_before <= :bytes
order by id
""")


class _Item(msgspec.Struct, frozen=True):
    body: bytes
    lane: str
    digest: bytes
    traceparent: str | None


_TRY: Final = text("update deliveries set tries = tries + 1 where id = :id and state = 'open'")


class PostgresDeliveries:
    """Concurrent `store` calls share one statement and its commit, on connections that nothing else uses."""

    def __init__(
        self,
        engine: AsyncEngine,
        intake: AsyncEngine,
        events: Events,
        *,
        every: float = 0.0,
        within: float = STORE_SECONDS,
    ) -> None:
        """`every` is the least time in seconds between two commits of a busy process, `within` that of storing."""
        self._engine = autocommit(engine)
        self._direct = Direct(intake)
        self._events = events
        self._coalescer: Coalescer[_Item, None] = Coalescer(
            self._flush,
            on_timeout=DatabaseTimeout,
            batching=msgspec.structs.replace(BATCHING, every=every, deadline=within),
            size_of=lambda item: len(item.body),
            is_of_a_row=lambda error: isinstance(error, Unstorable),
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Bodies can be stored inside; at the end those that wait are written. Never enter it in a transaction."""
        return self._coalescer.running()

    async def store(self, body: bytes, lane: str) -> None:
        """If the caller leaves, its batch goes on without it. A batch has its time; waiting for one is the caller's."""
        await self._coalescer.add(_Item(body, lane, hashlib.sha256(body).digest(), tracing.current()))

    async def read(self, lanes: Sequence[Lane], limit: int) -> list[Delivery]:
        """A page holds about `PAGE_BYTES` at most; a lane with open deliveries stays open when it is finished."""
        with database_errors():
            async with self._engine.connect() as connection:
                keys = sorted({lane.key for lane in lanes})
                rows = (await connection.execute(_READ, {"keys": keys, "limit": limit, "bytes": PAGE_BYTES})).all()
        return [
            Delivery(
                id=DeliveryId(row.id),
                lane=row.lane,
                body=row.body,
                received_at=row.received_at,
                tries=row.tries,
                traceparent=row.traceparent,
            )
            for row in rows
        ]

    async def try_alone(self, delivery_id: DeliveryId) -> None:
        with database_errors():
            async with self._engine.connect() as connection:
                await connection.execute(_TRY, {"id": delivery_id})

    async def _flush(self, items: Sequence[_Item]) -> Sequence[InboxError | None]:
        values = {
            "lanes": [item.lane for item in items],
            "bodies": [item.body for item in items],
            "digests": [item.digest for item in items],
            "traces": [item.traceparent for item in items],
        }
        await self._direct.rows(_STORE, values)
        self._events.publish(WorkWaiting(WorkKind.INGEST))
        return [None] * len(items)
