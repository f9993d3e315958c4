"""API keys: programs that act for the team, with rights of their own."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from inbox.domain.access import GLOBAL_ONLY, Actor, ActorKind, Grant, Permission
from inbox.domain.api_keys import NEVER_GRANTED, digest_of, hint_of, new_key
from inbox.domain.audit import Action, entry
from inbox.domain.clock import Clock
from inbox.domain.errors import AccountNotFound, Invalid, PermissionDenied
from inbox.domain.ids import uuid7
from inbox.ports.database import Database
from inbox.ports.records import NewApiKey
from inbox.ports.views import ApiKeyItem
from inbox.services.rights import Rights, changing_rights


class ApiKeys:
    """Every method is for people who hold `roles.manage`; a program never makes or ends a key.

    Raises `PermissionDenied` otherwise.
    """

    def __init__(self, database: Database, rights: Rights, clock: Clock) -> None:
        self._database = database
        self._rights = rights
        self._clock = clock

    async def all(self, actor: Actor) -> list[ApiKeyItem]:
        """Newest first; revoked ones too."""
        _require_person(actor)
        return await self._database.team.api_keys()

    async def create(
        self, actor: Actor, name: str, grants: Sequence[Grant], expires_at: datetime | None
    ) -> tuple[ApiKeyItem, str]:
        """A new key and its secret, which is not kept: nobody can be shown it again.

        A key never gets more than its maker holds. Raises `PermissionDenied`, and `Invalid` for a right that no key can
        have, an account that does not exist, and an end that is not in the future.
        """
        _require_person(actor)
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise Invalid("body.expires_at", "not in the future")
        key = new_key(secrets.token_urlsafe)
        new = NewApiKey(
            id=uuid7(),
            name=name,
            digest=digest_of(key),
            hint=hint_of(key),
            grants=tuple(grants),
            created_by=actor.user_id,
            created_at=now,
            expires_at=expires_at,
        )
        return await self._add(actor, new), key

    async def revoke(self, actor: Actor, key_id: UUID) -> None:
        """Ends a key in every process at once; a second time changes nothing. Raises `ApiKeyNotFound`."""
        _require_person(actor)
        async with self._rights.changing(), self._database.transaction() as tx:
            await changing_rights(tx, actor, Permission.ROLES_MANAGE)
            name = await tx.api_keys.revoke(key_id, self._clock())
            await tx.audit(entry(actor, Action.API_KEY_REVOKED, key_id, name=name))

    async def _add(self, actor: Actor, new: NewApiKey) -> ApiKeyItem:
        granted = list(dict.fromkeys(f"{grant.code}@{grant.account_id or 'all'}" for grant in new.grants))
        line = entry(actor, Action.API_KEY_CREATED, new.id, name=new.name, hint=new.hint, granted=granted)
        try:
            async with self._rights.changing(), self._database.transaction() as tx:
                maker = await changing_rights(tx, actor, Permission.ROLES_MANAGE)
                for place, grant in enumerate(new.grants):
                    _check(maker, grant, f"body.permissions[{place}]")
                item = await tx.api_keys.add(new)
                await tx.audit(line)
        except AccountNotFound:
            raise _no_account() from None
        return item


def _require_person(actor: Actor) -> None:
    actor.require_everywhere(Permission.ROLES_MANAGE)
    if actor.kind is not ActorKind.PERSON:
        raise PermissionDenied


def _check(actor: Actor, grant: Grant, path: str) -> None:
    """May `actor` give this right to a program?"""
    if grant.code not in set(Permission):
        raise Invalid(f"{path}.permission_code", "no such right")
    code = Permission(grant.code)
    if code in NEVER_GRANTED:
        raise Invalid(f"{path}.permission_code", "not for programs")
    if grant.account_id is None:
        reach = actor.reach(code)
        if not reach.everywhere or reach.accounts:
            # Somebody who is denied one account would reach it through a key for all of them.
            raise PermissionDenied
        return
    if code in GLOBAL_ONLY:
        raise Invalid(f"{path}.account_id", "this right is given for all accounts only")
    if not actor.may(code, grant.account_id):
        if actor.holds(code) and not actor.knows(grant.account_id):
            raise _no_account()  # they may not learn that it exists
        raise PermissionDenied


def _no_account() -> Invalid:
    return Invalid("body.permissions", "names an account that does not exist")
