"""A usual line in one statement: stored, queued and told, and claimed for its sender where nothing is in its way.

Most of what a lone send costs are round trips. Whatever is not usual goes through a transaction (`messages.py`).
"""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct, Record
from inbox.adapters.database.postgres.messages import TOLD, queued, queueing, remembered
from inbox.adapters.database.postgres.outbox_heads import channel_of
from inbox.adapters.database.postgres.paces import IS_DUE, rate, tokens
from inbox.domain.contacts import Address
from inbox.domain.events import MessageCreated
from inbox.domain.outbound import LEASE, WINDOW_MARGIN
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.kit.sealing import Sealer
from inbox.ports.events import Events
from inbox.ports.records import Claimed, IdempotencyKey, NewMessage, Outgoing, Posted

_SECONDS: Final = 5.0
"""As long as a transaction may take."""

# It holds what it changes, and waits for nobody but for who uses the same key in another conversation at this moment,
# or changes the account: then it holds no pace. A line that came after the time of this one makes it wait for a new
# time: the thread is read by them. `is true` keeps the planner from an index that begins with the account.
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
# nor paused, has a token, and nobody else who waits for one. Whoever locks the account or the pace at this moment
# goes first: the account is held before the pace, so that no check of a foreign key waits while the pace is held.
_READY: Final = f""", idle as materialized (
  select a.id as account_id, a.phone_number_id, a.access_token_sealed, a.waba_id
  from owner join whatsapp_accounts a on a.id = owner.account_id
  where cast(:claims as boolean) and a.is_active and a.paused_at is null
    and not exists (
      select from outbox o
      where o.conversation_id = owner.id and o.state in ('queued', 'claimed', 'wire', 'unknown'))
    and exists (
      select from free
      join lanes l on l.kind = 'send' and l.key = free.key and (l.ver, l.fence) = (free.ver, free.fence)
      where free.ver = free.done and free.parked is null and (free.pair_at <= now()) is not false)
    and not {IS_DUE.format(account="owner.account_id", time="now()")}
  for key share of a skip locked
), pace as materialized (
  select p.* from number_paces p where p.account_id = (select account_id from idle) for update skip locked
), ready as materialized (
  select idle.*, {rate("p", "now()")} as rate
  from idle join pace p on p.account_id = idle.account_id
  where {tokens("p.free_at", "now()", rate("p", "now()"))} > 0
)"""  # noqa: S608 - constants of ours

_PAID: Final = """, paid as (
  update number_paces p
  set free_at = greatest(p.free_at, now()) + interval '1 s' / ready.rate, taken = p.taken + 1
  from ready where p.account_id = ready.account_id
)
select held.client_number, lane.*, work.token, ready.phone_number_id, ready.access_token_sealed, ready.waba_id
from held join lane on true join work on true left join ready on true"""

_POST: Final = text(_HELD + _READY + queueing("exists (select from ready)") + TOLD + _PAID).bindparams(
    margin=WINDOW_MARGIN, lease=LEASE
)


class Posting:
    """Accepts usual lines of people and programs."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, events: Events) -> None:
        self._direct = Direct(engine)
        self._sealer = sealer
        self._events = events

    async def post(
        self, new: NewMessage, created: MessageCreated, key: IdempotencyKey | None, *, claims: bool
    ) -> Posted | None:
        """As `ports.database.Outbox.post` says."""
        values = {**queued(new, created), **remembered(key), "claims": claims}
        rows = await self._direct.rows(_POST, values, committing=True, within=_SECONDS)
        if not rows:
            return None
        (row,) = rows
        if row.token is None:
            self._events.publish(WorkWaiting(WorkKind.SEND), LogGrew())
            return Posted(is_prompt=not row.is_postponed)
        self._events.publish(LogGrew())
        return Posted(is_prompt=True, claimed=Claimed(lane=_lane(row, new), head=self._head(row, new, values)))

    def _head(self, row: Record, new: NewMessage, values: dict[str, Any]) -> Outgoing:
        token: UUID = row.token
        return Outgoing(
            id=new.id,
            account_id=new.account_id,
            conversation_id=new.conversation_id,
            channel=channel_of(self._sealer, new.account_id, row),
            is_paused=False,
            to=Address.of(row.client_number),
            content=new.content,
            attempt=0,
            token=token,
            author=new.author,
            reply_to_wamid=new.reply_to_wamid,
            traceparent=values["traceparent"],
        )


def _lane(row: Record, new: NewMessage) -> Lane:
    return Lane(
        kind=WorkKind.SEND,
        key=row.key,
        ver=row.ver,
        fence=row.fence,
        attempts=1,
        account_id=new.account_id,
        pair_refusals=row.pair_refusals,
    )
