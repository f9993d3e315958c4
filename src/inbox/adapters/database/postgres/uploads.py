"""Files that people gave us to send. Their bytes lie in the media store, under the id of the row."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.times import shown
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.uploads import UploadKind
from inbox.ports.media import MediaKey, Stored
from inbox.ports.uploads import GivenUp, NewUpload, Upload, UploadItem

_BEGIN: Final = text("""
insert into uploads (id, account_id, kind, name, created_by) values (:id, :account_id, :kind, :name, :created_by)
""")

_COMPLETE: Final = text(f"""
update uploads set state = 'stored', mime_type = :mime_type, size = :size, sha256 = :sha256
where id = :id and account_id = :account_id and state = 'pending'
returning id::text, account_id::text, kind, mime_type, size, encode(sha256, 'hex') as sha256, name,
          {shown("created_at")} as created_at
""")  # noqa: S608 - a constant of ours

_COLUMNS: Final = "id, kind, mime_type, size, name, media_id, media_number, media_expires_at"

_GET: Final = text(f"""
select {_COLUMNS} from uploads where id = :id and account_id = :account_id and state = 'stored'
""")  # noqa: S608 - a constant of ours

# Whoever removes unused files marks them first, and passes by rows that are locked: one that is used for the first time
# is locked here before it counts as found. Two messages may do so at once: who waited for the other must not ask again
# whether it is unused, which a condition on the locked row would.
_USE: Final = text(f"""
with unused as materialized (
  select id from uploads
  where id = any(cast(:ids as uuid[])) and account_id = :account_id and used_at is null
), first as materialized (
  select u.id from uploads u join unused on unused.id = u.id
  where u.account_id = :account_id and u.state = 'stored'
  order by u.id for no key update of u
), used as (
  update uploads u set used_at = coalesce(u.used_at, now()) from first
  where u.id = first.id and u.account_id = :account_id
)
select {_COLUMNS} from uploads
where id = any(cast(:ids as uuid[])) and account_id = :account_id and state = 'stored'
  and (used_at is not null or id in (select id from first))
order by id
""")  # noqa: S608 - a constant of ours

_SHOW: Final = text("""
with file as (
  select * from uploads where id = :upload_id and account_id = :account_id and state = 'stored'
), kept as (
  insert into media_files (message_id, account_id, media_id, state, size, mime_type, sha256, expires_at, finished_at,
                           upload_id)
  select cast(:message_id as uuid), account_id, id::text, 'stored', size, mime_type, sha256, now(), now(), id from file
)
update messages m
set media_id = file.id::text, media_mime_type = file.mime_type, media_filename = coalesce(m.media_filename, file.name)
from file where m.id = :message_id and m.account_id = :account_id
""")

_GIVEN: Final = text("""
update uploads set media_id = :media_id, media_number = :number, media_expires_at = :expires_at
where id = :id and account_id = :account_id
""")

_HOLD: Final = text("""
update outbox set lease_until = now() + :within
where id = :message_id and account_id = :account_id and token = :token and state = 'claimed'
returning id
""")

_GIVE_UP: Final = text("""
with old as (
  select id from uploads
  where used_at is null and (created_at < now() - cast(:age as interval) or state = 'removed')
    and (created_at, id) > (:at, :id)
  order by created_at, id limit :limit for update skip locked
), removed as (
  update uploads u set state = 'removed' from old where u.id = old.id returning u.account_id, u.id, u.created_at
)
select account_id, id, created_at from removed order by created_at, id
""")

_REMOVE: Final = text("""
delete from uploads
using unnest(cast(:accounts as uuid[]), cast(:ids as uuid[])) u(account_id, id)
where uploads.id = u.id and uploads.account_id = u.account_id and uploads.state <> 'stored'
""")

_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class PostgresUploads:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, new: NewUpload) -> None:
        values = {
            "id": new.id,
            "account_id": new.account_id,
            "kind": new.kind.value,
            "name": new.name,
            "created_by": new.created_by,
        }
        await self._connection.execute(_BEGIN, values)

    async def complete(self, account_id: AccountId, upload_id: UUID, stored: Stored) -> UploadItem | None:
        values = {"mime_type": stored.mime_type, "size": stored.size, "sha256": stored.sha256}
        scope = {"id": upload_id, "account_id": account_id}
        row = (await self._connection.execute(_COMPLETE, {**scope, **values})).one_or_none()
        return None if row is None else UploadItem(**{**row._asdict(), "kind": UploadKind(row.kind)})

    async def get(self, account_id: AccountId, upload_id: UUID) -> Upload | None:
        row = (await self._connection.execute(_GET, {"id": upload_id, "account_id": account_id})).one_or_none()
        return None if row is None else Upload(**{**row._asdict(), "kind": UploadKind(row.kind)})

    async def use(self, account_id: AccountId, upload_ids: Collection[UUID]) -> list[Upload]:
        rows = await self._connection.execute(_USE, {"ids": list(upload_ids), "account_id": account_id})
        return [Upload(**{**row._asdict(), "kind": UploadKind(row.kind)}) for row in rows]

    async def show(self, account_id: AccountId, message_id: MessageId, upload_id: UUID) -> None:
        scope = {"account_id": account_id, "message_id": message_id, "upload_id": upload_id}
        await self._connection.execute(_SHOW, scope)

    async def hold(self, account_id: AccountId, message_id: MessageId, token: UUID, *, within: timedelta) -> bool:
        values = {"account_id": account_id, "message_id": message_id, "token": token, "within": within}
        return (await self._connection.execute(_HOLD, values)).one_or_none() is not None

    async def given(
        self, account_id: AccountId, upload_id: UUID, *, media_id: str | None, number: str, expires_at: datetime
    ) -> None:
        values = {"media_id": media_id, "number": number, "expires_at": expires_at}
        await self._connection.execute(_GIVEN, {"id": upload_id, "account_id": account_id, **values})

    async def give_up(self, age: timedelta, limit: int, behind: GivenUp | None) -> list[GivenUp]:
        at, upload_id = _BEGINNING if behind is None else (behind.created_at, behind.key.id)
        rows = await self._connection.execute(_GIVE_UP, {"age": age, "limit": limit, "at": at, "id": upload_id})
        return [GivenUp(MediaKey(AccountId(row.account_id), row.id), row.created_at) for row in rows]

    async def remove(self, keys: Sequence[MediaKey]) -> None:
        values = {"accounts": [key.account_id for key in keys], "ids": [key.id for key in keys]}
        await self._connection.execute(_REMOVE, values)
