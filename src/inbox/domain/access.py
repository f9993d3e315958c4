"""Who is asking, and what they may do. The rules are those of the permission contract."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.errors import PermissionDenied
from inbox.domain.ids import AccountId, UserId


class Permission(StrEnum):
    """The ten codes that exist. Any other code is never granted."""

    ACCOUNTS_VIEW = "accounts.view"
    ACCOUNTS_MANAGE = "accounts.manage"
    ACCOUNTS_ASSIGN = "accounts.assign"
    CONVERSATIONS_VIEW = "conversations.view"
    MESSAGES_VIEW = "messages.view"
    MESSAGES_SEND = "messages.send"
    CONTACTS_VIEW = "contacts.view"
    USERS_MANAGE = "users.manage"
    ROLES_MANAGE = "roles.manage"
    SETTINGS_MANAGE = "settings.manage"


GLOBAL_ONLY: Final = frozenset(
    {Permission.ACCOUNTS_MANAGE, Permission.CONTACTS_VIEW, Permission.USERS_MANAGE, Permission.ROLES_MANAGE}
)
"""Codes that are checked globally; rows of them at one account have no effect."""

KNOWING: Final = (
    Permission.ACCOUNTS_VIEW,
    Permission.CONVERSATIONS_VIEW,
    Permission.MESSAGES_VIEW,
    Permission.MESSAGES_SEND,
    Permission.SETTINGS_MANAGE,
)
"""Whoever holds one of these for an account may know that it exists."""


ADMIN_ROLE: Final = "admin"
"""The slug of the role that administrators hold globally. It cannot be deleted."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One row that speaks about a right: a code of a role, or an override. `account_id` None means everywhere."""

    code: str
    account_id: AccountId | None
    is_allowed: bool = True


class ActorKind(StrEnum):
    """Who acts: somebody, a program with an API key, or the service itself."""

    PERSON = "person"
    API_KEY = "api_key"
    SYSTEM = "system"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a token speaks for, as the identity provider proved it. Rights are not part of it.

    For a program `user_id` is the id of its API key.
    """

    user_id: UserId
    kind: ActorKind = ActorKind.PERSON
    email: str | None = None
    is_email_verified: bool = False
    display_name: str | None = None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts for which a caller holds a code: all but `accounts`, or these only. The filter of statements."""

    everywhere: bool
    accounts: tuple[AccountId, ...]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The caller with every grant that speaks about them. The order of grants never matters.

    For a program `user_id` is the id of its API key.
    """

    user_id: UserId
    email: str | None
    is_active: bool
    grants: tuple[Grant, ...] = ()
    kind: ActorKind = ActorKind.PERSON

    def holds(self, code: Permission) -> bool:
        """True if `code` is held globally: granted by a global row and denied by none."""
        rows = [g.is_allowed for g in self.grants if g.code == code and g.account_id is None]
        return bool(rows) and all(rows)

    def may(self, code: Permission, account: AccountId) -> bool:
        """True if `code` is held for `account`: a deny beats an allow of the same and of a wider scope."""
        if code in GLOBAL_ONLY:
            return self.holds(code)
        rows = [g.is_allowed for g in self.grants if g.code == code and g.account_id == account]
        return all(rows) if rows else self.holds(code)

    def knows(self, account: AccountId) -> bool:
        """True if the caller may know that `account` exists."""
        return any(self.may(code, account) for code in KNOWING)

    def require(self, code: Permission, account: AccountId, missing: type[Exception]) -> None:
        """Raises `missing` (a not-found error) for an unknown account, `PermissionDenied` for a missing right."""
        if not self.knows(account):
            raise missing
        if not self.may(code, account):
            raise PermissionDenied

    def require_everywhere(self, *codes: Permission) -> None:
        """For calls that concern no single account. Raises `PermissionDenied` unless all are held globally."""
        if not all(self.holds(code) for code in codes):
            raise PermissionDenied

    def covers(self, other: "Actor") -> bool:
        """True if whoever acts as `other` can do nothing that the caller could not do, or give themselves, anyway."""
        if self.holds(Permission.ROLES_MANAGE):
            return True
        named = {g.account_id for g in (*self.grants, *other.grants) if g.account_id is not None}
        return not any(
            (other.holds(code) and not self.holds(code))
            or any(other.may(code, account) and not self.may(code, account) for account in named)
            for code in Permission
        )

    def require_anywhere(self, code: Permission) -> None:
        """For lists: before anything is looked up. Raises `PermissionDenied` unless `code` is held for some account."""
        if not self.may_anywhere(code):
            raise PermissionDenied

    def may_anywhere(self, code: Permission) -> bool:
        """True if `code` is held globally or for at least one account that some row names."""
        reach = self.reach(code)
        return reach.everywhere or bool(reach.accounts)

    def reach(self, code: Permission) -> Reach:
        """The accounts for which `may` is true, those that no row names included."""
        everywhere = self.holds(code)
        named = {g.account_id for g in self.grants if g.account_id is not None}
        accounts = sorted(account for account in named if self.may(code, account) is not everywhere)
        return Reach(everywhere=everywhere, accounts=tuple(accounts))


class Expanded(msgspec.Struct, frozen=True, kw_only=True):
    """The rights in the shape of `/auth/me`: front ends only ask "in global" or "in accounts[a]"."""

    everywhere: list[str] = msgspec.field(name="global")
    accounts: dict[str, list[str]]


def expand(actor: Actor, active_accounts: Iterable[AccountId]) -> Expanded:
    """The rights of `actor` for front ends; the server itself decides by `may` and `holds` only."""
    accounts = list(active_accounts)
    everywhere: set[str] = set()
    narrowed: set[str] = set()
    for code in Permission:
        if not actor.holds(code):
            continue
        denied = code not in GLOBAL_ONLY and any(not actor.may(code, account) for account in accounts)
        (narrowed if denied else everywhere).add(code.value)
    per_account: dict[str, list[str]] = {}
    for account in accounts:
        named = {g.code for g in actor.grants if g.account_id == account}
        codes = sorted(
            code.value
            for code in Permission
            if code not in GLOBAL_ONLY and actor.may(code, account) and (code in named or code in narrowed)
        )
        if codes:
            per_account[str(account)] = codes
    return Expanded(everywhere=sorted(everywhere), accounts=per_account)
