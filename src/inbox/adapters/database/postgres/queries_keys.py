"""Reads about API keys and the audit trail: autocommitted, one statement each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import text

from inbox.adapters.database.postgres.reading import AnyRow, Reader, position
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Actor, ActorKind, Grant, expand
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import AccountId, UserId
from inbox.ports.queries import Before
from inbox.ports.team import LiveKey
from inbox.ports.views import ApiKeyGrant, ApiKeyItem, AuditItem, Me, ProfileRow

_IS_ACTIVE: Final = "k.revoked_at is null and (k.expires_at is null or k.expires_at > now())"

ITEM_COLUMNS: Final = f"""
k.id, k.name, k.hint, (
  select coalesce(json_agg(json_build_object('permission_code', g.permission_code, 'account_id', g.account_id)
                           order by g.permission_code, g.account_id nulls first), '[]')
  from api_key_grants g where g.api_key_id = k.id
) as permissions, k.created_by, {shown("k.created_at")} as created_at, {shown("k.expires_at")} as expires_at,
{shown("k.revoked_at")} as revoked_at, {shown("k.last_used_at")} as last_used_at
"""  # noqa: S608 - a constant of ours
"""The columns of an `ApiKeyItem`, in its order; `k` is the key."""

_KEYS: Final = text(f"select {ITEM_COLUMNS} from api_keys k order by k.created_at desc, k.id desc")  # noqa: S608

# The note of the last use waits for nobody: another request notes the same minute, or the key is being revoked.
_BY_DIGEST: Final = text("""
with noted as (
  update api_keys set last_used_at = :now where id in (
    select id from api_keys
    where digest = :digest and revoked_at is null and (expires_at is null or expires_at > :now)
      and (last_used_at is null or last_used_at <= cast(:now as timestamptz) - interval '1 minute')
    for update skip locked)
)
select id, expires_at from api_keys
where digest = :digest and revoked_at is null and (expires_at is null or expires_at > :now)
""")

_ACTORS: Final = text(f"""
select k.id, {_IS_ACTIVE} as is_active, (
  select coalesce(json_agg(json_build_array(g.permission_code, g.account_id)), '[]')
  from api_key_grants g where g.api_key_id = k.id
) as grants
from api_keys k where k.id = any(:key_ids)
""")  # noqa: S608 - a constant of ours

_ME: Final = text(f"""
select k.id, k.name, {_IS_ACTIVE} as is_active, {shown("k.created_at")} as created_at,
       array(select id from whatsapp_accounts where is_active order by id) as active_accounts
from api_keys k where k.id = :key_id
""")  # noqa: S608 - a constant of ours

_AUDIT: Final = text(f"""
select id, {shown("audit_entries.at")} as at, actor_kind, actor_id, action, target, account_id, details::text as details
from audit_entries
where (audit_entries.at, id) < (:at, :id)
  and (cast(:action as text) is null or action = :action or starts_with(action, :action || '.'))
order by audit_entries.at desc, id desc
limit :limit
""")  # noqa: S608 - a constant of ours

_GRANTS: Final = msgspec.json.Decoder(list[tuple[str, AccountId | None]])
_PERMISSIONS: Final = msgspec.json.Decoder(list[ApiKeyGrant])
_DETAILS: Final = msgspec.json.Decoder(dict[str, str | int | bool | list[str] | None])


class KeyQueries:
    """What `PostgresTeam` answers about keys. Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def api_keys(self) -> list[ApiKeyItem]:
        return [item_of(row) for row in await self._read.rows(_KEYS)]

    async def api_key(self, digest: bytes, now: datetime) -> LiveKey | None:
        row = await self._read.row(_BY_DIGEST, digest=digest, now=now)
        return None if row is None else LiveKey(id=row.id, expires_at=row.expires_at)

    async def actor(self, key_id: UserId) -> Actor | None:
        found = await self.actors([key_id])
        return found[0] if found else None

    async def actors(self, key_ids: Sequence[UserId]) -> list[Actor]:
        """Those that exist, revoked ones too."""
        return [_actor_of(row) for row in await self._read.rows(_ACTORS, key_ids=list(key_ids))]

    async def me(self, actor: Actor) -> Me:
        """Raises `UserNotFound` if the row went away meanwhile."""
        row = await self._read.row(_ME, key_id=actor.user_id)
        if row is None:
            raise UserNotFound
        profile = ProfileRow(
            user_id=row.id, email=None, display_name=row.name, is_active=row.is_active, created_at=row.created_at
        )
        return Me(
            id=row.id,
            email=None,
            profile=profile,
            permissions=expand(actor, row.active_accounts),
            roles=[],
            overrides=[],
        )

    async def audit(self, *, limit: int, before: Before | None, action: str | None) -> list[AuditItem]:
        rows = await self._read.rows(_AUDIT, **position(before), action=action, limit=limit)
        return [AuditItem(**{**row._asdict(), "details": _DETAILS.decode(row.details)}) for row in rows]


def item_of(row: AnyRow) -> ApiKeyItem:
    """From a row of `ITEM_COLUMNS`."""
    return ApiKeyItem(**{**row._asdict(), "permissions": _PERMISSIONS.decode(row.permissions)})


def _actor_of(row: AnyRow) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code, account_id in _GRANTS.decode(row.grants))
    return Actor(user_id=UserId(row.id), email=None, is_active=row.is_active, grants=grants, kind=ActorKind.API_KEY)
