"""Messages for later: those whose time has come join the queue of their conversation, in small batches.

While they wait they are in no lane and no queue: one probe of an index finds what is due, however many wait. Then they
are what they would be if somebody wrote them at that moment, behind whatever is queued already.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import event_log, statuses, windows
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.times import shown, timed
from inbox.domain.errors import WindowClosed
from inbox.domain.events import Cause, Event
from inbox.domain.ids import MessageId
from inbox.domain.messages import FAILURES
from inbox.domain.outbound import NOT_SENT, State, Step, after
from inbox.domain.pacing import Priority
from inbox.domain.scheduling import when_due
from inbox.domain.signals import MessageSettled, Signal, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.events import Events

_BATCH: Final = 100
_ROUNDS: Final = 50
"""Batches of one look; what is left comes with the next one."""

_CLOSED: Final = WindowClosed.graph_code
_WHY: Final = {
    Step.WINDOW_CLOSED: (WindowClosed.code, _CLOSED, FAILURES[_CLOSED]),
    Step.EXPIRED: (State.EXPIRED.value, None, NOT_SENT[State.EXPIRED]),
}
"""Reason, code and sentence of those that are not sent."""

# Many for one conversation at one time leave room for the others.
_DUE: Final = timed("""
select conversation_id from (
  select conversation_id, send_at from outbox where state = 'scheduled' and send_at <= :time
  order by send_at limit :look
) o
group by conversation_id order by min(send_at) limit :most
""").bindparams(most=_BATCH, look=_BATCH * _ROUNDS)

# A conversation that somebody else holds comes next time.
_LOCK: Final = text("""
select id from conversations where id = any(cast(:conversations as uuid[])) order by id for update skip locked
""")

# One of each conversation at a time, so that several that are due at once keep their order.
_HEADS: Final = timed("""
select m.id, o.expires_at, c.window_expires_at, m.content->>'type' = 'template' as is_free, :time as clock
from unnest(cast(:conversations as uuid[])) w(id) join conversations c on c.id = w.id
cross join lateral (
  select id, expires_at from outbox
  where conversation_id = w.id and state = 'scheduled' and send_at <= :time
  order by send_at, serial limit 1
) o
join messages m on m.id = o.id
order by m.id for update of m
""")

# Conversation and message are locked. The serial is drawn anew under the lane's lock, as for every message that is
# queued. What a person scheduled counts as a message of a person now, the bot steps back; what a program did not.
_QUEUE: Final = timed(f"""
with due as materialized (
  select o.id, o.account_id, o.conversation_id, o.priority, u.expires_at
  from unnest(cast(:ids as uuid[]), cast(:expiries as timestamptz[])) u(id, expires_at)
  join outbox o on o.id = u.id and o.state = 'scheduled'
), line as (
  update conversations c set updated_at = greatest(c.updated_at, :time),
    epoch = c.epoch + cast(due.priority is distinct from cast(:bulk as smallint) as int)
  from due where c.id = due.conversation_id
), bubble as (
  update messages m set "timestamp" = :time, created_at = statement_timestamp() from due where m.id = due.id
), lane as (
  insert into lanes (kind, key, account_id, priority)
  select 'send', conversation_id::text, account_id, priority from due order by conversation_id
  on conflict (kind, key) do update
  set ver = lanes.ver + 1,
      due = case when lanes.ver = lanes.done then greatest(excluded.due, lanes.pair_at) else lanes.due end,
      priority = case when lanes.ver = lanes.done then excluded.priority
                 else least(lanes.priority, excluded.priority) end
  returning key
)
update outbox o
set state = 'queued', serial = default, expires_at = due.expires_at, updated_at = now()
from due join lane on lane.key = due.conversation_id::text
where o.id = due.id
returning o.id, o.account_id, o.conversation_id, {shown(":time")} as at
""").bindparams(bulk=Priority.BULK.value)  # noqa: S608 - of ours

_END: Final = timed("""
with ended as (
  update outbox o set state = u.state, reason = u.reason, updated_at = now()
  from unnest(cast(:ids as uuid[]), cast(:states as text[]), cast(:reasons as text[]), cast(:codes as int[]),
              cast(:sentences as text[])) u(id, state, reason, code, sentence)
  where o.id = u.id and o.state = 'scheduled'
  returning o.id, o.state, o.reason, u.code, u.sentence
)
update messages m set status = 'failed', failed_at = :time, error_code = ended.code, error_message = ended.sentence
from ended where m.id = ended.id
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, ended.state, ended.reason
""")


class Scheduled:
    """Queues what is due."""

    def __init__(self, engine: AsyncEngine, events: Events) -> None:
        self._engine = engine
        self._autocommit = autocommit(engine)
        self._events = events

    async def queue_due(self, now: datetime | None) -> int:
        """How many messages left their waiting: most are queued, those that cannot be sent any more have failed."""
        moved = 0
        for _ in range(_ROUNDS):
            due = await self._due(now)
            batch = await repeated(partial(self._move, due, now)) if due else 0
            moved += batch
            if not batch:
                break
        return moved

    async def _due(self, now: datetime | None) -> list[UUID]:
        with database_errors():
            async with self._autocommit.connect() as connection:
                return list((await connection.execute(_DUE, {"now": now})).scalars())

    async def _move(self, conversations: Sequence[UUID], now: datetime | None) -> int:
        with database_errors():
            async with self._engine.begin() as connection:
                held = list((await connection.execute(_LOCK, {"conversations": conversations})).scalars())
                heads = (await connection.execute(_HEADS, {"conversations": held, "now": now})).all()
                fates = {row.id: _fate(row) for row in heads}
                queued = {key: until for key, (step, until) in fates.items() if step is Step.DUE}
                ended = {key: step for key, (step, _) in fates.items() if step is not Step.DUE}
                signals, told = await _queue(connection, queued, now)
                woken, failed = await _end(connection, ended, now)
                signals += [*woken, *await event_log.record(connection, told + failed)]
        self._events.publish(*signals)
        return len(heads)


def _fate(row: Row[Any]) -> tuple[Step, datetime]:
    return when_due(
        row.clock, expires_at=row.expires_at, window_expires_at=row.window_expires_at, is_free=bool(row.is_free)
    )


async def _queue(
    connection: AsyncConnection, due: Mapping[UUID, datetime], now: datetime | None
) -> tuple[list[Signal], list[Event]]:
    """The message has another place in its conversation now, and the conversation another one in the list."""
    if not due:
        return [], []
    values = {"ids": list(due), "expiries": list(due.values()), "now": now}
    rows = (await connection.execute(_QUEUE, values)).all()
    told: list[Event] = []
    for row in rows:
        told.append(statuses.moved_on(row, State.QUEUED, timestamp=row.at))
        told.append(windows.updated(row.account_id, row.conversation_id, Cause.MESSAGE))
    return [WorkWaiting(WorkKind.SEND)], told


async def _end(
    connection: AsyncConnection, over: Mapping[UUID, Step], now: datetime | None
) -> tuple[list[Signal], list[Event]]:
    if not over:
        return [], []
    why = [_WHY[step] for step in over.values()]
    values = {
        "ids": list(over),
        "states": [after(State.SCHEDULED, step) for step in over.values()],
        "reasons": [reason for reason, _, _ in why],
        "codes": [code for _, code, _ in why],
        "sentences": [sentence for _, _, sentence in why],
        "now": now,
    }
    rows = (await connection.execute(_END, values)).all()
    told = [statuses.changed(row, row.state, reason=row.reason) for row in rows]
    return [MessageSettled(MessageId(row.id)) for row in rows], [*told]
