"""Files of messages on their way into the store of ours, and what became of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.events import Event, MediaChanged
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.media import MediaState
from inbox.ports.media import MediaKey
from inbox.ports.records import FilesOfConversation, MediaOutcome, PendingFile

_PENDING: Final = text("""
select f.message_id, f.account_id, f.media_id, m.message_type as kind, m.media_mime_type as mime_type,
       f.expected_sha256, f.expires_at, f.tries,
       (select extract(epoch from min(last.at) + cast(:within as interval) - now())::float8
        from (select at from media_failures where account_id = f.account_id and at > now() - cast(:within as interval)
              order by at desc limit :most) last
        having count(*) >= :most) as blocked_for
from media_files f join messages m on m.id = f.message_id
where f.message_id = :message_id and f.account_id = :account_id and f.state = 'pending'
""")

_FAILED: Final = text("""
with old as (
  delete from media_failures where account_id = :account_id and at < now() - cast(:within as interval)
)
insert into media_failures (account_id, at) values (:account_id, clock_timestamp())
""")

# `conversation_id` is where the message is until the transaction ends: a merge takes it elsewhere.
_HOLD: Final = text("""
select from media_files f join messages m on m.id = f.message_id
where f.message_id = :message_id and f.account_id = :account_id for share of m
""")

_SETTLE: Final = text("""
update media_files f
set state = :state, reason = :reason, tries = f.tries + 1, size = :size, mime_type = :mime_type, sha256 = :sha256,
    finished_at = case when :state = 'pending' then null else now() end
from messages m
where f.message_id = :message_id and f.account_id = :account_id and f.state = 'pending' and m.id = f.message_id
returning f.message_id, f.account_id, m.conversation_id
""")


_OF_CONVERSATION: Final = text("""
select f.state, count(*) as files, array_agg(f.message_id) filter (where f.state = 'pending') as waiting
from media_files f join messages m on m.id = f.message_id
where f.account_id = :account_id and m.account_id = :account_id and m.conversation_id = :conversation_id
group by f.state
""")

_OVERDUE: Final = text("""
select f.account_id, f.message_id
from unnest(cast(:accounts as uuid[]), cast(:message_ids as uuid[])) u(account_id, message_id)
join media_files f on f.message_id = u.message_id and f.account_id = u.account_id
join messages m on m.id = f.message_id
where f.state = 'pending' and f.expires_at <= :now
order by m.id for share of m
""")

_EXPIRE: Final = text("""
with overdue as (
  select f.message_id
  from unnest(cast(:accounts as uuid[]), cast(:message_ids as uuid[])) u(account_id, message_id)
  join media_files f on f.message_id = u.message_id and f.account_id = u.account_id
  where f.state = 'pending' order by f.message_id for update of f
)
update media_files f
set state = 'expired', reason = 'id_expired', tries = f.tries + 1, finished_at = now()
from overdue o, messages m
where f.message_id = o.message_id and m.id = f.message_id
returning f.message_id, f.account_id, m.conversation_id
""")


class PostgresMediaFiles:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def pending(
        self, account_id: AccountId, message_id: MessageId, *, most_failures: int, within: timedelta
    ) -> PendingFile | None:
        values = {"account_id": account_id, "message_id": message_id, "most": most_failures, "within": within}
        row = (await self._connection.execute(_PENDING, values)).one_or_none()
        if row is None:
            return None
        fields = row._asdict()
        blocked = fields.pop("blocked_for")
        return PendingFile(**fields, blocked_for=None if blocked is None else timedelta(seconds=max(1.0, blocked)))

    async def of_conversation(self, account_id: AccountId, conversation_id: ConversationId) -> FilesOfConversation:
        scope = {"account_id": account_id, "conversation_id": conversation_id}
        rows = (await self._connection.execute(_OF_CONVERSATION, scope)).all()
        counts = {MediaState(row.state): row.files for row in rows}
        waiting = [MessageId(found) for row in rows for found in row.waiting or ()]
        return FilesOfConversation(counts=counts, waiting=waiting)

    async def hold(self, account_id: AccountId, message_id: MessageId) -> None:
        await self._connection.execute(_HOLD, {"account_id": account_id, "message_id": message_id})

    async def count_failure(self, account_id: AccountId, *, within: timedelta) -> None:
        await self._connection.execute(_FAILED, {"account_id": account_id, "within": within})

    async def settle(self, account_id: AccountId, message_id: MessageId, outcome: MediaOutcome) -> Event | None:
        stored = outcome.stored
        values = {
            "account_id": account_id,
            "message_id": message_id,
            "state": outcome.state.value,
            "reason": outcome.reason,
            "size": stored and stored.size,
            "mime_type": stored and stored.mime_type,
            "sha256": stored and stored.sha256,
        }
        row = (await self._connection.execute(_SETTLE, values)).one_or_none()
        return None if row is None else _told(row, outcome.state, outcome.reason)

    async def overdue(self, keys: Sequence[MediaKey], now: datetime) -> list[MediaKey]:
        rows = await self._connection.execute(_OVERDUE, {**_columns(keys), "now": now})
        return [MediaKey(AccountId(row.account_id), MessageId(row.message_id)) for row in rows]

    async def expire(self, keys: Sequence[MediaKey]) -> list[Event]:
        if not keys:
            return []
        rows = await self._connection.execute(_EXPIRE, _columns(keys))
        return [_told(row, MediaState.EXPIRED, "id_expired") for row in rows]


def _columns(keys: Sequence[MediaKey]) -> dict[str, list[UUID]]:
    return {"accounts": [key.account_id for key in keys], "message_ids": [key.id for key in keys]}


def _told(row: Row[Any], state: MediaState, reason: str | None) -> MediaChanged:
    return MediaChanged(
        account_id=AccountId(row.account_id),
        conversation_id=row.conversation_id and ConversationId(row.conversation_id),
        message_id=MessageId(row.message_id),
        media_state=state,
        reason=reason,
    )
