"""Invitations and forgotten passwords of local accounts: links that administrators pass on."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec

from inbox.domain.access import Actor, ActorKind, Permission, Subject
from inbox.domain.audit import Action, entry
from inbox.domain.errors import EmailTaken, PermissionDenied, RoleNotFound, UserNotFound
from inbox.domain.ids import UserId
from inbox.ports.database import Database, Transaction
from inbox.ports.identity import Links
from inbox.ports.local_accounts import LocalUser, Purpose
from inbox.services.members import Assignment, assign_roles
from inbox.services.rights import Rights, changing_rights
from inbox.services.roles import keeping_an_admin


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A link for one person, good once and until `expires_at`. Whoever opens it acts as that person."""

    user_id: UserId
    url: str
    expires_at: datetime


class Invitations:
    """Who hands out a link could use it. So a link never leads to rights that its maker lacks."""

    def __init__(self, database: Database, rights: Rights, links: Links, *, default_role: str | None) -> None:
        """`default_role` is given to newcomers who are invited without roles, once."""
        self._database = database
        self._rights = rights
        self._links = links
        self._default_role = default_role

    async def invite(
        self, actor: Actor, email: str, full_name: str | None, assignments: Sequence[Assignment]
    ) -> Handed:
        """A person without a password, with these roles, and the link that lets them set one.

        Who never set a password may be invited again: the same person, a new link, the old one is no more, and roles
        are replaced if some are given. Raises `PermissionDenied`, also if the person would hold more than the caller,
        be it by the default role; `EmailTaken`, `LastAdmin`, and `Invalid` for what is no address, and for roles and
        accounts that do not exist.
        """
        needed = (Permission.USERS_MANAGE, *([Permission.ROLES_MANAGE] if assignments else []))
        actor.require_everywhere(*needed)
        newcomer = self._links.newcomer(email, full_name)
        async with self._database.transaction() as tx:
            known = await tx.local_accounts.user_by_email(newcomer.email)
        if known is not None:
            _check_open(known)
        async with (
            self._rights.changing(),
            self._database.transaction() as tx,
            keeping_an_admin(tx, actor, *needed) as maker,
        ):
            person = await self._enter(tx, newcomer, is_new=known is None)
            user_id = UserId(person.id)
            if assignments:
                await assign_roles(tx, actor, user_id, assignments)
            elif known is None and self._default_role is not None:
                with suppress(RoleNotFound):  # one that is no more gives nothing
                    await tx.members.assign(user_id, self._default_role, None)
            await _check_covered(tx, maker, user_id)
            handed = await self._hand(tx, actor, user_id, Purpose.INVITE)
            await tx.audit(entry(actor, Action.MEMBER_INVITED, user_id, email=person.email, again=known is not None))
        return handed

    async def reset(self, actor: Actor, user_id: UserId) -> Handed:
        """A link that lets a person set a new password.

        Raises `PermissionDenied`, also for a person with more rights than the caller, and `UserNotFound` for who has no
        account here.
        """
        actor.require_everywhere(Permission.USERS_MANAGE)
        async with self._database.transaction() as tx:
            # Nobody is given rights between the look at them and the link.
            await _check_covered(tx, await changing_rights(tx, actor, Permission.USERS_MANAGE), user_id)
            if await tx.local_accounts.user(user_id) is None:
                raise UserNotFound
            handed = await self._hand(tx, actor, user_id, Purpose.RECOVERY)
            await tx.audit(entry(actor, Action.RESET_LINK_MADE, user_id))
        return handed

    async def _enter(self, tx: Transaction, newcomer: LocalUser, *, is_new: bool) -> LocalUser:
        """The person with the newcomer's address. Raises `EmailTaken`, also if somebody else was faster."""
        if await tx.local_accounts.add_user(newcomer):
            person = newcomer
        else:
            known = await tx.local_accounts.user_by_email(newcomer.email)
            if known is None or is_new:
                raise EmailTaken
            _check_open(known)
            person = known
        name = person.user_metadata.get("full_name")
        await tx.members.add(Subject(user_id=UserId(person.id), email=person.email, display_name=name))
        return person

    async def _hand(self, tx: Transaction, actor: Actor, user_id: UserId, purpose: Purpose) -> Handed:
        link = self._links.link(user_id, purpose, None if actor.kind is ActorKind.SYSTEM else actor.user_id)
        await tx.local_accounts.add_link(link.stored)
        return Handed(user_id=user_id, url=link.url, expires_at=link.stored.expires_at)


async def _check_covered(tx: Transaction, maker: Actor, user_id: UserId) -> None:
    target = await tx.members.actor(user_id)
    if target is not None and not maker.covers(target):
        raise PermissionDenied


def _check_open(person: LocalUser) -> None:
    if person.password_hash is not None:
        raise EmailTaken
