"""The next message of each conversation: what may be sent now, what has to wait, and what waits in vain."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres import event_log, statuses, undelivered
from inbox.adapters.database.postgres.accounts import channel
from inbox.adapters.database.postgres.direct import Direct, Record
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.paces import UNHURRIED
from inbox.adapters.database.postgres.times import timed
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content, Text
from inbox.domain.errors import SecretUnreadable, WindowClosed
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.messages import FAILURES, Author
from inbox.domain.outbound import FOLLOWER_WAITS, LEASE, NOT_SENT, PAUSED_FOR, REAP_AFTER
from inbox.domain.outgoing import Sendable
from inbox.domain.signals import MessageSettled
from inbox.domain.work import Lane
from inbox.kit.sealing import Sealer
from inbox.ports.events import Events
from inbox.ports.records import HeadTaken, Outgoing

_SHORTLY: Final = timedelta(milliseconds=100)
_ROUNDS: Final = 3

# The planner must not see how many conversations these are: for a few it would make a plan of their own, each time.
_HEADS: Final = timed(f"""
with head as (
  select h.*, c.epoch as newest_epoch, c.client_number
  from unnest((select cast(:conversations as uuid[]))) w(conversation_id)
  cross join lateral (
    select o.* from outbox o
    where o.conversation_id = w.conversation_id and o.state in ('queued', 'claimed', 'wire', 'unknown')
      and not (o.state = 'unknown' and o.updated_at <= :time - :follower_waits)
    order by o.serial limit 1
  ) h
  join conversations c on c.id = h.conversation_id
), held as (
  select o.id from outbox o join head on head.id = o.id order by o.id for update of o
), taken as (
  update outbox o
  set state = 'claimed', token = gen_random_uuid(), lease_until = now() + :lease, updated_at = now()
  from head join held on held.id = head.id
  where o.id = head.id and (o.state = 'queued' or (o.state = 'claimed' and o.lease_until <= :time))
    and (o.not_before is null or o.not_before <= :time) and o.expires_at > :time
    and (o.epoch is null or o.epoch >= head.newest_epoch)
  returning o.id, o.token
)
select h.id, h.conversation_id, h.account_id, h.attempt, h.client_number, t.token,
       h.state = 'queued'
         and (h.expires_at <= :time or coalesce(h.epoch < h.newest_epoch, false)) as is_over,
       case h.state
         when 'wire' then greatest(h.wire_at + :reap_after - :time, interval '1 s')
         when 'unknown' then h.updated_at + :follower_waits - :time
         when 'claimed' then h.lease_until - :time
         else h.not_before - :time end as wait,
       m.content, m.content_text, m.author, m.reply_to_wamid, h.traceparent, a.phone_number_id, a.access_token_sealed,
       a.waba_id,
       (coalesce(a.paused_at > now() - cast(:pause as interval), false) or not a.is_active) as is_paused,
       a.paused_at is not null as is_trial, {UNHURRIED}
from head h join messages m on m.id = h.id join whatsapp_accounts a on a.id = h.account_id
left join taken t on t.id = h.id
""").bindparams(  # noqa: S608 - a constant of ours
    lease=LEASE, pause=PAUSED_FOR, reap_after=REAP_AFTER, follower_waits=FOLLOWER_WAITS
)

# Rows that wait in vain: too old, or of a bot whose conversation has moved on. The message is locked first, as always.
_OVER: Final = timed("""
select m.id from outbox o join conversations c on c.id = o.conversation_id join messages m on m.id = o.id
where o.conversation_id = any(cast(:conversations as uuid[])) and o.state = 'queued'
  and (o.expires_at <= :time or o.epoch < c.epoch)
order by m.id for update of m
""")

_END: Final = timed("""
with held as (
  select o.id, case when o.epoch < c.epoch then 'cancelled' else 'expired' end as state,
         case when o.epoch < c.epoch then 'cancelled' when o.reason = :closed then :closed else 'expired' end as reason
  from outbox o join conversations c on c.id = o.conversation_id
  where o.id = any(cast(:ids as uuid[])) and o.state = 'queued'
    and (o.expires_at <= :time or o.epoch < c.epoch)
  order by o.id for update of o
), ended as (
  update outbox o set state = held.state, reason = held.reason, updated_at = now() from held where o.id = held.id
  returning o.id, o.state, o.reason
)
update messages m
set status = 'failed', failed_at = now(), error_message = said.sentence,
    error_code = case when ended.reason = :closed then cast(:closed_code as int) end
from ended join unnest(cast(:reasons as text[]), cast(:sentences as text[])) said(reason, sentence)
  on said.reason = ended.reason
where m.id = ended.id
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, ended.state, ended.reason
""").bindparams(
    reasons=[*(state.value for state in NOT_SENT), WindowClosed.code],
    sentences=[*NOT_SENT.values(), FAILURES[WindowClosed.graph_code]],
    closed=WindowClosed.code,
    closed_code=WindowClosed.graph_code,
)

# The index of open messages holds few rows: those of finished ones are not looked at.
_EXPIRED: Final = timed("""
select distinct conversation_id from (
  select conversation_id from outbox where state = 'queued' and expires_at <= :time limit :most
) o
""").bindparams(most=500)

# After a pause one message is tried: whoever renews the pause sends it, for all processes.
_TRY: Final = text("""
with over as (
  select id from whatsapp_accounts
  where id = any(cast(:accounts as uuid[])) and paused_at <= now() - cast(:pause as interval)
  order by id for no key update
)
update whatsapp_accounts a set paused_at = now() from over where a.id = over.id returning a.id
""").bindparams(pause=PAUSED_FOR)

_CONTENT: Final[msgspec.json.Decoder[Content | Sendable]] = msgspec.json.Decoder(Content | Sendable)


class Heads:
    """Claims the oldest open message of send lanes that the caller holds."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, events: Events) -> None:
        self._engine = engine
        self._autocommit = autocommit(engine)
        self._direct = Direct(engine)
        self._sealer = sealer
        self._events = events

    async def take(self, lanes: Sequence[Lane], now: datetime | None) -> list[HeadTaken]:
        """One answer for each lane, in their order. A lane with neither head nor wait has nothing to send."""
        by_conversation = {UUID(lane.key): lane for lane in lanes}
        taken: dict[UUID, HeadTaken] = {}
        asked = sorted(by_conversation)
        for _ in range(_ROUNDS):
            rows = await repeated(partial(self._read, asked, now)) if asked else []
            paused = await self._paused(rows)
            for row in rows:
                taken[row.conversation_id] = self._head(
                    by_conversation[row.conversation_id], row, is_paused=row.id in paused
                )
            gone = set(asked) - {row.conversation_id for row in rows}
            taken |= {conversation: HeadTaken(lane=by_conversation[conversation]) for conversation in gone}
            asked = sorted(row.conversation_id for row in rows if row.is_over)
            if asked:
                await repeated(partial(self._end, asked, now))
        return [taken[UUID(lane.key)] for lane in lanes]

    async def expire(self, now: datetime | None) -> int:
        """Ends messages whose time is over, also where nobody claims their lanes, and says how many."""
        with database_errors():
            async with self._autocommit.connect() as connection:
                late = list((await connection.execute(_EXPIRED, {"now": now})).scalars())
        return await repeated(partial(self._end, late, now)) if late else 0

    async def _read(self, conversations: Sequence[UUID], now: datetime | None) -> Sequence[Row[Any]]:
        return await self._direct.rows(_HEADS, {"conversations": conversations, "now": now})

    async def _paused(self, rows: Sequence[Row[Any]]) -> set[UUID]:
        """The messages that have to wait for their account."""
        paused = {row.id for row in rows if row.is_paused}
        waiting = {row.account_id: row.id for row in rows if row.is_trial and row.token and not row.is_paused}
        if waiting:
            with database_errors():
                async with self._autocommit.connect() as connection:
                    tried = set((await connection.execute(_TRY, {"accounts": sorted(waiting)})).scalars())
            trials = {waiting[account] for account in tried}
            paused |= {row.id for row in rows if row.is_trial and row.id not in trials}
        return paused

    def _head(self, lane: Lane, row: Row[Any], *, is_paused: bool) -> HeadTaken:
        if row.token is None:
            # Without a reason to wait somebody else was faster: look again soon.
            return HeadTaken(lane=lane, wait=max(row.wait or _SHORTLY, _SHORTLY))
        outgoing = Outgoing(
            id=MessageId(row.id),
            account_id=AccountId(row.account_id),
            conversation_id=ConversationId(row.conversation_id),
            channel=channel_of(self._sealer, AccountId(row.account_id), row),
            is_paused=is_paused,
            to=Address.of(row.client_number),
            content=_CONTENT.decode(row.content) if row.content else Text(body=row.content_text or ""),
            attempt=row.attempt,
            token=row.token,
            author=Author(row.author),
            reply_to_wamid=row.reply_to_wamid,
            traceparent=row.traceparent,
        )
        return HeadTaken(lane=lane, head=outgoing)

    async def _end(self, conversations: Sequence[UUID], now: datetime | None) -> int:
        """Ends the rows of these conversations that wait in vain, and says how many."""
        with database_errors():
            async with self._engine.begin() as connection:
                values = {"conversations": conversations, "now": now}
                ids = list((await connection.execute(_OVER, values)).scalars())
                ended = (await connection.execute(_END, {"ids": ids, "now": now})).all()
                told = [statuses.changed(row, row.state, reason=row.reason) for row in ended]
                woken = await undelivered.enqueue(connection, told)
                signals = await event_log.record(connection, told)
        self._events.publish(*(MessageSettled(MessageId(row.id)) for row in ended), *woken, *signals)
        return len(ended)


def channel_of(sealer: Sealer, account_id: AccountId, row: Row[Any] | Record) -> Channel:
    """The channel that a row brings. One whose token cannot be read is visibly not usable: others go on."""
    try:
        return channel(sealer, account_id, row.phone_number_id, row.access_token_sealed, row.waba_id)
    except SecretUnreadable:
        return Channel(account_id=account_id, phone_number_id=row.phone_number_id, access_token=None)
