"""The usual outcome of sends, in one statement: WhatsApp took the message, and nothing else follows from that.

Most of what a lone send costs us are round trips. Whatever is not usual goes the long way of `outbox_outcomes.py`.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres import event_log
from inbox.adapters.database.postgres.direct import Direct, Record
from inbox.adapters.database.postgres.engine import repeated
from inbox.domain.events import StatusChanged, kind_of
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.outbound import PUBLIC, State, Step, after
from inbox.domain.pacing import PairLimit
from inbox.domain.signals import LogGrew, MessageSettled, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.ports.events import Events
from inbox.ports.records import Settlement

Item = tuple[Settlement, Lane]

_PAIR: Final = PairLimit()

# Left out is what has lost its lane or its token, a reaction, a number that is paused, a wamid that is known already or
# of which a status is parked; and what somebody else holds, because a statement that tells waits for nothing
# (`event_log.py`). The locks are those of the long way, in its order, and each row is looked at once more behind its
# lock. Only a message that was queued meanwhile is not seen: then `ver` has moved, and the lane stays open. `is true`
# keeps the planner from the index of wamids: for all it knows hardly a message is without one, and a backlog has none.
_ACCEPT: Final = text("""
with item as materialized (
  select * from unnest(
    (select cast(:ids as uuid[])), cast(:account_ids as uuid[]), cast(:tokens as uuid[]), cast(:keys as text[]),
    cast(:fences as bigint[]), cast(:vers as bigint[]), cast(:wamids as text[]), cast(:bodies as text[])
  ) i(id, account_id, token, key, fence, ver, wamid, body)
), m as materialized (
  select m.id, m.conversation_id
  from item i join messages m on m.id = i.id and m.account_id = i.account_id
  where (m.wa_message_id is null) is true and m.message_type is distinct from 'reaction'
  order by m.id for update of m skip locked
), l as materialized (
  select l.key, l.pair_at
  from item i join lanes l on l.kind = 'send' and l.key = i.key and l.fence = i.fence and l.attempts > 0
  where (select count(*) from m) > 0
  order by l.key for update of l skip locked
), own as materialized (
  select i.*, m.conversation_id, l.pair_at
  from item i join m on m.id = i.id join l on l.key = i.key
  join outbox o on o.id = i.id and o.account_id = i.account_id and o.token = i.token and o.state = any(:sources)
  where not exists (select from whatsapp_accounts a where a.id = i.account_id and a.paused_at is not null)
    and not exists (select from messages other where other.wa_message_id = i.wamid and other.account_id = i.account_id)
    and not exists (select from message_statuses s where s.wamid = i.wamid and s.message_id is null)
  order by o.id for update of o skip locked
), moved as (
  update outbox o
  set state = 'accepted', wamid = coalesce(o.wamid, own.wamid), reason = null, updated_at = now(), lease_until = null,
      not_before = null, unknown_until = null
  from own where o.id = own.id
), lane as (
  update lanes l
  set attempts = 0, retries = 0, pair_refusals = 0, pair_at = rest.pair_at,
      due = case when rest.is_open or l.ver > rest.ver then greatest(now(), rest.pair_at) else now() end,
      done = case when rest.is_open then l.done else greatest(l.done, rest.ver) end
  from (
    select own.key, own.ver,
           exists (select from outbox o where o.conversation_id = own.conversation_id and o.id <> own.id
                     and o.state in ('queued', 'claimed')) as is_open,
           greatest(own.pair_at, now() - pair.every * (pair.burst - 1)) + pair.every as pair_at
    from own left join number_paces p on p.account_id = own.account_id
    cross join lateral (select coalesce(p.pair_every, cast(:every as interval)) as every,
                               coalesce(p.pair_burst, cast(:burst as int)) as burst) pair
  ) rest
  where l.kind = 'send' and l.key = rest.key
  returning l.ver > l.done and l.due <= now() as is_due
), shown as (
  update messages m
  set status = :status, wa_message_id = own.wamid, error_code = null, error_message = null
  from own where m.id = own.id
  returning m.id, m.account_id, m.conversation_id, own.wamid, own.body
), told as (
  insert into event_log (account_id, conversation_id, kind, body)
  select account_id, conversation_id, :kind, cast(body as jsonb) from shown order by id
)
select id, wamid, (select bool_or(is_due) from lane) as is_lane_due from shown
""").bindparams(
    sources=[source.value for source in State if after(source, Step.ACCEPTED) is State.ACCEPTED],
    status=PUBLIC[State.ACCEPTED].value,
    every=_PAIR.every,
    burst=_PAIR.burst,
)


class Acceptances:
    """Writes what is usual."""

    def __init__(self, engine: AsyncEngine, events: Events) -> None:
        self._direct = Direct(engine)
        self._events = events

    async def write(self, items: Sequence[Item]) -> list[Item]:
        """Returns what is left for the long way; the rest is committed. No message and no lane comes twice."""
        usual = [item for item in items if item[0].state is State.ACCEPTED and item[0].wamid is not None]
        rows: Sequence[Record] = await repeated(partial(self._direct.rows, _ACCEPT, _values(usual))) if usual else ()
        if rows:
            settled = [MessageSettled(MessageId(row.id), row.wamid) for row in rows]
            more = [WorkWaiting(WorkKind.SEND)] if rows[0].is_lane_due else []
            self._events.publish(*settled, *more, LogGrew())
        written = {row.id for row in rows}
        return [item for item in items if item[0].message_id not in written]


def _values(items: Iterable[Item]) -> dict[str, Any]:
    told = [_told(*item) for item in items]
    return {
        "ids": [one.message_id for one, _ in items],
        "account_ids": [one.account_id for one, _ in items],
        "tokens": [one.token for one, _ in items],
        "keys": [lane.key for _, lane in items],
        "fences": [lane.fence for _, lane in items],
        "vers": [lane.ver for _, lane in items],
        "wamids": [one.wamid for one, _ in items],
        "bodies": [event_log.body(event) for event in told],
        "kind": kind_of(told[0]),
    }


def _told(settlement: Settlement, lane: Lane) -> StatusChanged:
    return StatusChanged(
        account_id=settlement.account_id,
        conversation_id=ConversationId(UUID(lane.key)),
        message_id=settlement.message_id,
        status=PUBLIC[State.ACCEPTED],
        wa_message_id=settlement.wamid,
        delivery_state=State.ACCEPTED,
        error_code=None,
        reason=None,
    )
