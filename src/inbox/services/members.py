"""People who use the inbox: who they are to us, from their first sign-in on."""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

import msgspec

from inbox.domain.access import Actor, ActorKind, Grant, Permission, Subject
from inbox.domain.audit import Action, AuditEntry, entry
from inbox.domain.errors import Invalid, InvalidToken, UserDisabled
from inbox.domain.ids import AccountId, UserId
from inbox.ports.database import Database, Transaction
from inbox.ports.views import UserRow
from inbox.services.rights import Rights
from inbox.services.roles import keeping_an_admin

Assignment: TypeAlias = tuple[UUID, AccountId | None]
"""A role by its id, and the account where it counts; None is everywhere."""


class Members:
    """Turns whom a token speaks for into somebody with rights; administrators change those."""

    def __init__(
        self, database: Database, rights: Rights, *, bootstrap_email: str | None, default_role: str | None
    ) -> None:
        """`bootstrap_email` becomes administrator while there is none; `default_role` is given to new users, once."""
        self._database = database
        self._rights = rights
        self._bootstrap_email = bootstrap_email.strip().lower() if bootstrap_email else None
        self._default_role = default_role

    async def sign_in(self, subject: Subject) -> Actor:
        """The caller with every grant that counts now. The row of a person is made at their first request.

        Raises `UserDisabled`, and `InvalidToken` for an API key that is no more.
        """
        actor = await self._rights.actor(subject)
        if subject.kind is ActorKind.API_KEY:
            if actor is None or not actor.is_active:
                raise InvalidToken
            return actor
        if actor is None or self._may_become_admin(subject, actor):
            actor = await self._enter(subject)
        if actor is None or not actor.is_active:
            raise UserDisabled
        return actor

    async def list_all(self, actor: Actor) -> Sequence[UserRow]:
        """Everybody with their roles and overrides, oldest first. Raises `PermissionDenied`."""
        actor.require_everywhere(Permission.USERS_MANAGE, Permission.ROLES_MANAGE)
        return await self._database.team.users()

    async def set_active(self, actor: Actor, user_id: UserId, *, is_active: bool) -> None:
        """Who is not active is refused from the next request on.

        Raises `PermissionDenied`, `UserNotFound`, `LastAdmin`.
        """
        actor.require_everywhere(Permission.USERS_MANAGE)
        action = Action.MEMBER_ENABLED if is_active else Action.MEMBER_DISABLED
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, Permission.USERS_MANAGE),
        ):
            await tx.members.set_active(user_id, is_active=is_active)
            await tx.audit(entry(actor, action, user_id))

    async def assign_roles(self, actor: Actor, user_id: UserId, assignments: Sequence[Assignment]) -> None:
        """Replaces all roles of the user, or none of them.

        Raises `PermissionDenied`, `UserNotFound`, `Invalid` for a role or account that does not exist, `LastAdmin`.
        """
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, Permission.ROLES_MANAGE),
        ):
            await assign_roles(tx, actor, user_id, assignments)

    async def set_overrides(self, actor: Actor, user_id: UserId, overrides: Sequence[Grant]) -> None:
        """Replaces all overrides of the user, or none of them; of contradicting ones the deny stays.

        Raises `PermissionDenied`, `UserNotFound`, `Invalid` for a code or account that does not exist, `LastAdmin`.
        """
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, Permission.ROLES_MANAGE),
        ):
            await tx.members.lock(user_id)
            missing = await tx.roles.missing(
                codes={row.code for row in overrides},
                accounts={row.account_id for row in overrides if row.account_id is not None},
            )
            for place, row in enumerate(overrides):
                if row.code in missing.codes:
                    raise Invalid(f"body.overrides[{place}].permission_code", "no such permission")
                if row.account_id in missing.accounts:
                    raise Invalid(f"body.overrides[{place}].account_id", "no such account")
            await tx.members.replace_overrides(user_id, overrides)
            await tx.local_accounts.end_links_of_others(user_id, actor.user_id)
            allowed = {_scoped(row.code, row.account_id) for row in overrides if row.is_allowed}
            denied = {_scoped(row.code, row.account_id) for row in overrides if not row.is_allowed}
            await tx.audit(
                entry(actor, Action.OVERRIDES_SET, user_id, allowed=sorted(allowed - denied), denied=sorted(denied))
            )

    async def _enter(self, subject: Subject) -> Actor | None:
        async with self._database.transaction() as tx:
            done = await tx.members.sign_in(
                subject, bootstrap_email=self._bootstrap_email, default_role=self._default_role
            )
            who = AuditEntry(
                action=Action.MEMBER_JOINED,
                actor_kind=ActorKind.PERSON,
                actor_id=subject.user_id,
                target=str(subject.user_id),
            )
            await tx.audit(*(msgspec.structs.replace(who, action=action) for action in done))
        if done and Action.MEMBER_JOINED not in done:
            await self._rights.changed()  # of who just joined nobody can remember anything
        return await self._rights.actor(subject)

    def _may_become_admin(self, subject: Subject, actor: Actor) -> bool:
        """True for the bootstrap address that is not administrator yet, say because it was configured later."""
        return (
            self._bootstrap_email is not None
            and subject.is_email_verified
            and subject.email == self._bootstrap_email
            and actor.is_active
            and not actor.holds(Permission.ROLES_MANAGE)
        )


async def assign_roles(tx: Transaction, actor: Actor, user_id: UserId, assignments: Sequence[Assignment]) -> None:
    """The complete new set, within a larger change. Raises `UserNotFound`, and `Invalid` for what does not exist."""
    await tx.members.lock(user_id)
    missing = await tx.roles.missing(
        roles={role_id for role_id, _ in assignments}, accounts={at for _, at in assignments if at is not None}
    )
    for place, (role_id, account_id) in enumerate(assignments):
        if role_id in missing.roles:
            raise Invalid(f"body.assignments[{place}].role_id", "no such role")
        if account_id in missing.accounts:
            raise Invalid(f"body.assignments[{place}].account_id", "no such account")
    await tx.members.replace_roles(user_id, assignments)
    await tx.local_accounts.end_links_of_others(user_id, actor.user_id)
    roles = sorted({_scoped(str(role_id), at) for role_id, at in assignments})
    await tx.audit(entry(actor, Action.ROLES_ASSIGNED, user_id, roles=roles))


def _scoped(what: str, account_id: AccountId | None) -> str:
    return what if account_id is None else f"{what}@{account_id}"
