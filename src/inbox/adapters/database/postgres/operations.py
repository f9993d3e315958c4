"""What operators look at: running processes and queues. Each method is one statement on rows that an index finds."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from inbox.adapters.database.postgres import paces
from inbox.adapters.database.postgres.reading import AnyRow, Reader
from inbox.domain.audit import Action
from inbox.domain.ids import AccountId
from inbox.domain.pacing import STANDARD, PairLimit
from inbox.ports.deliveries import DISCARDED
from inbox.ports.monitoring import (
    LIVE_SECONDS,
    MOST_COUNTED,
    DeliveryQueue,
    LiveProcess,
    NumberPace,
    Process,
    ProcessKind,
    ProcessReport,
    SendQueue,
    SilentNumber,
)

_GONE_AFTER: Final = timedelta(seconds=LIVE_SECONDS)
_REPORT_SECONDS: Final = 2.0
_OTHERS_SECONDS: Final = 0.5
_SWEPT: Final = 20
_MOST_SILENT: Final = 1_000
"""Numbers of one answer."""

# Who comes back after a long pause may find its row deleted, and gets it again; it never deletes its own.
_PACES: Final = text(f"""
select a.id as account_id, a.name, a.phone_number_id, coalesce(p.ceiling, {STANDARD})::float8 as ceiling,
       {paces.rate("p", "now()")} as rate, p.learned_at as slowed_at, coalesce(p.taken, 0) as sent,
       coalesce(extract(epoch from p.pair_every), :pair_seconds)::float8 as pair_seconds,
       coalesce(p.pair_burst, cast(:pair_burst as int)) as pair_burst
from whatsapp_accounts a left join number_paces p on p.account_id = a.id
order by a.name, a.id limit :most
""").bindparams(  # noqa: S608 - constants of ours
    pair_seconds=PairLimit().every.total_seconds(), pair_burst=PairLimit().burst, most=_MOST_SILENT
)

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

_HAS_OTHERS: Final = text("""
select exists (
  select from processes
  where id is distinct from cast(:id as uuid) and seen_at >= now() - cast(:gone_after as interval)
) as has_others
""").bindparams(gone_after=_GONE_AFTER)

_RESETS: Final = text("""
select target, now() - max(at) as age from audit_entries
where at > now() - cast(:within as interval) and action = :action group by target
""").bindparams(action=Action.CIRCUIT_RESET.value)

# Open deliveries have their lanes, which are few, so the oldest of each is one probe of an index.
_DELIVERIES: Final = text(f"""
select
  (select count(*) from (select from deliveries where state = 'open' limit :most) d) as waiting,
  (select extract(epoch from now() - min(oldest.at)) from lanes l cross join lateral (
     select coalesce(replayed_at, received_at) as at from deliveries d
     where d.lane = l.key and d.state = 'open' order by d.id limit 1
   ) oldest where l.kind = 'ingest' and l.ver > l.done)::float8 as oldest_seconds,
  (select count(*) from (
     select from deliveries where state = 'quarantined' and reason is distinct from '{DISCARDED}' limit :most
   ) d) as quarantined,
  (select count(*) from (
     select from deliveries where state = 'unrouted' and reason is distinct from '{DISCARDED}' limit :most
   ) d) as unrouted,
  (select count(*) from (
     select from quarantined_items i join deliveries d on d.id = i.delivery_id
     where d.reason is distinct from '{DISCARDED}' limit :most
   ) i) as quarantined_items
""").bindparams(most=MOST_COUNTED)  # noqa: S608 - a constant of ours

_SENDS: Final = text("""
with open as materialized (
  select state, created_at from outbox where state in ('queued', 'claimed', 'wire', 'unknown') limit :most
)
select
  count(*) filter (where state in ('queued', 'claimed')) as waiting,
  extract(epoch from now() - min(created_at) filter (where state in ('queued', 'claimed')))::float8 as oldest_seconds,
  count(*) filter (where state = 'wire') as on_wire,
  count(*) filter (where state = 'unknown') as unknown,
  (select count(*) from (select from outbox where state = 'unconfirmed' limit :most) u) as unconfirmed,
  (select count(*) from whatsapp_accounts where paused_at is not null and is_active) as paused_accounts
from open
""").bindparams(most=MOST_COUNTED)


_PARKED: Final = text("""
select count(*) as parked from (select from message_statuses where message_id is null limit :most) s
""").bindparams(most=MOST_COUNTED)


# A number is marked as alive every ten seconds at most; WhatsApp delivers again for seven days.
_SILENT: Final = text("""
select a.id, a.phone_number_id, a.last_webhook_at, sent.since
from whatsapp_accounts a cross join lateral (
  select o.updated_at as since from outbox o
  where o.account_id = a.id and o.state = 'accepted'
    and o.updated_at > greatest(a.last_webhook_at + interval '10 s', now() - interval '7 days')
    and o.updated_at < now() - interval '10 min'
    and not exists (select from message_statuses s where s.message_id = o.id)
  order by o.updated_at limit 1
) sent
order by sent.since, a.id limit :most
""").bindparams(most=_MOST_SILENT)


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

    async def resets(self, within: timedelta) -> dict[str, timedelta]:
        rows = await self._read.rows(_RESETS, _REPORT_SECONDS, within=within)
        return {row.target: row.age for row in rows}

    async def has_others(self, process_id: UUID | None) -> bool:
        (row,) = await self._read.rows(_HAS_OTHERS, _OTHERS_SECONDS, id=process_id)
        return bool(row.has_others)

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

    async def silent_numbers(self) -> list[SilentNumber]:
        return [
            SilentNumber(
                account_id=AccountId(row.id),
                phone_number_id=row.phone_number_id,
                sent_at=row.since,
                last_webhook_at=row.last_webhook_at,
            )
            for row in await self._read.rows(_SILENT)
        ]

    async def paces(self) -> list[NumberPace]:
        return [NumberPace(**row._asdict()) for row in await self._read.rows(_PACES)]

    async def sends(self) -> SendQueue:
        (row,) = await self._read.rows(_SENDS)
        return SendQueue(
            waiting=row.waiting,
            oldest_seconds=max(0.0, row.oldest_seconds or 0.0),
            on_wire=row.on_wire,
            unknown=row.unknown,
            unconfirmed=row.unconfirmed,
            paused_accounts=row.paused_accounts,
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
