"""The windows of a conversation that statuses move: the free entry point, and the customer service window that closes.

The free entry point: 72 hours from our first answer to a customer who came from an advertisement. It counts from
WhatsApp's times, and only if the answer left within 24 hours of the message.

The customer service window closes before its time when WhatsApp says that it is closed (131047, in answer to a send or
later): until the customer writes something newer than that, `window_expires_at` is null.

Both are computed from all that is stored of a conversation, so the order in which messages and statuses arrive does not
matter, nor do repetitions.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import event_log
from inbox.adapters.database.postgres.engine import database_errors, repeated
from inbox.domain.conversations import WINDOW
from inbox.domain.errors import WindowClosed
from inbox.domain.events import Cause, ConversationUpdated, Event, StatusChanged
from inbox.domain.graph_errors import WINDOW_CODES
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.inbound import InboundStatus
from inbox.domain.outbound import OpId, State
from inbox.domain.signals import LogGrew
from inbox.domain.upstream_errors import Refused
from inbox.ports.records import Settlement

_ANSWER_WITHIN: Final = timedelta(hours=24)
_FREE_FOR: Final = timedelta(hours=72)
_CODES: Final = ", ".join(str(code) for code in WINDOW_CODES)

REFUSED_AT: Final = f"""(
  select max(coalesce(s.occurred_at, m.failed_at))
  from messages m
  left join message_statuses s on s.message_id = m.id and s.status = 'failed' and s.error_code in ({_CODES})
  left join outbox o on o.id = m.id
  where m.conversation_id = c.id and m.direction = 'outbound' and m.failed_at is not null
    and (s.id is not null or (m.error_code in ({_CODES}) and o.reason = '{Refused.code}'))
)"""  # noqa: S608 - constants of ours
"""When WhatsApp last said that the window of conversation `c` is closed. What was not sent at all says nothing."""

# Conversations come before messages: whoever hears statuses of one with a referral, or that its window is closed, locks
# it first.
_LOCK: Final = text("""
select c.id from conversations c
where c.id in (
  select m.conversation_id from messages m
  where (m.wa_message_id = any(cast(:wamids as text[])) or m.id = any(cast(:ids as uuid[])))
    and (m.wa_message_id = any(cast(:refused_wamids as text[])) or m.id = any(cast(:refused_ids as uuid[]))
         or exists (select from messages r where r.conversation_id = m.conversation_id and r.context ? 'referral')))
order by c.id for no key update
""")

_LOCK_SENDING: Final = text("""
select c.id from conversations c
where c.id in (select m.conversation_id from messages m where m.id = any(cast(:ids as uuid[])))
order by c.id for no key update
""")

_LOCK_ALL: Final = text("""
select c.id from conversations c where c.id = any(cast(:ids as uuid[])) order by c.id for no key update
""")

# Our own clock may have put a message in the queue some hours before WhatsApp sent it.
_RENEW: Final = text("""
with answered as (
  select r.conversation_id as id, max(a.at) + :free_for as until
  from messages r cross join lateral (
    select min(least(o.sent_at, o.delivered_at, o.read_at)) as at
    from messages o
    where o.conversation_id = r.conversation_id and o.direction = 'outbound' and o.status is distinct from 'failed'
      and o."timestamp" between r."timestamp" - interval '1 day' and r."timestamp" + interval '2 days'
      and least(o.sent_at, o.delivered_at, o.read_at) between r."timestamp" and r."timestamp" + :within
  ) a
  where r.conversation_id = any(cast(:ids as uuid[])) and r.context ? 'referral'
  group by r.conversation_id
)
update conversations c set free_entry_until = a.until
from answered a where c.id = a.id and c.free_entry_until is distinct from a.until
returning c.id, c.account_id
""").bindparams(within=_ANSWER_WITHIN, free_for=_FREE_FOR)

# What opened the window is not stored apart: it is a day before its end.
_CLOSE: Final = text(f"""
update conversations c set window_expires_at = null
where c.id = any(cast(:ids as uuid[])) and c.window_expires_at - cast(:window as interval) <= {REFUSED_AT}
returning c.id, c.account_id
""").bindparams(window=WINDOW)  # noqa: S608 - constants of ours

# Whoever looks at the head of the queue, and the reaper, end them.
_GIVE_UP: Final = text("""
with held as (
  select o.id from outbox o join messages m on m.id = o.id
  where o.conversation_id = any(cast(:ids as uuid[])) and o.state in ('queued', 'claimed', 'wire')
    and m.message_type is distinct from 'template'
  order by o.id for update of o
)
update outbox o
set expires_at = least(o.expires_at, now()), reason = case when o.state = 'wire' then o.reason else :reason end
from held where o.id = held.id
""").bindparams(reason=WindowClosed.code)


async def lock(
    connection: AsyncConnection, statuses: Sequence[InboundStatus], ops: Sequence[OpId | None]
) -> tuple[list[UUID], bool]:
    """Locks conversations of `statuses`, by wamid or by the message that its op names.

    Those that have a referral or whose window is said to be closed; the second value says if that is said of any.
    """
    if not statuses:
        return [], False
    refused = [is_closed(status.error_code) and status.status == "failed" for status in statuses]
    values = {
        "wamids": [status.wamid for status in statuses],
        "ids": [op.message_id for op in ops if op],
        "refused_wamids": [status.wamid for status, is_so in zip(statuses, refused, strict=True) if is_so],
        "refused_ids": [op.message_id for op, is_so in zip(ops, refused, strict=True) if is_so and op],
    }
    return list((await connection.execute(_LOCK, values)).scalars()), any(refused)


async def lock_refused(connection: AsyncConnection, settlements: Sequence[Settlement]) -> list[UUID]:
    """Locks the conversations of messages that WhatsApp has just refused because the window is closed."""
    refused = [one.message_id for one in settlements if one.state is State.FAILED and is_closed(one.error_code)]
    if not refused:
        return []
    return list((await connection.execute(_LOCK_SENDING, {"ids": sorted(refused)})).scalars())


async def renew(connection: AsyncConnection, conversations: Collection[UUID]) -> list[Event]:
    """Computes anew until when `conversations` are free of charge. They are locked."""
    if not conversations:
        return []
    renewed = (await connection.execute(_RENEW, {"ids": sorted(conversations)})).all()
    return [updated(row.account_id, row.id, Cause.WINDOW) for row in renewed]


async def close(connection: AsyncConnection, conversations: Collection[UUID]) -> list[Event]:
    """Closes the windows of those of `conversations` whose customer has not written since WhatsApp said so.

    They are locked, and so is every message of theirs that is to be locked. What waits to be sent there and is no
    template has no time left.
    """
    if not conversations:
        return []
    closed = (await connection.execute(_CLOSE, {"ids": sorted(conversations)})).all()
    if closed:
        await connection.execute(_GIVE_UP, {"ids": sorted(row.id for row in closed)})
    return [updated(row.account_id, row.id, Cause.WINDOW) for row in closed]


async def close_apart(engine: AsyncEngine, events: Collection[Event], *, done: Collection[UUID] = ()) -> list[LogGrew]:
    """Closes the windows that statuses of a finished transaction speak of, which nobody could know before it.

    `events` are what it recorded, `done` the conversations that it dealt with itself. Returns what is to be published.
    Nobody would begin this anew, so it does itself what a collision undid.
    """
    told = [event for event in events if isinstance(event, StatusChanged)]
    refused = {event.conversation_id for event in told if event.error_code in WINDOW_CODES}
    left = sorted(conversation for conversation in refused.difference(done) if conversation)

    async def once() -> list[LogGrew]:
        with database_errors():
            async with engine.begin() as connection:
                await connection.execute(_LOCK_ALL, {"ids": left})
                return await event_log.record(connection, await close(connection, left))

    return await repeated(once) if left else []


def is_closed(code: int | None) -> bool:
    """Whether Meta's code says that the customer service window is closed."""
    return code in WINDOW_CODES


def updated(account_id: UUID, conversation_id: UUID, cause: Cause) -> ConversationUpdated:
    """What everybody is told who looks at the list."""
    return ConversationUpdated(
        account_id=AccountId(account_id), conversation_id=ConversationId(conversation_id), cause=cause
    )
