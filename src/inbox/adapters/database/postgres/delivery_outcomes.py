"""What became of deliveries: done, undecodable, or with items that had to be set aside."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.ids import DeliveryId
from inbox.ports.records import InboundBatch, Placed, Received, SetAside

UNKNOWN_NUMBER: Final = "unknown_number"

_QUARANTINE: Final = text("""
insert into quarantined_items (delivery_id, position, reason, raw)
select u.delivery_id, u.position, u.reason, u.raw
from unnest(cast(:deliveries as bigint[]), cast(:positions as int[]), cast(:reasons as text[]), cast(:raws as bytea[]))
  u(delivery_id, position, reason, raw)
order by u.delivery_id, u.position
on conflict (delivery_id, position) do nothing
returning reason
""")

_CLOSE: Final = text("""
with closed as (
  select d.id, u.reason
  from unnest(cast(:ids as bigint[]), cast(:reasons as text[])) u(id, reason) join deliveries d on d.id = u.id
  where d.state = 'open' order by d.id for update of d
)
update deliveries d
set state = case when c.reason is null then 'done' else 'quarantined' end, reason = c.reason, done_at = now()
from closed c where d.id = c.id
returning d.state, d.traceparent,
          extract(epoch from clock_timestamp() - coalesce(d.replayed_at, d.received_at))::float8 as lag
""")


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was dealt with, `lag` seconds after it came. `state` is `done` or `quarantined`."""

    state: str
    lag: float
    traceparent: str | None


class DeliveryOutcomes:
    """Deliveries that a transaction has dealt with, to be marked after their lanes are locked, never before.

    Intake holds a lane while it waits for a delivery with the same bytes; the other order would deadlock with it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._reasons: dict[DeliveryId, str | None] = {}
        self.closed: list[Closed] = []

    def add(self, batch: InboundBatch) -> None:
        self._reasons |= dict.fromkeys(batch.done)
        self._reasons |= dict(batch.undecodable)

    async def write(self) -> None:
        if self._reasons:
            values = {"ids": list(self._reasons), "reasons": list(self._reasons.values())}
            rows = (await self._connection.execute(_CLOSE, values)).all()
            self.closed += [Closed(state=row.state, lag=max(0.0, row.lag), traceparent=row.traceparent) for row in rows]


async def quarantine(
    connection: AsyncConnection, set_aside: Sequence[SetAside], unrouted: Sequence[Received], lost: Sequence[Placed]
) -> list[str]:
    """The reasons of the items that are there for the first time. Unknown numbers' are kept in our own encoding."""
    items = [(aside.delivery_id, aside.position, aside.item.reason, aside.item.raw) for aside in set_aside]
    items += [(r.delivery_id, r.position, UNKNOWN_NUMBER, _encode(r.message)) for r in unrouted]
    items += [(placed.delivery_id, placed.position, UNKNOWN_NUMBER, _encode(placed.effect)) for placed in lost]
    if not items:
        return []
    deliveries, positions, reasons, raws = map(list, zip(*items, strict=True))
    values = {"deliveries": deliveries, "positions": positions, "reasons": reasons, "raws": raws}
    return list((await connection.execute(_QUARANTINE, values)).scalars())


_encode: Final = msgspec.json.Encoder().encode
