"""API keys inside a transaction: made with their grants, and ended."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.queries_keys import ITEM_COLUMNS, item_of
from inbox.domain.errors import ApiKeyNotFound
from inbox.domain.ids import uuid7
from inbox.ports.records import NewApiKey
from inbox.ports.views import ApiKeyItem

_ADD: Final = text("""
insert into api_keys (id, name, digest, hint, created_by, created_at, expires_at)
values (:id, :name, :digest, :hint, :created_by, :created_at, :expires_at)
""")

_GRANT: Final = text("""
insert into api_key_grants (id, api_key_id, permission_code, account_id)
select given.id, :key_id, given.code, given.account_id
from unnest(cast(:ids as uuid[]), cast(:codes as text[]), cast(:accounts as uuid[])) given (id, code, account_id)
on conflict do nothing
""")

_ITEM: Final = text(f"select {ITEM_COLUMNS} from api_keys k where k.id = :id")  # noqa: S608 - a constant of ours

# The first end of a key counts: a second one does not move it.
_REVOKE: Final = text("""
update api_keys set revoked_at = coalesce(revoked_at, :now) where id = :id returning name
""")


class PostgresApiKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: NewApiKey) -> ApiKeyItem:
        """Equal grants collapse. Raises `AccountNotFound`."""
        row = {
            "id": key.id,
            "name": key.name,
            "digest": key.digest,
            "hint": key.hint,
            "created_by": key.created_by,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        await self._connection.execute(_ADD, row)
        grants = {
            "key_id": key.id,
            "ids": [uuid7() for _ in key.grants],
            "codes": [grant.code for grant in key.grants],
            "accounts": [grant.account_id for grant in key.grants],
        }
        with database_errors():
            await self._connection.execute(_GRANT, grants)
        return item_of((await self._connection.execute(_ITEM, {"id": key.id})).one())

    async def revoke(self, key_id: UUID, now: datetime) -> str:
        """Raises `ApiKeyNotFound`."""
        name = (await self._connection.execute(_REVOKE, {"id": key_id, "now": now})).scalar_one_or_none()
        if name is None:
            raise ApiKeyNotFound
        return str(name)
