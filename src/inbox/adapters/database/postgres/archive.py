"""Stored deliveries for operators: found by state and reason, opened again, given up, read once more in their order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import lookups
from inbox.adapters.database.postgres.reading import AnyRow, Reader
from inbox.adapters.database.postgres.times import shown
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import InboundEvent
from inbox.ports.deliveries import (
    DISCARDED,
    Archived,
    ArchivePage,
    AsideItem,
    DeliveryItem,
    DeliveryRecord,
    Fate,
    Selection,
    Which,
)

_PAGE_BYTES: Final = 2 << 20
_DISORDER: Final = timedelta(minutes=1)
"""Ids follow the times of arrival but for this much: concurrent commits, and clocks that are set."""
_LAST: Final = 2**63 - 1

_ITEM: Final = f"""
d.id, d.state, d.reason, d.tries, d.replays, octet_length(d.body) as size, {shown("d.received_at")} as received_at,
{shown("d.done_at")} as done_at, (select count(*) from quarantined_items q where q.delivery_id = d.id) as set_aside
"""  # noqa: S608 - constants of ours


def _listing(ids: str) -> TextClause:
    return text(f"""
      with page as ({ids}) select {_ITEM} from page join deliveries d on d.id = page.id order by d.id desc
    """)  # noqa: S608 - constants of ours


def _in_state(condition: str) -> TextClause:
    return _listing(f"""
      select id from deliveries
      where {condition} and id < :before and (cast(:reason as text) is null or reason = cast(:reason as text))
      order by id desc limit :limit
    """)  # noqa: S608 - constants of ours


# Written out, so that a partial index is seen to fit, and what was set aside is found without looking at the rest.
_LISTS: Final = {
    None: _in_state("true"),
    Which.OPEN: _in_state("state = 'open'"),
    Which.DONE: _in_state("state = 'done'"),
    Which.QUARANTINED: _in_state("state in ('quarantined', 'unrouted') and state = 'quarantined'"),
    Which.UNROUTED: _in_state("state in ('quarantined', 'unrouted') and state = 'unrouted'"),
    Which.SET_ASIDE: _listing(f"""
      select id from (
        (select id from deliveries
         where state in ('quarantined', 'unrouted') and reason is distinct from '{DISCARDED}' and id < :before
           and (cast(:reason as text) is null or reason = cast(:reason as text))
         order by id desc limit :limit)
        union
        (select distinct q.delivery_id from quarantined_items q join deliveries d on d.id = q.delivery_id
         where q.delivery_id < :before and d.state <> 'open' and d.reason is distinct from '{DISCARDED}'
           and (cast(:reason as text) is null or q.reason = cast(:reason as text))
         order by q.delivery_id desc limit :limit)
      ) aside order by id desc limit :limit
    """),  # noqa: S608 - constants of ours
}

_ONE: Final = text(f"select {_ITEM}, d.body from deliveries d where d.id = :id")  # noqa: S608 - constants of ours

_ASIDE: Final = text(f"""
select position, reason, raw, {shown("created_at")} as created_at from quarantined_items
where delivery_id = :id order by position
""")  # noqa: S608 - constants of ours

_ENDS: Final = text("select min(id) as low, max(id) as high from deliveries")

_FROM: Final = text("select id, received_at from deliveries where id >= :id order by id limit 1")

_PAGE: Final = text("""
select d.id, d.body, d.received_at, d.state,
       (select coalesce(array_agg(q.position), '{}') from quarantined_items q where q.delivery_id = d.id) as aside
from (
  select p.*, sum(octet_length(p.body)) over (order by p.id) - octet_length(p.body) as size_before
  from (select * from deliveries where id > :after order by id limit :limit) p
) d
where d.size_before <= :bytes order by d.id
""").bindparams(bytes=_PAGE_BYTES)

# The lanes first, in the order of their keys, as intake takes them; the second statement sees what was committed before
# its locks. Ingest adds items to a delivery before it has the lane, so the delivery must stay open to references.
_WAKE: Final = text("""
insert into lanes (kind, key)
select distinct 'ingest', lane from deliveries where id = any(cast(:ids as bigint[])) order by 2
on conflict (kind, key) do update set ver = lanes.ver + 1
""")

_REOPEN: Final = text("""
with held as (
  select id from deliveries where id = any(cast(:ids as bigint[])) and state <> 'open' order by id for no key update
), forgotten as (
  delete from quarantined_items q using held where q.delivery_id = held.id
)
update deliveries d
set state = 'open', reason = null, done_at = null, tries = 0, replays = d.replays + 1, replayed_at = now()
from held where d.id = held.id
""")

_DISCARD: Final = text(f"""
update deliveries d set reason = '{DISCARDED}', done_at = now()
where d.id = :id and d.state <> 'open' and d.reason is distinct from '{DISCARDED}'
  and (d.state in ('quarantined', 'unrouted') or exists (select from quarantined_items q where q.delivery_id = d.id))
""")  # noqa: S608 - a constant of ours


class PostgresArchive:
    """Every method is one or two statements that lock nothing."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def listed(self, selection: Selection, *, limit: int, before: DeliveryId | None) -> list[DeliveryItem]:
        values = {"limit": limit, "before": _LAST if before is None else before, "reason": selection.reason}
        return [_item(row) for row in await self._read.rows(_LISTS[selection.which], **values)]

    async def find(self, delivery_id: DeliveryId) -> DeliveryRecord | None:
        row = await self._read.row(_ONE, id=delivery_id)
        if row is None:
            return None
        items = [AsideItem(**item._asdict()) for item in await self._read.rows(_ASIDE, id=delivery_id)]
        return DeliveryRecord(delivery=_item(row), body=row.body, items=items)

    async def page(self, since: datetime, until: datetime, after: DeliveryId | None, limit: int) -> ArchivePage:
        start = await self._before(since) if after is None else after
        rows = await self._read.rows(_PAGE, after=start, limit=limit)
        is_last = not rows or rows[-1].received_at >= until + _DISORDER
        return ArchivePage(
            deliveries=[_archived(row) for row in rows if since <= row.received_at < until],
            next=None if is_last else DeliveryId(rows[-1].id),
        )

    async def look_up(self, events: Sequence[InboundEvent]) -> list[Fate]:
        return await lookups.look_up(self._read, events)

    async def _before(self, since: datetime) -> int:
        """An id before which nothing was received since then. There is no index by time, so it is found by halving."""
        ends = await self._read.row(_ENDS)
        if ends is None or ends.low is None:
            return 0
        low, high = ends.low, ends.high + 1
        while low < high:
            middle = (low + high) // 2
            row = await self._read.row(_FROM, id=middle)
            if row is None or row.received_at >= since - _DISORDER:
                high = middle
            else:
                low = row.id + 1
        return int(low) - 1


class PostgresReplays:
    """Within a transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def reopen(self, delivery_ids: Sequence[DeliveryId]) -> int:
        ids = {"ids": list(delivery_ids)}
        await self._connection.execute(_WAKE, ids)
        return (await self._connection.execute(_REOPEN, ids)).rowcount

    async def discard(self, delivery_id: DeliveryId) -> bool:
        return (await self._connection.execute(_DISCARD, {"id": delivery_id})).rowcount == 1


def _item(row: AnyRow) -> DeliveryItem:
    return DeliveryItem(
        id=row.id,
        received_at=row.received_at,
        state=row.state,
        reason=row.reason,
        tries=row.tries,
        replays=row.replays,
        done_at=row.done_at,
        size=row.size,
        set_aside=row.set_aside,
    )


def _archived(row: AnyRow) -> Archived:
    return Archived(
        id=DeliveryId(row.id),
        body=row.body,
        received_at=row.received_at,
        state=row.state,
        aside=frozenset(row.aside),
    )
