"""Roles: what they are called and which permissions they hold."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from inbox.domain.access import ADMIN_ROLE, Actor, Permission
from inbox.domain.audit import Action, entry
from inbox.domain.errors import CannotDeleteAdminRole, Invalid, LastAdmin, RoleNotFound
from inbox.domain.ids import uuid7
from inbox.ports.database import Database, Transaction
from inbox.ports.records import Role, RoleChange
from inbox.ports.views import PermissionItem, RoleRow
from inbox.services.rights import Rights, changing_rights


@asynccontextmanager
async def keeping_an_admin(tx: Transaction, actor: Actor, *codes: Permission) -> AsyncIterator[Actor]:
    """For changes of rights: those of `changing_rights`, and none that takes the last administrator away.

    Gives the caller as they are now. Raises `PermissionDenied` and `LastAdmin`, so that nothing commits. Where there
    was no administrator before, nothing is refused.
    """
    now = await changing_rights(tx, actor, *codes)
    had_admin = await tx.members.has_admin()
    yield now
    if had_admin and not await tx.members.has_admin():
        raise LastAdmin


class Roles:
    """Whoever holds roles.manage may put any permission into a role: the code is the right to give rights."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def permissions(self, actor: Actor) -> Sequence[PermissionItem]:
        """Every code there is. Raises `PermissionDenied`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        return await self._database.team.permissions()

    async def list_all(self, actor: Actor) -> Sequence[RoleRow]:
        """By name. Raises `PermissionDenied`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        return await self._database.team.roles()

    async def create(
        self, actor: Actor, *, slug: str, name: str, description: str | None, permissions: Sequence[str]
    ) -> RoleRow:
        """The role, its permissions in the order given. Raises `PermissionDenied`, `SlugTaken`, `Invalid`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        codes = tuple(dict.fromkeys(permissions))
        role = Role(id=uuid7(), slug=slug, name=name, description=description, permissions=codes)
        async with self._rights.changing(), self._database.transaction() as tx:
            await changing_rights(tx, actor, Permission.ROLES_MANAGE)
            await _check_codes(tx, permissions)
            row = await tx.roles.add(role)
            await tx.audit(entry(actor, Action.ROLE_CREATED, role.id, slug=slug, name=name, permissions=list(codes)))
        return msgspec.structs.replace(row, permissions=list(codes))

    async def change(self, actor: Actor, role_id: UUID, change: RoleChange) -> RoleRow:
        """The role as it is now; permissions in the order given, or sorted if they stay.

        Raises `PermissionDenied`, `RoleNotFound`, `SlugTaken`, `Invalid`, `LastAdmin`.
        """
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, Permission.ROLES_MANAGE),
        ):
            before = await tx.roles.get(role_id)
            if before is None:
                raise RoleNotFound
            if change.permissions is not msgspec.UNSET:
                await _check_codes(tx, change.permissions)
                change = msgspec.structs.replace(change, permissions=tuple(dict.fromkeys(change.permissions)))
            row = await tx.roles.change(role_id, change)
            line = entry(actor, Action.ROLE_CHANGED, role_id)
            await tx.audit(msgspec.structs.replace(line, details=_differences(before, row)))
        if change.permissions is msgspec.UNSET:
            return row
        return msgspec.structs.replace(row, permissions=list(change.permissions))

    async def delete(self, actor: Actor, role_id: UUID) -> None:
        """With its assignments. Raises `PermissionDenied`, `RoleNotFound`, `CannotDeleteAdminRole`, `LastAdmin`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, Permission.ROLES_MANAGE),
        ):
            role = await tx.roles.get(role_id)
            if role is None:
                raise RoleNotFound
            if role.slug == ADMIN_ROLE:
                raise CannotDeleteAdminRole
            await tx.roles.remove(role_id)
            await tx.audit(entry(actor, Action.ROLE_DELETED, role_id, slug=role.slug, name=role.name))


async def _check_codes(tx: Transaction, codes: Collection[str]) -> None:
    unknown = (await tx.roles.missing(codes=codes)).codes
    for place, code in enumerate(codes):
        if code in unknown:
            raise Invalid(f"body.permissions[{place}]", "no such permission")


def _differences(before: RoleRow, after: RoleRow) -> dict[str, str | list[str] | None]:
    """What an administrator reads later: the values that are new, and what became of the permissions."""
    pairs = {
        "slug": (before.slug, after.slug),
        "name": (before.name, after.name),
        "description": (before.description, after.description),
    }
    moved = {
        "given": [code for code in after.permissions if code not in before.permissions],
        "taken": [code for code in before.permissions if code not in after.permissions],
    }
    return {name: new for name, (old, new) in pairs.items() if old != new} | {
        name: codes for name, codes in moved.items() if codes
    }
