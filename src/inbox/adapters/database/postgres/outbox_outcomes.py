"""What came of sends: the outcomes of one moment are written together, and each caller waits for that commit.

Whether a step is allowed is asked of `domain.outbound.after`; the statements only carry its answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import event_log, paces, reactions, statuses, undelivered, windows
from inbox.adapters.database.postgres.engine import database_errors, repeated
from inbox.adapters.database.postgres.lanes import NUDGE
from inbox.adapters.database.postgres.outbox_accepted import Acceptances, Item
from inbox.domain.errors import CommitUnknown, Unstorable
from inbox.domain.events import AccountPaused, AccountResumed, Event
from inbox.domain.failure_texts import logged
from inbox.domain.messages import Status
from inbox.domain.outbound import FOLLOWER_WAITS, PUBLIC, UNCONFIRMED_AFTER, State, Step, after
from inbox.domain.pacing import PairLimit
from inbox.domain.signals import MessageSettled, Signal, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.kit.coalescing import Batching, Coalescer
from inbox.ports.events import Events
from inbox.ports.records import Settlement

_log = structlog.stdlib.get_logger("inbox.outbox")

_PAIR: Final = PairLimit()
_BATCHING: Final = Batching(items=200, waiting=2_000, deadline=10.0, every=0.01)
"""A lone outcome is written at once. Where many come, most of what a flush costs is the same for one and for twenty."""

_OUTCOMES: Final = (
    Step.NOTHING_SENT,
    Step.TRY_LATER,
    Step.ACCOUNT_PROBLEM,
    Step.REFUSED,
    Step.ACCEPTED,
    Step.UNKNOWN,
    Step.CANCELLED,
)
_MOVES: Final = [
    (source.value, target.value)
    for target in State
    for source in State
    if any(after(source, step) is target for step in _OUTCOMES)
]
"""From which states an outcome may lead where."""

# The count makes sure that all messages are locked before the first lane. Here and below the planner must not see how
# many outcomes there are: for a few it would make a plan of their own each time, which takes longer than to write them.
_LOCK: Final = text("""
with m as materialized (
  select m.id, m.conversation_id
  from unnest((select cast(:ids as uuid[])), cast(:account_ids as uuid[])) s(id, account_id)
  join messages m on m.id = s.id and m.account_id = s.account_id
  order by m.id for update of m
), l as materialized (
  select l.key
  from unnest((select cast(:keys as text[])), cast(:fences as bigint[])) s(key, fence)
  join lanes l on l.kind = 'send' and l.key = s.key and l.fence = s.fence and l.attempts > 0
  where (select count(*) from m) > 0
  order by l.key for update of l
)
select id, conversation_id, null as key from m union all select null, null, key from l
""")

# A lane is done if nothing of its conversation is open. Whatever may have reached the customer counts for the limit of
# the pair; what was throttled waits for its time, whoever nudges the lane meanwhile.
_SETTLE: Final = text("""
with own as materialized (
  select s.*, o.conversation_id, o.state as was,
         o.account_id = s.account_id and o.token = s.token and (o.state, s.state) in (
           select * from unnest(cast(:move_sources as text[]), cast(:move_targets as text[])) v(source, target)
         ) as fits
  from unnest(
    (select cast(:ids as uuid[])), cast(:account_ids as uuid[]), cast(:tokens as uuid[]), cast(:keys as text[]),
    cast(:fences as bigint[]), cast(:vers as bigint[]), cast(:states as text[]), cast(:statuses as text[]),
    cast(:wamids as text[]), cast(:reasons as text[]), cast(:waits as interval[]), cast(:due_ins as interval[]),
    cast(:unknown_fors as interval[]), cast(:codes as int[]), cast(:messages as text[]), cast(:is_pairs as boolean[])
  ) s(id, account_id, token, key, fence, ver, state, status, wamid, reason, wait, due_in, unknown_for, code, message,
      is_pair)
  join outbox o on o.id = s.id
  order by o.id for update of o
), moved as (
  update outbox o
  set state = own.state, wamid = coalesce(o.wamid, own.wamid), reason = own.reason, updated_at = now(),
      lease_until = null, token = case when own.state = 'queued' then null else o.token end,
      not_before = case when own.state = 'queued' then now() + own.wait end,
      unknown_until = case when own.state = 'unknown' then now() + own.unknown_for end
  from own where o.id = own.id and own.fits
), lane as (
  update lanes l
  set attempts = 0, retries = case when rest.state = 'queued' then l.retries + 1 else 0 end,
      pair_refusals = case when rest.is_pair then l.pair_refusals + 1 when rest.state = 'accepted' then 0
                      else l.pair_refusals end,
      pair_at = rest.pair_at,
      due = case when rest.is_open then greatest(now() + rest.due_in, rest.pair_at) else now() end,
      done = case when rest.is_open then l.done else greatest(l.done, rest.ver) end
  from (
    select own.key, own.fence, own.ver, own.state, own.is_pair, own.due_in,
           exists (select from outbox o
                   where o.conversation_id = own.conversation_id and o.id <> own.id
                     and o.state in ('queued', 'claimed'))
           or case when own.fits then own.state else own.was end in ('queued', 'claimed') as is_open,
           case when own.is_pair then greatest(k.pair_at, now() + own.wait)
                when own.state = 'queued' then k.pair_at
                else greatest(k.pair_at, now() - pair.every * (pair.burst - 1)) + pair.every end as pair_at
    from own
    join lanes k on k.kind = 'send' and k.key = own.key
    left join number_paces p on p.account_id = own.account_id
    cross join lateral (select coalesce(p.pair_every, cast(:every as interval)) as every,
                               coalesce(p.pair_burst, cast(:burst as int)) as burst) pair
  ) rest
  where l.kind = 'send' and l.key = rest.key and l.fence = rest.fence and l.attempts > 0
  returning rest.is_open and l.due <= now() as is_due
)
update messages m
set status = own.status, error_code = own.code, error_message = own.message,
    wa_message_id = case when exists (select from messages other
                                      where other.wa_message_id = own.wamid and other.account_id = m.account_id)
                    then m.wa_message_id else coalesce(m.wa_message_id, own.wamid) end,
    failed_at = case when own.status = 'failed' then now() else m.failed_at end
from own
where m.id = own.id and own.fits
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, m.message_type,
          exists (select from whatsapp_accounts a where a.id = m.account_id and a.paused_at is not null) as is_paused,
          (select bool_or(is_due) from lane) as is_lane_due,
          exists (select from message_statuses s where s.wamid = m.wa_message_id and s.message_id is null) as has_news
""").bindparams(
    move_sources=[source for source, _ in _MOVES],
    move_targets=[target for _, target in _MOVES],
    every=_PAIR.every,
    burst=_PAIR.burst,
)

# The answer of WhatsApp came after its echo: nothing moves any more, but the wamid may be news.
_LEARN: Final = text("""
with learned as (
  update outbox set wamid = :wamid where id = :id and token = :token and wamid is null returning id
)
update messages m set wa_message_id = :wamid from learned
where m.id = learned.id and (m.wa_message_id is null) is true
  and not exists (select from messages other
                  where other.wa_message_id = :wamid and other.account_id = m.account_id)
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code
""")

# A pause ends by itself: after some minutes messages are tried again, and a success lifts it. `no key`: rows that name
# the account may be inserted meanwhile, so that two transactions cannot wait for each other.
_PAUSE: Final = text("""
with before as (select id, paused_at from whatsapp_accounts where id = :id for no key update)
update whatsapp_accounts a set paused_at = now(), paused_reason = :reason
from before where a.id = before.id
returning before.paused_at is null as is_news
""")

# What was under way when the pause began says nothing about it.
_RESUME: Final = text("""
update whatsapp_accounts set paused_at = null, paused_reason = null
where id = :id and paused_at <= (select wire_at from outbox where id = :message_id and account_id = :id)
returning id
""")


class Outcomes:
    """Writes outcomes."""

    def __init__(self, engine: AsyncEngine, events: Events) -> None:
        self._engine = engine
        self._events = events
        self._acceptances = Acceptances(engine, events)
        self._coalescer: Coalescer[Item, None] = Coalescer(
            self._flush,
            on_timeout=CommitUnknown,
            batching=_BATCHING,
            is_of_a_row=lambda error: isinstance(error, Unstorable),
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Outcomes can be written inside; at the end those that wait are written."""
        return self._coalescer.running()

    async def write(self, settlement: Settlement, lane: Lane) -> None:
        """Returning means that it is committed, or that the token is stale."""
        await self._coalescer.add((settlement, lane))

    async def _flush(self, items: Sequence[Item]) -> list[None]:
        for some in _apart(items):
            if left := await self._acceptances.write(some):
                self._events.publish(*dict.fromkeys(await repeated(partial(self._settle, left))))
        return [None] * len(items)

    async def _settle(self, items: Sequence[Item]) -> list[Signal]:
        with database_errors():
            async with self._engine.begin() as connection:
                values = _values(items)
                concerned = await windows.lock_refused(connection, [settlement for settlement, _ in items])
                locked = (await connection.execute(_LOCK, values)).all()
                found = {row.id: row.conversation_id for row in locked if row.id}
                ours = {row.key for row in locked}
                known = [item for item in items if item[0].message_id in found]
                if not known:
                    return []
                rows = (await connection.execute(_SETTLE, _values(known))).all()
                events, signals = await _consequences(connection, known, {row.id: row for row in rows})
                others = {str(found[settlement.message_id]) for settlement, lane in known if lane.key not in ours}
                if others:
                    await connection.execute(NUDGE, {"kind": WorkKind.SEND.value, "keys": sorted(others)})
                await _pace(connection, [settlement for settlement, _ in known])
                events += await windows.close(connection, concerned)
                signals += await undelivered.enqueue(connection, events)
                done: list[Signal] = [*await event_log.record(connection, events)]
                done += [MessageSettled(settlement.message_id) for settlement, _ in known]
                is_more = others or len(rows) < len(known) or rows[0].is_lane_due
            done += await windows.close_apart(self._engine, events, done=concerned)
            return [*signals, *done, *([WorkWaiting(WorkKind.SEND)] if is_more else [])]


def _apart(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Parts in which no message and no lane comes twice, in order: one statement may change a row once."""
    part: list[Item] = []
    seen: set[object] = set()
    for item in items:
        names = {item[0].message_id, item[1].key}
        if names & seen:
            yield part
            part, seen = [], set()
        part.append(item)
        seen |= names
    yield part


async def _consequences(
    connection: AsyncConnection, items: Iterable[Item], rows: dict[Any, Row[Any]]
) -> tuple[list[Event], list[Signal]]:
    """What follows from outcomes that were written, and from those that came too late to be written."""
    events: list[Event] = []
    for settlement, _ in items:
        row = rows.get(settlement.message_id)
        if row is not None:
            reason = settlement.reason if _has_failed(settlement) else None
            events.append(statuses.changed(row, settlement.state, reason=reason))
            _log_refusal(settlement)
            events += await _account(connection, settlement, is_paused=row.is_paused)
        elif settlement.state is State.ACCEPTED and settlement.wamid is not None:
            values = {"id": settlement.message_id, "token": settlement.token, "wamid": settlement.wamid}
            learned = (await connection.execute(_LEARN, values)).all()
            events += [statuses.changed(known, None) for known in learned]
    accepted = {settlement.message_id for settlement, _ in items if settlement.state is State.ACCEPTED}
    ours = [row.id for row in rows.values() if row.message_type == "reaction" and row.id in accepted]
    events += await reactions.taken(connection, ours)
    early = [row.id for row in rows.values() if row.has_news]
    if not early:
        return events, []
    more, signals = await statuses.show(connection, await statuses.adopt(connection, early))
    return events + more, signals


async def _pace(connection: AsyncConnection, settlements: Iterable[Settlement]) -> None:
    await paces.slow(connection, {one.account_id for one in settlements if one.throttled == "number"})
    rests: dict[UUID, timedelta] = {}
    for one in settlements:
        if one.rests is not None:
            rests[one.account_id] = max(one.rests, rests.get(one.account_id, one.rests))
    await paces.rest(connection, rests)
    for account_id, rest in rests.items():
        _log.warning("number_rests", account_id=str(account_id), seconds=rest.total_seconds())


async def _account(connection: AsyncConnection, settlement: Settlement, *, is_paused: bool) -> list[Event]:
    """What the outcome says about the account; told once, when it changes."""
    values = {"id": settlement.account_id, "message_id": settlement.message_id}
    if settlement.pause is not None:
        paused = (await connection.execute(_PAUSE, values | {"reason": settlement.pause})).one_or_none()
        if paused is None or not paused.is_news:
            return []
        code = settlement.error_code
        _log.error(
            "account_paused", account_id=str(settlement.account_id), graph_code=code, said=logged("paused", code)
        )
        return [AccountPaused(account_id=settlement.account_id, reason=settlement.pause)]
    if settlement.state is State.ACCEPTED and is_paused and (await connection.execute(_RESUME, values)).rowcount:
        _log.info("account_resumed", account_id=str(settlement.account_id))
        return [AccountResumed(account_id=settlement.account_id)]
    return []


def _log_refusal(settlement: Settlement) -> None:
    if settlement.state is State.FAILED:
        code = settlement.error_code
        said = logged(settlement.reason or "", code)
        _log.warning("send_refused", message_id=str(settlement.message_id), graph_code=code, said=said)


def _values(items: Sequence[Item]) -> dict[str, list[Any]]:
    settlements = [settlement for settlement, _ in items]
    lanes = [lane for _, lane in items]
    return {
        "ids": [one.message_id for one in settlements],
        "account_ids": [one.account_id for one in settlements],
        "tokens": [one.token for one in settlements],
        "keys": [lane.key for lane in lanes],
        "fences": [lane.fence for lane in lanes],
        "vers": [lane.ver for lane in lanes],
        "states": [one.state.value for one in settlements],
        "statuses": [PUBLIC[one.state].value for one in settlements],
        "wamids": [one.wamid for one in settlements],
        "reasons": [one.reason for one in settlements],
        "waits": [one.wait for one in settlements],
        "due_ins": [_due_in(one) for one in settlements],
        "unknown_fors": [one.unknown_for or UNCONFIRMED_AFTER for one in settlements],
        "codes": [one.error_code if _has_failed(one) else None for one in settlements],
        "messages": [one.error_message if _has_failed(one) else None for one in settlements],
        "is_pairs": [one.throttled == "pair" for one in settlements],
    }


def _has_failed(settlement: Settlement) -> bool:
    return PUBLIC[settlement.state] is Status.FAILED


def _due_in(settlement: Settlement) -> timedelta:
    waits = {State.QUEUED: settlement.wait, State.UNKNOWN: FOLLOWER_WAITS}
    return waits.get(settlement.state) or timedelta()
