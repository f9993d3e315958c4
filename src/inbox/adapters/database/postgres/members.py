"""Members of the team: their rows, and who administers first."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.queries_team import ACTOR, actor_of
from inbox.domain.access import ADMIN_ROLE, Actor, Grant, Permission, Subject
from inbox.domain.audit import Action
from inbox.domain.errors import RoleNotFound, UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7

_ADMINISTRATION: Final = (Permission.USERS_MANAGE, Permission.ROLES_MANAGE)
"""What an administrator must be able to do to count as one."""

# One at a time decide who is first; the row is freed by the end of the transaction.
CHANGE_RIGHTS: Final = text("update rights_version set version = version + 1")

# Nobody is made to wait, and no process to read rights anew, for a sign-in that changes nothing.
_IS_SETTLED: Final = text("""
select exists (select from app_users where user_id = :user_id) and (not :may_lead or exists (
  select from app_user_roles r join app_roles a on a.id = r.role_id join app_users u on u.user_id = r.user_id
  where a.slug = 'admin' and r.account_id is null and u.is_active))
""")

# `is_first` is read as of before the insert.
_SIGN_IN: Final = text("""
with newcomer as (
  insert into app_users (user_id, email, display_name, is_active) values (:user_id, :email, :display_name, true)
  on conflict (user_id) do nothing
  returning user_id
)
select exists (select from newcomer) as is_new, not exists (select from app_users) as is_first
""")

_LEAD: Final = text("""
insert into app_user_roles (id, user_id, role_id, account_id)
select :id, u.user_id, r.id, null
from app_users u cross join app_roles r
where u.user_id = :user_id and u.is_active and r.slug = 'admin' and not exists (
  select from app_user_roles ar join app_users au on au.user_id = ar.user_id
  where ar.role_id = r.id and ar.account_id is null and au.is_active)
on conflict do nothing
returning user_id
""")

_ACTIVATE: Final = text("""
insert into app_users (user_id, email, display_name, is_active) values (:user_id, :email, :display_name, true)
on conflict (user_id) do update
set is_active = true, email = coalesce(app_users.email, excluded.email),
    display_name = coalesce(app_users.display_name, excluded.display_name)
""")

_ASSIGN: Final = text("""
with role as (
  select id from app_roles where slug = :slug
), given as (
  insert into app_user_roles (id, user_id, role_id, account_id)
  select cast(:id as uuid), cast(:user_id as uuid), id, cast(:account_id as uuid) from role
  on conflict do nothing
)
select exists (select from role)
""")

_ADD: Final = text("""
insert into app_users (user_id, email, display_name, is_active) values (:user_id, :email, :display_name, true)
on conflict (user_id) do nothing
""")

_LOCK: Final = text("select user_id from app_users where user_id = :user_id for no key update")

_SET_ACTIVE: Final = text("update app_users set is_active = :is_active where user_id = :user_id returning user_id")

# Rows that stay keep their ids.
_TAKE_ROLES: Final = text("""
delete from app_user_roles r where r.user_id = :user_id and not exists (
  select from unnest(cast(:roles as uuid[]), cast(:accounts as uuid[])) n(role_id, account_id)
  where n.role_id = r.role_id and n.account_id is not distinct from r.account_id)
""")

_GIVE_ROLES: Final = text("""
insert into app_user_roles (id, user_id, role_id, account_id)
select n.id, :user_id, n.role_id, n.account_id
from unnest(cast(:ids as uuid[]), cast(:roles as uuid[]), cast(:accounts as uuid[])) n(id, role_id, account_id)
on conflict do nothing
""")

_TAKE_OVERRIDES: Final = text("""
delete from app_user_overrides o where o.user_id = :user_id and not exists (
  select from unnest(cast(:codes as text[]), cast(:accounts as uuid[])) n(code, account_id)
  where n.code = o.permission_code and n.account_id is not distinct from o.account_id)
""")

_GIVE_OVERRIDES: Final = text("""
insert into app_user_overrides (id, user_id, permission_code, account_id, is_allowed)
select n.id, :user_id, n.code, n.account_id, n.is_allowed
from unnest(cast(:ids as uuid[]), cast(:codes as text[]), cast(:accounts as uuid[]), cast(:allowed as boolean[]))
     n(id, code, account_id, is_allowed)
on conflict (user_id, permission_code, account_id) do update set is_allowed = excluded.is_allowed
where app_user_overrides.is_allowed <> excluded.is_allowed
""")

_ADMINS: Final = text("""
select u.user_id, g.code, g.is_allowed
from app_users u cross join lateral (
  select p.permission_code as code, true as is_allowed
  from app_user_roles r join role_permissions p on p.role_id = r.role_id
  where r.user_id = u.user_id and r.account_id is null
  union
  select o.permission_code, o.is_allowed from app_user_overrides o where o.user_id = u.user_id and o.account_id is null
) g
where u.is_active and exists (
  select from app_user_roles r join app_roles a on a.id = r.role_id
  where r.user_id = u.user_id and r.account_id is null and a.slug = 'admin')
""")


class PostgresMembers:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def sign_in(
        self, subject: Subject, *, bootstrap_email: str | None, default_role: str | None
    ) -> tuple[Action, ...]:
        """A `default_role` that does not exist any more gives nothing."""
        may_lead = bool(bootstrap_email) and _has_address(subject, bootstrap_email or "")
        user = {"user_id": subject.user_id, "may_lead": may_lead}
        if (await self._connection.execute(_IS_SETTLED, user)).scalar_one():
            return ()
        await self._connection.execute(CHANGE_RIGHTS)
        seen = (await self._connection.execute(_SIGN_IN, _row(subject))).one()
        joined = (Action.MEMBER_JOINED,) if seen.is_new else ()
        if not bootstrap_email:
            may_lead = seen.is_first
        if may_lead and await self._lead(subject.user_id):
            return (*joined, Action.ADMIN_MADE)
        if seen.is_new and default_role:
            await self._assign(subject.user_id, default_role, None)
        return joined

    async def make_admin(self, subject: Subject) -> None:
        """Raises `RoleNotFound` if the role `admin` is missing."""
        await self._connection.execute(CHANGE_RIGHTS)
        await self._connection.execute(_ACTIVATE, _row(subject))
        await self.assign(subject.user_id, ADMIN_ROLE, None)

    async def assign(self, user_id: UserId, role_slug: str, account_id: AccountId | None) -> None:
        """Raises `RoleNotFound`, `UserNotFound`, `AccountNotFound`."""
        with database_errors():
            is_known = await self._assign(user_id, role_slug, account_id)
        if not is_known:
            raise RoleNotFound

    async def add(self, subject: Subject) -> None:
        await self._connection.execute(_ADD, _row(subject))

    async def lock(self, user_id: UserId) -> None:
        """Raises `UserNotFound`."""
        if (await self._connection.execute(_LOCK, {"user_id": user_id})).one_or_none() is None:
            raise UserNotFound

    async def actor(self, user_id: UserId) -> Actor | None:
        row = (await self._connection.execute(ACTOR, {"user_id": user_id})).one_or_none()
        return None if row is None else actor_of(row)

    async def set_active(self, user_id: UserId, *, is_active: bool) -> None:
        """Raises `UserNotFound`."""
        values = {"user_id": user_id, "is_active": is_active}
        if (await self._connection.execute(_SET_ACTIVE, values)).one_or_none() is None:
            raise UserNotFound

    async def replace_roles(self, user_id: UserId, assignments: Sequence[tuple[UUID, AccountId | None]]) -> None:
        """Raises `UserNotFound`, `RoleNotFound`, `AccountNotFound`."""
        await self.lock(user_id)
        rows = list(dict.fromkeys(assignments))
        values = {
            "user_id": user_id,
            "ids": [uuid7() for _ in rows],
            "roles": [role_id for role_id, _ in rows],
            "accounts": [account_id for _, account_id in rows],
        }
        with database_errors():
            await self._connection.execute(_TAKE_ROLES, values)
            await self._connection.execute(_GIVE_ROLES, values)

    async def replace_overrides(self, user_id: UserId, overrides: Sequence[Grant]) -> None:
        """Raises `UserNotFound`, `AccountNotFound`."""
        await self.lock(user_id)
        rows: dict[tuple[str, AccountId | None], bool] = {}
        for override in overrides:
            scope = (override.code, override.account_id)
            rows[scope] = rows.get(scope, True) and override.is_allowed
        values = {
            "user_id": user_id,
            "ids": [uuid7() for _ in rows],
            "codes": [code for code, _ in rows],
            "accounts": [account_id for _, account_id in rows],
            "allowed": list(rows.values()),
        }
        with database_errors():
            await self._connection.execute(_TAKE_OVERRIDES, values)
            await self._connection.execute(_GIVE_OVERRIDES, values)

    async def has_admin(self) -> bool:
        """The verdict is the domain's, the same as for a request."""
        grants: dict[UserId, list[Grant]] = {}
        for row in (await self._connection.execute(_ADMINS)).all():
            given = Grant(code=row.code, account_id=None, is_allowed=row.is_allowed)
            grants.setdefault(UserId(row.user_id), []).append(given)
        admins = (
            Actor(user_id=user_id, email=None, is_active=True, grants=tuple(rows)) for user_id, rows in grants.items()
        )
        return any(all(map(admin.holds, _ADMINISTRATION)) for admin in admins)

    async def _lead(self, user_id: UserId) -> bool:
        values = {"id": uuid7(), "user_id": user_id}
        return (await self._connection.execute(_LEAD, values)).one_or_none() is not None

    async def _assign(self, user_id: UserId, role_slug: str, account_id: AccountId | None) -> bool:
        values = {"id": uuid7(), "user_id": user_id, "slug": role_slug, "account_id": account_id}
        return bool((await self._connection.execute(_ASSIGN, values)).scalar_one())


def _row(subject: Subject) -> dict[str, UUID | str | None]:
    return {"user_id": subject.user_id, "email": subject.email, "display_name": subject.display_name}


def _has_address(subject: Subject, address: str) -> bool:
    """Case is ignored. An address that nobody verified proves nothing."""
    return subject.is_email_verified and (subject.email or "").casefold() == address.casefold()
