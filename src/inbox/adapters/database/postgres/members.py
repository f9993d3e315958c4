"""Members of the team: their rows, and who administers first."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.domain.access import Subject
from inbox.domain.errors import RoleNotFound
from inbox.domain.ids import AccountId, UserId, uuid7

ADMIN: Final = "admin"

# One at a time decide who is first. Freed by the end of the transaction; the number is ours by choice only.
_ONE_AT_A_TIME: Final = text("select pg_advisory_xact_lock(453792096)")

_IS_MEMBER: Final = text("select exists (select from app_users where user_id = :user_id)")

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


class PostgresMembers:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def sign_in(self, subject: Subject, *, bootstrap_email: str | None, default_role: str | None) -> None:
        """A `default_role` that does not exist any more gives nothing."""
        may_lead = bool(bootstrap_email) and _has_address(subject, bootstrap_email or "")
        user = {"user_id": subject.user_id}
        if not may_lead and (await self._connection.execute(_IS_MEMBER, user)).scalar_one():
            return
        await self._connection.execute(_ONE_AT_A_TIME)
        seen = (await self._connection.execute(_SIGN_IN, _row(subject))).one()
        if not bootstrap_email:
            may_lead = seen.is_first
        if may_lead and await self._lead(subject.user_id):
            return
        if seen.is_new and default_role:
            await self._assign(subject.user_id, default_role, None)

    async def make_admin(self, subject: Subject) -> None:
        """Raises `RoleNotFound` if the role `admin` is missing."""
        await self._connection.execute(_ONE_AT_A_TIME)
        await self._connection.execute(_ACTIVATE, _row(subject))
        await self.assign(subject.user_id, ADMIN, None)

    async def assign(self, user_id: UserId, role_slug: str, account_id: AccountId | None) -> None:
        """Raises `RoleNotFound`, `UserNotFound`, `AccountNotFound`."""
        with database_errors():
            is_known = await self._assign(user_id, role_slug, account_id)
        if not is_known:
            raise RoleNotFound

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
