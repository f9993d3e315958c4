"""Sends once more what surely never arrived, if an operator switched that on.

The proof is read here, and `domain.absence` judges it, twice: to find what could be sent, and again when conversation
and message are locked.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import audit, event_log, statuses
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.times import timed
from inbox.domain.absence import CANARIES, SILENT_FOR, Evidence, is_absent
from inbox.domain.audit import Action, AuditEntry
from inbox.domain.ids import AccountId
from inbox.domain.outbound import WINDOW_MARGIN, State, Step, after
from inbox.domain.pacing import Priority
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.events import Events

_MOST: Final = 100
_EVERY: Final = 30.0
"""Seconds between two looks of one process. Nothing of this is urgent."""

_SUSPECTS: Final = timed("""
select id, conversation_id from outbox
where state = 'unconfirmed' and resends = 0 and auto_resends = 0 and wire_at <= :time - cast(:silent_for as interval)
  and expires_at > :time
order by updated_at limit :most
""").bindparams(silent_for=SILENT_FOR, most=_MOST)

# Ids are in the order of time: what was sent later is found behind, among not too many. What nobody could place since
# the attempt may be the echo that is missing, whatever it says. A worker that reported the end of its attempt left a
# reason; what the reaper ended has none.
_EVIDENCE: Final = timed("""
select o.id, o.account_id, o.conversation_id, :time - o.wire_at as silent_for,
       (select count(*) from (
          select from (
            select k.account_id, k.wire_at, k.state from outbox k where k.id > o.id order by k.id limit 20000
          ) later
          where later.account_id = o.account_id and later.wire_at > o.wire_at
            and later.state in ('sent', 'delivered', 'read')
          limit :canaries) heard) as canaries,
       coalesce(:time - (select min(d.received_at) from deliveries d where d.state = 'open'), interval '0') as backlog,
       (select count(*) from (
          select from deliveries d where d.state in ('quarantined', 'unrouted') and d.received_at >= o.wire_at
          union all select from quarantined_items i where i.created_at >= o.wire_at
          union all select from message_statuses s
          where s.message_id is null and s.phone_number_id = a.phone_number_id and s.received_at >= o.wire_at
          limit 1) stray) as strays,
       o.reason is not null as is_over,
       o.resends = 0 and o.auto_resends = 0 and o.wamid is null and m.wa_message_id is null as is_first,
       m.content->>'type' is distinct from 'template' as is_free_form,
       o.expires_at > :time and coalesce(c.window_expires_at - cast(:margin as interval) > :time, false) as is_timely
from unnest(cast(:ids as uuid[])) u(id) join outbox o on o.id = u.id and o.state = 'unconfirmed'
join messages m on m.id = o.id join conversations c on c.id = o.conversation_id
join whatsapp_accounts a on a.id = o.account_id
order by o.id
""").bindparams(canaries=CANARIES, margin=WINDOW_MARGIN)

_LOCK: Final = (
    text("select from conversations where id = :conversation_id for update"),
    text("select from messages where id = :id for update"),
)

_LANE: Final = text("""
insert into lanes (kind, key, account_id, priority)
select 'send', conversation_id::text, account_id, cast(:priority as smallint) from outbox where id = :id
on conflict (kind, key) do update
set ver = lanes.ver + 1,
    due = case when lanes.ver = lanes.done then greatest(excluded.due, lanes.pair_at) else lanes.due end,
    priority = case when lanes.ver = lanes.done then excluded.priority
               else least(lanes.priority, excluded.priority) end
""").bindparams(priority=Priority.BULK.value)

_RESEND: Final = text("""
update outbox
set state = :state, reason = null, token = null, lease_until = null, unknown_until = null, not_before = null,
    auto_resends = auto_resends + 1, updated_at = now()
where id = :id and state = 'unconfirmed' and resends = 0 and auto_resends = 0
""").bindparams(state=after(State.UNCONFIRMED, Step.RESENT_ON_PROOF))


class Absences:
    """Looks for messages that surely never arrived."""

    def __init__(self, engine: AsyncEngine, events: Events) -> None:
        self._engine = engine
        self._autocommit = autocommit(engine)
        self._events = events
        self._looked: float | None = None

    async def look(self, now: datetime | None) -> int:
        """`resend`, if it is time to look again."""
        clock = time.monotonic()
        if self._looked is not None and clock < self._looked + _EVERY:
            return 0
        self._looked = clock
        return await self.resend(now)

    async def resend(self, now: datetime | None = None) -> int:
        """How many are queued again."""
        with database_errors():
            async with self._autocommit.connect() as connection:
                suspects = (await connection.execute(_SUSPECTS, {"now": now})).all()
                proven = {row.id for row in await _absent(connection, [row.id for row in suspects], now)}
        sent = 0
        for row in suspects:
            if row.id in proven:
                sent += await repeated(partial(self._resend, row.id, row.conversation_id, now))
        if sent:
            self._events.publish(WorkWaiting(WorkKind.SEND), LogGrew())
        return sent

    async def _resend(self, message_id: UUID, conversation_id: UUID, now: datetime | None) -> int:
        with database_errors():
            async with self._engine.begin() as connection:
                scope = {"id": message_id, "conversation_id": conversation_id}
                for lock in _LOCK:
                    await connection.execute(lock, scope)
                proven = await _absent(connection, [message_id], now)
                for row in proven:
                    await connection.execute(_LANE, scope)
                    await connection.execute(_RESEND, scope)
                    await audit.write(connection, [_written(row)])
                    await event_log.record(connection, [statuses.moved_on(row, State.QUEUED)])
        return len(proven)


async def _absent(connection: AsyncConnection, ids: Sequence[UUID], now: datetime | None) -> list[Row[Any]]:
    """Those of which the proof holds now."""
    rows = (await connection.execute(_EVIDENCE, {"ids": list(ids), "now": now})).all() if ids else []
    return [row for row in rows if is_absent(_evidence(row))]


def _evidence(row: Row[Any]) -> Evidence:
    return Evidence(
        silent_for=row.silent_for,
        canaries=row.canaries,
        backlog=row.backlog,
        strays=row.strays,
        is_over=row.is_over,
        is_first=row.is_first,
        is_free_form=row.is_free_form,
        is_timely=row.is_timely,
    )


def _written(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        action=Action.MESSAGE_RESENT,
        target=str(row.id),
        account_id=AccountId(row.account_id),
        details={"silent_seconds": int(row.silent_for.total_seconds()), "canaries": row.canaries},
    )
