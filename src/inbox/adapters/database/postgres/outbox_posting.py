"""A usual line in one statement: stored, queued and told, and claimed for its sender where nothing is in its way.

Most of what a lone send costs are round trips. Whatever is not usual goes through a transaction (`messages.py`).
"""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct, Record
from inbox.adapters.database.postgres.messages import TOLD, queued, queueing, remembered
from inbox.adapters.database.postgres.paces import IS_DUE, rate, tokens
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.events import MessageCreated
from inbox.domain.outbound import LEASE, WINDOW_MARGIN
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.ports.events import Events
from inbox.ports.records import Claimed, IdempotencyKey, NewMessage, Outgoing, Posted

_SECONDS: Final = 5.0
"""As long as a transaction may take."""

# It holds what it changes, and waits for nobody but for who uses the same key in another conversation at this moment,
# or changes the account. A line that came after the time of this one makes it wait for a new time: the thread is read
# by them. `is true` keeps the planner from an index that begins with the account.
_HELD: Final = """
with held as materialized (
  select id, account_id, client_number from conversations
  where id = :conversation_id and account_id = :account_id and (updated_at <= cast(:at as timestamptz)) is true
    and window_expires_at >= cast(:expires_at as timestamptz) + cast(:margin as interval)
  for update skip locked
), free as materialized (
  select key, ver, done, fence, parked, pair_at from lanes
  where kind = 'send' and key = (select id::text from held) for update skip locked
), mine as materialized (
  select id, account_id from held
  where exists (select from free) or not exists (select from lanes where kind = 'send' and key = held.id::text)
), remembered as (
  insert into idempotency_keys (account_id, caller, call, key, request_hash, message_id)
  select account_id, cast(:caller as uuid), cast(:call as text), cast(:key as text), cast(:request_hash as bytea),
         cast(:id as uuid)
  from mine where cast(:key as text) is not null
  on conflict do nothing
  returning key
), owner as materialized (
  select id, account_id, true as is_new from mine
  where cast(:key as text) is null or exists (select from remembered)
)"""

# Claimed at once is what `CLAIM_SENDS` and the head of the lane would give, and no more: nothing is open in the
# conversation, its lane is as it was when the statement began, its pair may send, its number is neither switched off
# nor paused, has a token, and nobody else who waits for one.
_READY: Final = f""", idle as materialized (
  select owner.account_id from owner join whatsapp_accounts a on a.id = owner.account_id
  where cast(:claims as boolean) and a.is_active and a.paused_at is null
    and not exists (
      select from outbox o
      where o.conversation_id = owner.id and o.state in ('queued', 'claimed', 'wire', 'unknown'))
    and not exists (
      select from free
      left join lanes l on l.kind = 'send' and l.key = free.key and (l.ver, l.fence) = (free.ver, free.fence)
      where l.key is null or free.ver > free.done or free.parked is not null or free.pair_at > now())
    and not {IS_DUE.format(account="owner.account_id", time="now()")}
), pace as materialized (
  select p.* from number_paces p where p.account_id = (select account_id from idle) for update skip locked
), ready as materialized (
  select idle.account_id, {rate("p", "now()")} as rate
  from idle left join pace p on p.account_id = idle.account_id
  where (p.account_id is not null or not exists (select from number_paces n where n.account_id = idle.account_id))
    and {tokens("p.free_at", "now()", rate("p", "now()"))} > 0
)"""  # noqa: S608 - constants of ours

_PAID: Final = """, paid as (
  insert into number_paces as p (account_id, free_at, taken)
  select account_id, now() + interval '1 s' / rate, 1 from ready where exists (select from work where token is not null)
  on conflict (account_id) do update
  set free_at = greatest(p.free_at, now()) + (excluded.free_at - now()), taken = p.taken + 1
)
select held.client_number, lane.*, work.token from held join lane on true join work on true"""

_POST: Final = text(
    _HELD + _READY + queueing("exists (select from ready)", is_known="exists (select from free)") + TOLD + _PAID
).bindparams(margin=WINDOW_MARGIN, lease=LEASE)


class Posting:
    """Accepts usual lines of people and programs."""

    def __init__(self, engine: AsyncEngine, events: Events) -> None:
        self._direct = Direct(engine)
        self._events = events

    async def post(
        self, new: NewMessage, created: MessageCreated, key: IdempotencyKey | None, *, over: Channel | None
    ) -> Posted | None:
        """As `ports.database.Outbox.post` says."""
        values = {**queued(new, created), **remembered(key), "claims": over is not None}
        rows = await self._direct.rows(_POST, values, committing=True, within=_SECONDS)
        if not rows:
            return None
        (row,) = rows
        if over is None or row.token is None:
            self._events.publish(WorkWaiting(WorkKind.SEND), LogGrew())
            return Posted(is_prompt=not row.is_postponed)
        self._events.publish(LogGrew())
        return Posted(is_prompt=True, claimed=_claimed(row, new, over, values))


def _claimed(row: Record, new: NewMessage, channel: Channel, values: dict[str, Any]) -> Claimed:
    token: UUID = row.token
    lane = Lane(
        kind=WorkKind.SEND,
        key=row.key,
        ver=row.ver,
        fence=row.fence,
        attempts=1,
        account_id=new.account_id,
        pair_refusals=row.pair_refusals,
    )
    head = Outgoing(
        id=new.id,
        account_id=new.account_id,
        conversation_id=new.conversation_id,
        channel=channel,
        is_paused=False,
        to=Address.of(row.client_number),
        content=new.content,
        attempt=0,
        token=token,
        author=new.author,
        reply_to_wamid=new.reply_to_wamid,
        traceparent=values["traceparent"],
    )
    return Claimed(lane=lane, head=head)
