"""Reads about people, programs and what they may do: autocommitted, one statement each."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import text

from inbox.adapters.database.postgres.queries_keys import KeyQueries
from inbox.adapters.database.postgres.reading import AnyRow, Reader
from inbox.adapters.database.postgres.roles import ROLE_COLUMNS
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Actor, ActorKind, Grant, Subject, expand
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import AccountId, UserId
from inbox.ports.queries import Before
from inbox.ports.team import LiveKey
from inbox.ports.views import (
    ApiKeyItem,
    AuditItem,
    Me,
    OverrideItem,
    PermissionItem,
    ProfileRow,
    RoleItem,
    RoleRow,
    UserOverride,
    UserRow,
)

_VERSION_SECONDS: Final = 0.5

_ACTORS_SQL: Final = """
select u.user_id, u.email, coalesce(u.is_active, false) as is_active, (
  select coalesce(json_agg(json_build_array(g.code, g.account_id, g.is_allowed)), '[]') from (
    select p.permission_code as code, r.account_id, true as is_allowed
    from app_user_roles r join role_permissions p on p.role_id = r.role_id where r.user_id = u.user_id
    union
    select o.permission_code, o.account_id, o.is_allowed from app_user_overrides o where o.user_id = u.user_id
  ) g where g.code is not null
) as grants
from app_users u where u.user_id = """
ACTOR: Final = text(f"{_ACTORS_SQL}:user_id")
_ACTORS: Final = text(f"{_ACTORS_SQL}any(:user_ids)")

_IS_MEMBER: Final = text("select exists (select from app_users where user_id = :user_id)")

RIGHTS_VERSION: Final = text("select version from rights_version")

# Times of old rows may be missing: 1970 stands for unknown.
_PERSON: Final = f"""
u.user_id, u.email, u.display_name, coalesce(u.is_active, false) as is_active,
{shown("coalesce(u.created_at, to_timestamp(0))")} as created_at, (
  select coalesce(json_agg(json_build_object('id', r.id, 'role_id', r.role_id, 'role_slug', a.slug,
                                             'role_name', a.name, 'account_id', r.account_id)
                           order by a.name, r.id), '[]')
  from app_user_roles r left join app_roles a on a.id = r.role_id
  where r.user_id = u.user_id and r.role_id is not null
) as roles
"""  # noqa: S608 - a constant of ours

_ME: Final = text(f"""
select {_PERSON}, (
  select coalesce(json_agg(json_build_object('id', o.id, 'permission_code', o.permission_code,
                                             'account_id', o.account_id, 'is_allowed', o.is_allowed)
                           order by o.permission_code, o.id), '[]')
  from app_user_overrides o where o.user_id = u.user_id and o.permission_code is not null
) as overrides, array(select id from whatsapp_accounts where is_active order by id) as active_accounts
from app_users u where u.user_id = :user_id
""")  # noqa: S608 - a constant of ours

_PERMISSIONS: Final = text('select code, label, description from app_permissions order by code collate "C"')

_ALL_ROLES: Final = text(f"select {ROLE_COLUMNS} from app_roles r order by r.name, r.id")  # noqa: S608 - columns of ours

_USERS: Final = text(f"""
select {_PERSON}, (
  select coalesce(json_agg(json_build_object('id', o.id, 'user_id', o.user_id, 'permission_code', o.permission_code,
                                             'account_id', o.account_id, 'is_allowed', o.is_allowed)
                           order by o.permission_code, o.id), '[]')
  from app_user_overrides o where o.user_id = u.user_id and o.permission_code is not null
) as overrides
from app_users u order by coalesce(u.created_at, to_timestamp(0)), u.user_id
""")  # noqa: S608 - a constant of ours

_GRANTS: Final = msgspec.json.Decoder(list[tuple[str, AccountId | None, bool]])
_ROLES: Final = msgspec.json.Decoder(list[RoleItem])
_OVERRIDES: Final = msgspec.json.Decoder(list[OverrideItem])
_USER_OVERRIDES: Final = msgspec.json.Decoder(list[UserOverride])


class PostgresTeam:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader
        self._keys = KeyQueries(reader)

    async def actor(self, subject: Subject) -> Actor | None:
        if subject.kind is ActorKind.API_KEY:
            return await self._keys.actor(subject.user_id)
        row = await self._read.row(ACTOR, user_id=subject.user_id)
        return None if row is None else actor_of(row)

    async def actors(self, subjects: Collection[Subject]) -> dict[Subject, Actor]:
        """One statement for people and one for programs, if there are any among them."""
        keys = [subject.user_id for subject in subjects if subject.kind is ActorKind.API_KEY]
        people = [subject.user_id for subject in subjects if subject.kind is not ActorKind.API_KEY]
        found = await self._keys.actors(keys) if keys else []
        if people:
            found += [actor_of(row) for row in await self._read.rows(_ACTORS, user_ids=people)]
        by_id = {(actor.user_id, actor.kind is ActorKind.API_KEY): actor for actor in found}
        known = {subject: by_id.get((subject.user_id, subject.kind is ActorKind.API_KEY)) for subject in subjects}
        return {subject: actor for subject, actor in known.items() if actor is not None}

    async def me(self, actor: Actor) -> Me:
        """Raises `UserNotFound` if the row went away meanwhile."""
        if actor.kind is ActorKind.API_KEY:
            return await self._keys.me(actor)
        row = await self._read.row(_ME, user_id=actor.user_id)
        if row is None:
            raise UserNotFound
        return _me_of(actor, row)

    async def rights_version(self) -> int:
        (row,) = await self._read.rows(RIGHTS_VERSION, _VERSION_SECONDS)
        return int(row.version)

    async def permissions(self) -> list[PermissionItem]:
        return [PermissionItem(*row) for row in await self._read.rows(_PERMISSIONS)]

    async def roles(self) -> list[RoleRow]:
        return [RoleRow(**row._asdict()) for row in await self._read.rows(_ALL_ROLES)]

    async def users(self) -> list[UserRow]:
        return [_user_of(row) for row in await self._read.rows(_USERS)]

    async def api_keys(self) -> list[ApiKeyItem]:
        return await self._keys.api_keys()

    async def api_key(self, digest: bytes, now: datetime) -> LiveKey | None:
        return await self._keys.api_key(digest, now)

    async def audit(self, *, limit: int, before: Before | None, action: str | None) -> list[AuditItem]:
        return await self._keys.audit(limit=limit, before=before, action=action)

    async def is_member(self, user_id: UserId) -> bool:
        row = await self._read.row(_IS_MEMBER, user_id=user_id)
        return row is not None and bool(row[0])


def actor_of(row: AnyRow) -> Actor:
    """From a row of `ACTOR`."""
    grants = tuple(
        Grant(code=code, account_id=account_id, is_allowed=is_allowed)
        for code, account_id, is_allowed in _GRANTS.decode(row.grants)
    )
    return Actor(user_id=UserId(row.user_id), email=row.email, is_active=row.is_active, grants=grants)


def _user_of(row: AnyRow) -> UserRow:
    """From a row of `_USERS`."""
    lists = {"roles": _ROLES.decode(row.roles), "overrides": _USER_OVERRIDES.decode(row.overrides)}
    return UserRow(**{**row._asdict(), **lists})


def _me_of(actor: Actor, row: AnyRow) -> Me:
    """From a row of `_ME`. The rights are those of `actor`."""
    return Me(
        id=row.user_id,
        email=row.email,
        profile=ProfileRow(
            user_id=row.user_id,
            email=row.email,
            display_name=row.display_name,
            is_active=row.is_active,
            created_at=row.created_at,
        ),
        permissions=expand(actor, row.active_accounts),
        roles=_ROLES.decode(row.roles),
        overrides=_OVERRIDES.decode(row.overrides),
    )
