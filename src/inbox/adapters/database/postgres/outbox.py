"""Messages on their way out: the fence before the wire, and what came of it.

Whether a step is allowed is asked of `domain.outbound.after`; the statements only carry its answers.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import event_log, statuses
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.lanes import NUDGE
from inbox.adapters.database.postgres.outbox_heads import Heads
from inbox.adapters.database.postgres.times import timed
from inbox.domain.events import Event, MessageSettled, Signal, WorkWaiting
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.messages import Status
from inbox.domain.outbound import FOLLOWER_WAITS, PUBLIC, REAP_AFTER, UNCONFIRMED_AFTER, State, Step, after
from inbox.domain.work import Lane, WorkKind
from inbox.kit.sealing import Sealer
from inbox.ports.events import Events
from inbox.ports.records import HeadTaken, Settlement

_log = structlog.stdlib.get_logger("inbox.outbox")

_OUTCOMES: Final = (
    Step.NOTHING_SENT,
    Step.TRY_LATER,
    Step.ACCOUNT_PROBLEM,
    Step.REFUSED,
    Step.ACCEPTED,
    Step.UNKNOWN,
    Step.CANCELLED,
)
_SOURCES: Final = {
    target: [state.value for state in State if any(after(state, step) is target for step in _OUTCOMES)]
    for target in State
}
"""From which states an outcome may lead where."""
_GIVEN_BACK: Final = [state.value for state in State if after(state, Step.NOTHING_SENT) is State.QUEUED]

# The last commit before the first byte. `for share` makes a message of the bot wait for a take-over in flight and see
# its epoch; the sub-select keeps messages of people from waiting for anybody. The clock is read after that wait.
_TO_WIRE: Final = text("""
with c as (
  select c.id, c.epoch from conversations c
  where c.id = (select o.conversation_id from outbox o where o.id = :id and o.token = :token and o.epoch is not null)
  for share
)
update outbox o
set state = 'wire', attempt = o.attempt + 1, wire_at = clock_timestamp(), updated_at = clock_timestamp()
where o.id = :id and o.token = :token and o.state = 'claimed'
  and (o.epoch is null or o.epoch = (select c.epoch from c)) and o.lease_until > clock_timestamp()
returning o.attempt
""")

_LOCK: Final = text("""
with m as materialized (
  select id, conversation_id from messages where id = :id and account_id = :account_id for update
), l as materialized (
  select key from lanes
  where kind = 'send' and key = :key and fence = :fence and attempts > 0 and exists (select from m) for update
)
select m.conversation_id, exists (select from l) as is_lane_ours from m
""")

_SETTLE: Final = text("""
with own as (
  select id, conversation_id, state from outbox where id = :id
), moved as (
  update outbox o
  set state = :state, wamid = coalesce(o.wamid, :wamid), reason = :reason, updated_at = now(), lease_until = null,
      token = case when :state = 'queued' then null else o.token end,
      not_before = case when :state = 'queued' then now() + cast(:wait as interval) end,
      unknown_until = case when :state = 'unknown' then now() + cast(:unknown_for as interval) end
  where o.id = :id and o.account_id = :account_id and o.token = :token and o.state = any(cast(:sources as text[]))
  returning o.id
), lane as (
  update lanes l
  set attempts = 0, retries = case when :state = 'queued' then l.retries + 1 else 0 end,
      due = now() + case when rest.is_open then cast(:due_in as interval) else interval '0' end,
      done = case when rest.is_open then l.done else greatest(l.done, :ver) end
  from (
    select exists (select from outbox o
                   where o.conversation_id = own.conversation_id and o.id <> own.id
                     and o.state in ('queued', 'claimed'))
           or case when exists (select from moved) then :state = 'queued' else own.state in ('queued', 'claimed') end
           as is_open
    from own
  ) rest
  where l.kind = 'send' and l.key = :key and l.fence = :fence and l.attempts > 0
  returning rest.is_open
)
update messages m
set status = :status, error_code = :error_code, error_message = :error_message,
    wa_message_id = case when exists (select from messages other where other.wa_message_id = :wamid)
                    then m.wa_message_id else coalesce(m.wa_message_id, :wamid) end,
    failed_at = case when :status = 'failed' then now() else m.failed_at end
from moved where m.id = moved.id
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, m.error_message,
          (select is_open from lane) as is_open,
          exists (select from whatsapp_accounts a where a.id = m.account_id and a.paused_at is not null) as is_paused
""")

# The answer of WhatsApp came after its echo: nothing moves any more, but the wamid may be news.
_LEARN: Final = text("""
with learned as (
  update outbox set wamid = :wamid where id = :id and token = :token and wamid is null returning id
)
update messages m set wa_message_id = :wamid from learned
where m.id = learned.id and m.wa_message_id is null
  and not exists (select from messages other where other.wa_message_id = :wamid)
""")

# A pause ends by itself: after some minutes messages are tried again, and a success lifts it. `no key`: rows that name
# the account may be inserted meanwhile, so that two transactions cannot wait for each other.
_PAUSE: Final = text("""
with before as (select id, paused_at from whatsapp_accounts where id = :id for no key update)
update whatsapp_accounts a set paused_at = now(), paused_reason = :reason
from before where a.id = before.id
returning before.paused_at is null as is_news
""")

_RESUME: Final = text("""
update whatsapp_accounts set paused_at = null, paused_reason = null where id = :id and paused_at is not null
returning id
""")

_RELEASE: Final = text("""
with lane as (
  update lanes set due = now() + :wait, attempts = 0, retries = retries + 1
  where kind = 'send' and key = :key and fence = :fence and attempts > 0 returning key
)
update outbox
set state = 'queued', token = null, lease_until = null, updated_at = now(),
    attempt = attempt - case when state = 'wire' then 1 else 0 end
where id = :id and token = :token and state = any(cast(:given_back as text[])) and (select count(*) from lane) >= 0
""").bindparams(given_back=_GIVEN_BACK)

_REAP: Final = timed("""
with wire as (
  select id from outbox where state = 'wire' and wire_at <= :time - :reap_after
  limit :most for update skip locked
), unknown as (
  select id from outbox where state = 'unknown' and unknown_until <= :time
  limit :most for update skip locked
), claimed as (
  select id from outbox where state = 'claimed' and lease_until <= :time
  limit :most for update skip locked
), late as (
  select id, 'unknown' as state from wire union all select id, 'unconfirmed' from unknown
  union all select id, 'queued' from claimed
)
update outbox o
set state = late.state, updated_at = now(), lease_until = null,
    unknown_until = case when late.state = 'unknown' then :time + :unconfirmed_after end,
    token = case when late.state = 'queued' then null else o.token end
from late where o.id = late.id
returning o.id, o.account_id, o.conversation_id, o.state
""").bindparams(reap_after=REAP_AFTER, unconfirmed_after=UNCONFIRMED_AFTER, most=500)

# A status can be parked by one transaction while another teaches its wamid: neither sees the other. This net does.
_ORPHANS: Final = text("""
select m.id from message_statuses s
join messages m on m.wa_message_id = s.wamid join whatsapp_accounts a on a.id = m.account_id
where s.message_id is null and s.phone_number_id = a.phone_number_id and s.received_at > now() - interval '10 minutes'
order by m.id limit 100 for update of m
""")

_BOT_ON_WIRE: Final = text("""
select exists (
  select from outbox
  where account_id = :account_id and conversation_id = :id and state = 'wire' and epoch is not null
    and wire_at > now() - cast(:within as interval))
""")


class PostgresOutbox:
    def __init__(self, engine: AsyncEngine, sealer: Sealer, events: Events) -> None:
        self._engine = engine
        self._autocommit = autocommit(engine)
        self._events = events
        self._heads = Heads(engine, sealer, events)

    async def take_heads(self, lanes: Sequence[Lane], now: datetime | None = None) -> list[HeadTaken]:
        return await self._heads.take(lanes, now)

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        """Raises `CommitUnknown` if nobody knows whether the row is on the wire: then nothing may be sent either."""
        with database_errors():
            async with self._autocommit.connect() as connection:
                with database_errors(committing=True):
                    values = {"id": message_id, "token": token}
                    attempt: int | None = (await connection.execute(_TO_WIRE, values)).scalar_one_or_none()
                    return attempt

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        signals = await repeated(lambda: self._settle(settlement, lane))
        self._events.publish(*signals)

    async def release(self, message_id: MessageId, token: UUID, lane: Lane, wait: timedelta) -> None:
        values = {"id": message_id, "token": token, "key": lane.key, "fence": lane.fence, "wait": wait}

        async def once() -> None:
            with database_errors():
                async with self._autocommit.connect() as connection:
                    await connection.execute(_RELEASE, values)

        await repeated(once)

    async def reap(self, now: datetime | None = None) -> int:
        """Also finds statuses that were parked in the moment in which their wamid became known."""
        with database_errors():
            async with self._engine.begin() as connection:
                moved = (await connection.execute(_REAP, {"now": now})).all()
                await event_log.record(connection, [_stands(row) for row in moved])
        await repeated(self._adopt_orphans)
        return len(moved)

    async def is_bot_on_wire(self, account_id: AccountId, conversation_id: ConversationId, within: timedelta) -> bool:
        with database_errors():
            async with self._autocommit.connect() as connection:
                values = {"account_id": account_id, "id": conversation_id, "within": within}
                return bool((await connection.execute(_BOT_ON_WIRE, values)).scalar_one())

    async def _settle(self, settlement: Settlement, lane: Lane) -> list[Signal]:
        with database_errors():
            async with self._engine.begin() as connection:
                locked = (await connection.execute(_LOCK, _lock_values(settlement, lane))).one_or_none()
                if locked is None:
                    return []
                row = (await connection.execute(_SETTLE, _values(settlement, lane))).one_or_none()
                events, signals = await _consequences(connection, settlement, row)
                if not locked.is_lane_ours:
                    await connection.execute(
                        NUDGE, {"kind": WorkKind.SEND.value, "keys": [str(locked.conversation_id)]}
                    )
                await event_log.record(connection, events)
                return [*signals, MessageSettled(settlement.message_id), WorkWaiting(WorkKind.SEND)]

    async def _adopt_orphans(self) -> None:
        with database_errors():
            async with self._engine.begin() as connection:
                ids = set((await connection.execute(_ORPHANS)).scalars())
                if ids:
                    events, _ = await statuses.show(connection, await statuses.adopt(connection, ids))
                    await event_log.record(connection, events)


async def _consequences(
    connection: AsyncConnection, settlement: Settlement, row: Row[Any] | None
) -> tuple[list[Event], list[Signal]]:
    """What follows from an outcome that was written, or that came too late to be written (`row` is None)."""
    if row is None:
        if settlement.state is State.ACCEPTED and settlement.wamid is not None:
            values = {"id": settlement.message_id, "token": settlement.token, "wamid": settlement.wamid}
            await connection.execute(_LEARN, values)
        return [], []
    events = [] if settlement.state is State.QUEUED else [statuses.changed(row, settlement.state)]
    signals: list[Signal] = []
    events += await _account(connection, settlement, is_paused=row.is_paused)
    if row.wa_message_id is not None:
        adopted = await statuses.adopt(connection, [row.id])
        more, signals = await statuses.show(connection, adopted)
        events += more
    return events, signals


async def _account(connection: AsyncConnection, settlement: Settlement, *, is_paused: bool) -> list[Event]:
    """What the outcome says about the account; told once, when it changes."""
    values = {"id": settlement.account_id}
    if settlement.pause is not None:
        paused = (await connection.execute(_PAUSE, values | {"reason": settlement.pause})).one_or_none()
        kind = "account.paused" if paused is not None and paused.is_news else None
    elif settlement.state is State.ACCEPTED and is_paused and (await connection.execute(_RESUME, values)).rowcount:
        kind = "account.resumed"
    else:
        kind = None
    if kind is None:
        return []
    _log.error(kind.replace(".", "_"), account_id=str(settlement.account_id))
    return [Event(account_id=settlement.account_id, conversation_id=None, kind=kind, body={"reason": settlement.pause})]


def _lock_values(settlement: Settlement, lane: Lane) -> dict[str, Any]:
    return {
        "id": settlement.message_id,
        "account_id": settlement.account_id,
        "key": lane.key,
        "fence": lane.fence,
    }


def _values(settlement: Settlement, lane: Lane) -> dict[str, Any]:
    state, status = settlement.state, PUBLIC[settlement.state]
    has_failed = status is Status.FAILED
    pause = {State.QUEUED: settlement.wait, State.UNKNOWN: FOLLOWER_WAITS}
    return {
        **_lock_values(settlement, lane),
        "token": settlement.token,
        "ver": lane.ver,
        "state": state.value,
        "status": status.value,
        "sources": _SOURCES[state],
        "wamid": settlement.wamid,
        "reason": settlement.reason,
        "wait": settlement.wait,
        "due_in": pause.get(state) or timedelta(),
        "unknown_for": settlement.unknown_for or UNCONFIRMED_AFTER,
        "error_code": settlement.error_code if has_failed else None,
        "error_message": settlement.error_message if has_failed else None,
    }


def _stands(row: Row[Any]) -> Event:
    """Only the inner state moved: front ends see the message as pending, before and after."""
    return Event(
        account_id=AccountId(row.account_id),
        conversation_id=ConversationId(row.conversation_id),
        kind="message.status",
        body={"id": str(row.id), "status": PUBLIC[State(row.state)].value, "delivery_state": row.state},
    )
