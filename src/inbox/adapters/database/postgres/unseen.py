"""What somebody who is about to answer has not seen of a thread."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.bubbles import bubble_of, bubbles
from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.ports.records import Unseen

# Compared in the order of the thread, with what it shows: what `bubbles` leaves out counts for nothing.
_ADDED: Final = bubbles(
    "conversations c",
    """m.author_id is distinct from cast(:by as uuid) and (m."timestamp", m.id) > (last.at, last.id)
order by m."timestamp" desc, m.id desc
limit :limit""",
)
# One row without a message if nobody added anything, none for a message that the thread does not have.
_UNSEEN: Final = text(f"""
select last.newest_at, added.*
from (
  select c.id as conversation_id, coalesce(s."timestamp", '-infinity') as at,
         coalesce(s.id, '00000000-0000-0000-0000-000000000000') as id,
         (select max(n."timestamp") from messages n where n.conversation_id = c.id) as newest_at
  from conversations c
  left join messages s on s.id = cast(:last_seen as uuid) and s.conversation_id = c.id
    and (s.account_id = c.account_id or s.account_id is null) and s."timestamp" is not null
  where c.id = :conversation_id and c.account_id = :account_id
    and (s.id is not null or cast(:last_seen as uuid) is null)
) last left join lateral (
{_ADDED}
where c.id = last.conversation_id
) added on true
""")  # noqa: S608 - constants of ours


async def read(
    connection: AsyncConnection,
    account_id: AccountId,
    conversation_id: ConversationId,
    last_seen: MessageId | None,
    *,
    by: UserId | None,
    limit: int,
) -> Unseen | None:
    """None if the thread has no message `last_seen`."""
    scope = {"account_id": account_id, "conversation_id": conversation_id}
    values = {**scope, "last_seen": last_seen, "by": by, "limit": limit}
    rows = (await connection.execute(_UNSEEN, values)).all()
    if not rows:
        return None
    items = [bubble_of(row[1:]) for row in rows if row.id is not None]
    return Unseen(messages=sorted(items, key=lambda item: (item.timestamp, item.id)), newest_at=rows[0].newest_at)
