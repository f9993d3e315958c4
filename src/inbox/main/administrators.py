"""People who sign in at this service itself: how the first ones come to be."""

import secrets
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from inbox.adapters.identity.newcomers import is_address, new_user, normal
from inbox.adapters.identity.passwords import Passwords
from inbox.domain.access import Actor, ActorKind, Grant, Permission, Subject
from inbox.domain.audit import Action, entry
from inbox.domain.errors import Invalid, RoleNotFound, UserNotFound
from inbox.domain.ids import UserId
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError
from inbox.ports.database import Database
from inbox.services.invitations import Handed, Invitations
from inbox.services.rights import Rights

_POWERS: Final = (Permission.USERS_MANAGE, Permission.ROLES_MANAGE, Permission.SETTINGS_MANAGE)

OPERATOR: Final = Actor(
    user_id=UserId(UUID(int=0)),
    email=None,
    is_active=True,
    grants=tuple(Grant(code=code, account_id=None) for code in _POWERS),
    kind=ActorKind.SYSTEM,
)
"""Whoever may run commands here: they hold the database and its keys anyway."""


async def create_admin(runtime: Runtime, email: str, password: str | None) -> str | None:
    """An administrator with `password`, or a random one; returns it. None if the person existed and keeps theirs."""
    container = build(runtime)
    try:
        database, rights = await container.get(Database), await container.get(Rights)
        secret = password or secrets.token_urlsafe(15)
        user_id, is_new = await add_person(database, Passwords(), email, secret)
        async with rights.changing(), database.transaction() as tx:
            await tx.members.make_admin(Subject(user_id=UserId(user_id), email=normal(email)))
            await tx.audit(entry(OPERATOR, Action.ADMIN_MADE, user_id))
        return secret if is_new else None
    finally:
        await container.close()


async def add_person(database: Database, passwords: Passwords, email: str, password: str) -> tuple[UUID, bool]:
    """A person with a password, and whether they are new: who has the e-mail already keeps theirs.

    Raises `SignInRefused` for a weak password or what is no address.
    """
    user = await new_user(passwords, email, password, now=datetime.now(UTC))
    async with database.transaction() as tx:
        if await tx.local_accounts.add_user(user):
            return user.id, True
        known = await tx.local_accounts.user_by_email(user.email)
        if known is None:
            raise LookupError("the e-mail is taken and not to be found")
        return known.id, False


async def invite(runtime: Runtime, email: str, full_name: str | None, role_slug: str | None) -> Handed:
    """The link for a new person, with the role everywhere. Raises `RoleNotFound`, and what `Invitations` raises."""
    _check_local(runtime)
    if not is_address(normal(email)):
        raise Invalid("EMAIL", "not an e-mail address")
    container = build(runtime)
    try:
        database = await container.get(Database)
        roles = [role.id for role in await database.team.roles() if role.slug == role_slug]
        if role_slug is not None and not roles:
            raise RoleNotFound(f"There is no role {role_slug!r}.")
        invitations = await container.get(Invitations)
        return await invitations.invite(OPERATOR, email, full_name, [(role_id, None) for role_id in roles])
    finally:
        await container.close()


async def reset_password(runtime: Runtime, email: str) -> Handed:
    """The link with which the person sets a new password. Raises `UserNotFound`."""
    _check_local(runtime)
    container = build(runtime)
    try:
        database = await container.get(Database)
        async with database.transaction() as tx:
            person = await tx.local_accounts.user_by_email(normal(email))
        if person is None:
            raise UserNotFound(f"Nobody with the address {email!r} signs in at this service.")
        invitations = await container.get(Invitations)
        return await invitations.reset(OPERATOR, UserId(person.id))
    finally:
        await container.close()


def _check_local(runtime: Runtime) -> None:
    if runtime.settings.supabase.url is not None:
        raise SettingsError("INBOX_SUPABASE_URL is set: people sign in at Supabase Auth, and are invited there.")
