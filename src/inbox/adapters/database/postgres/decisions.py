"""What a person decides about one message of ours: conditional updates along the transitions of the domain.

The conversation is locked; then come message, lane and outbox, as everywhere.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import statuses
from inbox.domain.events import Event
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.outbound import DECIDED, PUBLIC, State, Step, after
from inbox.domain.pacing import Priority
from inbox.ports.records import Closed

_LOCK: Final = text("""
select id from messages where id = :id and account_id = :account_id and direction = 'outbound' for update
""")

# Whoever decides waits for it: the lane gets the rank of a person.
_LANE: Final = text("""
insert into lanes (kind, key, account_id, priority)
select 'send', conversation_id::text, account_id, cast(:priority as smallint)
from outbox where id = :id and account_id = :account_id
on conflict (kind, key) do update
set ver = lanes.ver + 1, priority = least(lanes.priority, excluded.priority),
    due = case when lanes.ver = lanes.done then greatest(now(), lanes.pair_at) else lanes.due end
""").bindparams(priority=Priority.PERSON.value)

# What WhatsApp took once and failed later has a history of its own, which a second life would inherit: see `_CLOSE`.
_MOVE: Final = text("""
update outbox
set state = :state, reason = :reason, token = null, lease_until = null, unknown_until = null, not_before = null,
    resends = resends + :resends, expires_at = coalesce(cast(:expires_at as timestamptz), expires_at),
    epoch = case when :resends > 0 then null else epoch end, updated_at = now()
where id = :id and account_id = :account_id and state = any(cast(:sources as text[]))
  and (state = 'unconfirmed' or wamid is null)
returning id
""")

_CLOSE: Final = text("""
update outbox o set reason = :step, updated_at = now()
from messages m
where o.id = :id and o.account_id = :account_id and o.state = :failed and o.wamid is not null and m.id = o.id
  and (o.reason is null or o.reason <> all(cast(:decided as text[])))
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, m.reply_to_wamid
""").bindparams(failed=State.FAILED.value, decided=[Step.RESENT_BY_HUMAN.value, Step.DISCARDED_BY_HUMAN.value])

_SHOW: Final = text("""
update messages
set status = :status, error_code = null, error_message = :sentence,
    failed_at = case when :status = 'failed' then now() end
where id = :id and account_id = :account_id
returning id, account_id, conversation_id, status, wa_message_id, error_code
""")


async def decide(
    connection: AsyncConnection, account_id: AccountId, message_id: MessageId, step: Step, expires_at: datetime | None
) -> Event | None:
    """Takes the step; None if the message does not stand where it could be taken."""
    moves = [(source, moved) for source in State if (moved := after(source, step)) is not None]
    (target,) = {moved for _, moved in moves}
    scope = {"id": message_id, "account_id": account_id}
    if (await connection.execute(_LOCK, scope)).one_or_none() is None:
        return None
    is_resend = target is State.QUEUED
    if is_resend:
        await connection.execute(_LANE, scope)
    values = {
        **scope,
        "state": target.value,
        "reason": None if is_resend else step.value,
        "resends": int(is_resend),
        "expires_at": expires_at,
        "sources": [source.value for source, _ in moves],
    }
    if (await connection.execute(_MOVE, values)).one_or_none() is None:
        return None
    shown = {**scope, "status": PUBLIC[target].value, "sentence": DECIDED.get(step)}
    row = (await connection.execute(_SHOW, shown)).one()
    return statuses.changed(row, target.value, reason=None if is_resend else step.value)


async def close(connection: AsyncConnection, account_id: AccountId, message_id: MessageId, step: Step) -> Closed | None:
    """Keeps the step as the reason of a message that WhatsApp took and failed later; None if there is none to take."""
    scope = {"id": message_id, "account_id": account_id}
    if (await connection.execute(_LOCK, scope)).one_or_none() is None:
        return None
    row = (await connection.execute(_CLOSE, {**scope, "step": step.value})).one_or_none()
    if row is None:
        return None
    return Closed(event=statuses.changed(row, None, reason=step.value), reply_to_wamid=row.reply_to_wamid)
