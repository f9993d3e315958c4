"""The free entry point: 72 hours from our first answer to a customer who came from an advertisement.

It counts from WhatsApp's times, and only if the answer left within 24 hours of the message. It is computed from all
that is stored of a conversation, so the order in which messages and statuses arrive does not matter.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.inbound import InboundStatus
from inbox.domain.outbound import OpId

_ANSWER_WITHIN: Final = timedelta(hours=24)
_FREE_FOR: Final = timedelta(hours=72)

# Conversations come before messages: whoever hears statuses of one with a referral locks it first.
_LOCK: Final = text("""
select c.id from conversations c
where c.id in (
  select m.conversation_id from messages m
  where (m.wa_message_id = any(cast(:wamids as text[])) or m.id = any(cast(:ids as uuid[])))
    and exists (select from messages r where r.conversation_id = m.conversation_id and r.context ? 'referral'))
order by c.id for no key update
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
""").bindparams(within=_ANSWER_WITHIN, free_for=_FREE_FOR)


async def lock_referred(
    connection: AsyncConnection, statuses: Sequence[InboundStatus], ops: Sequence[OpId | None]
) -> list[UUID]:
    """The conversations of `statuses`, by wamid or by the message that its op names, that have a referral; locked."""
    if not statuses:
        return []
    values = {"wamids": [status.wamid for status in statuses], "ids": [op.message_id for op in ops if op]}
    return list((await connection.execute(_LOCK, values)).scalars())


async def renew(connection: AsyncConnection, conversations: Collection[UUID]) -> None:
    """Computes anew until when `conversations` are free of charge. They are locked."""
    if conversations:
        await connection.execute(_RENEW, {"ids": sorted(conversations)})
