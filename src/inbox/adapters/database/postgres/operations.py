"""What operators look at: running processes and queues. Each method is one statement on rows that an index finds."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from inbox.adapters.database.postgres.reading import AnyRow, Reader
from inbox.ports.monitoring import (
    LIVE_SECONDS,
    MOST_COUNTED,
    DeliveryQueue,
    LiveProcess,
    Process,
    ProcessKind,
    ProcessReport,
    SendQueue,
)

_GONE_AFTER: Final = timedelta(seconds=LIVE_SECONDS)
_REPORT_SECONDS: Final = 2.0
_SWEPT: Final = 20

# Who comes back after a long pause may find its row deleted, and gets it again; it never deletes its own.
_REPORT: Final = text("""
with gone as (
  select id from processes where seen_at < now() - cast(:gone_after as interval) and id <> :id
  order by id limit :swept for update skip locked
), swept as (
  delete from processes using gone where processes.id = gone.id
)
insert into processes (id, kind, host, pid, version, started_at, seen_at, report)
values (:id, :kind, :host, :pid, :version, :started_at, now(), cast(:report as jsonb))
on conflict (id) do update set seen_at = now(), report = excluded.report
returning id
""").bindparams(gone_after=_GONE_AFTER, swept=_SWEPT)

_LEAVE: Final = text("delete from processes where id = :id returning id")

_LIVE: Final = text("""
select id, kind, host, pid, version, started_at, seen_at, report from processes
where seen_at >= now() - cast(:gone_after as interval) order by started_at, id
""").bindparams(gone_after=_GONE_AFTER)

# Open deliveries have their lanes, which are few, so the oldest of each is one probe of an index.
_DELIVERIES: Final = text("""
select
  (select count(*) from (select from deliveries where state = 'open' limit :most) d) as waiting,
  (select extract(epoch from now() - min(oldest.received_at)) from lanes l cross join lateral (
     select received_at from deliveries d where d.lane = l.key and d.state = 'open' order by d.id limit 1
   ) oldest where l.kind = 'ingest' and l.ver > l.done)::float8 as oldest_seconds,
  (select count(*) from (select from deliveries where state = 'quarantined' limit :most) d) as quarantined,
  (select count(*) from (select from deliveries where state = 'unrouted' limit :most) d) as unrouted,
  (select count(*) from (select from quarantined_items limit :most) i) as quarantined_items
""").bindparams(most=MOST_COUNTED)

_SENDS: Final = text("""
with open as materialized (
  select state, created_at from outbox where state in ('queued', 'claimed', 'wire', 'unknown') limit :most
)
select
  count(*) filter (where state in ('queued', 'claimed')) as waiting,
  extract(epoch from now() - min(created_at) filter (where state in ('queued', 'claimed')))::float8 as oldest_seconds,
  count(*) filter (where state = 'wire') as on_wire,
  count(*) filter (where state = 'unknown') as unknown,
  (select count(*) from (select from outbox where state = 'unconfirmed' limit :most) u) as unconfirmed
from open
""").bindparams(most=MOST_COUNTED)


_PARKED: Final = text("""
select count(*) as parked from (select from message_statuses where message_id is null limit :most) s
""").bindparams(most=MOST_COUNTED)


class PostgresOperations:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def report(self, process: Process, report: ProcessReport) -> None:
        values = {
            "id": process.id,
            "kind": process.kind.value,
            "host": process.host,
            "pid": process.pid,
            "version": process.version,
            "started_at": process.started_at,
            "report": msgspec.json.encode(report).decode(),
        }
        await self._read.rows(_REPORT, _REPORT_SECONDS, **values)

    async def leave(self, process_id: UUID) -> None:
        await self._read.rows(_LEAVE, _REPORT_SECONDS, id=process_id)

    async def processes(self) -> list[LiveProcess]:
        return [_live(row) for row in await self._read.rows(_LIVE)]

    async def deliveries(self) -> DeliveryQueue:
        (row,) = await self._read.rows(_DELIVERIES)
        return DeliveryQueue(
            waiting=row.waiting,
            oldest_seconds=max(0.0, row.oldest_seconds or 0.0),
            quarantined=row.quarantined,
            unrouted=row.unrouted,
            quarantined_items=row.quarantined_items,
        )

    async def parked_statuses(self) -> int:
        (row,) = await self._read.rows(_PARKED)
        parked: int = row.parked
        return parked

    async def sends(self) -> SendQueue:
        (row,) = await self._read.rows(_SENDS)
        return SendQueue(
            waiting=row.waiting,
            oldest_seconds=max(0.0, row.oldest_seconds or 0.0),
            on_wire=row.on_wire,
            unknown=row.unknown,
            unconfirmed=row.unconfirmed,
        )


def _live(row: AnyRow) -> LiveProcess:
    process = Process(
        id=row.id,
        kind=ProcessKind(row.kind),
        host=row.host,
        pid=row.pid,
        version=row.version,
        started_at=row.started_at,
    )
    try:
        report = msgspec.json.decode(row.report, type=ProcessReport)
    except msgspec.ValidationError:
        report = ProcessReport()
    return LiveProcess(process=process, seen_at=row.seen_at, report=report)
