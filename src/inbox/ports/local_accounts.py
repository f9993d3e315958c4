"""Accounts of people who sign in at this service itself, and the keys that sign their tokens."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec


class LocalUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person who signs in with e-mail (lower case) and password (argon2id)."""

    id: UUID
    email: str
    password_hash: str | None
    user_metadata: dict[str, Any]
    email_confirmed_at: datetime | None
    last_sign_in_at: datetime | None
    banned_until: datetime | None
    created_at: datetime
    updated_at: datetime

    def is_banned(self, now: datetime) -> bool:
        return self.banned_until is not None and self.banned_until > now


class LocalSession(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in. There is no table of refresh tokens: they are signed and recomputed from the counter.

    `method` is `password`, or `otp` for one that a link began, until a password is set in it.
    """

    id: UUID
    user_id: UUID
    refresh_counter: int
    created_at: datetime
    refreshed_at: datetime
    not_after: datetime | None
    method: str = "password"


class Purpose(StrEnum):
    """What a one-time link is for, in the words of GoTrue."""

    INVITE = "invite"
    RECOVERY = "recovery"


class OneTimeLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that lets its person in once, to set a password. Of its token only the SHA-256 is stored.

    `created_by` is the administrator who made it, None for the command line.
    """

    id: UUID
    user_id: UUID
    purpose: Purpose
    digest: bytes
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An ES256 key (PEM). `state` is `standby`, `current` or `retired`."""

    kid: UUID
    private_key_pem: str
    public_jwk: dict[str, Any]
    state: str


class LocalAccounts(Protocol):
    """Storage of local accounts."""

    async def user_by_email(self, email: str) -> LocalUser | None: ...

    async def user(self, user_id: UUID) -> LocalUser | None: ...

    async def add_user(self, user: LocalUser) -> bool:
        """False if the e-mail is taken; then nothing changes."""
        ...

    async def confirm(self, user_id: UUID, now: datetime) -> None:
        """The address counts as the person's own from `now` on, if it did not before."""
        ...

    async def set_password(self, user_id: UUID, password_hash: str, now: datetime) -> None: ...

    async def signed_in(self, user_id: UUID, now: datetime) -> None: ...

    async def add_session(self, session: LocalSession, *, user_agent: str | None, address: str | None) -> None: ...

    async def session(self, session_id: UUID) -> LocalSession | None: ...

    async def lock_session(self, session_id: UUID) -> LocalSession | None:
        """The row, locked until the transaction ends."""
        ...

    async def rotate_session(self, session_id: UUID, counter: int, now: datetime) -> None: ...

    async def end_sessions(self, user_id: UUID, *, only: UUID | None = None, keep: UUID | None = None) -> None:
        """Ends the session `only`, or all sessions of the user but `keep`."""
        ...

    async def forget_sessions(self, user_id: UUID, now: datetime) -> None:
        """Removes the sessions of the user that were over before `now`."""
        ...

    async def set_method(self, session_id: UUID, method: str, not_after: datetime) -> None: ...

    async def add_link(self, link: OneTimeLink) -> None:
        """Locks the person's row; earlier links for the same purpose are no more."""
        ...

    async def use_link(self, digest: bytes, purpose: Purpose, now: datetime) -> UUID | None:
        """Whose link this is, and it is used up; None if it was before, has expired or never was.

        Locks the person's row. Of several that come at once one gets the person.
        """
        ...

    async def end_links(self, user_id: UUID) -> None:
        """No link of the person, whatever its purpose, can be used any more."""
        ...

    async def end_links_of_others(self, user_id: UUID, maker: UUID) -> None:
        """Like `end_links`, but those that `maker` or the server itself made stay good."""
        ...

    async def signing_keys(self) -> list[SigningKey]: ...

    async def add_signing_key(self, key: SigningKey) -> SigningKey:
        """Makes `key` the current one, or returns the current one if there is one by now."""
        ...

    async def count_attempt(self, key: bytes, window_start: datetime) -> int:
        """Counts one attempt to sign in under `key` (a keyed digest) and returns how many there are in the window."""
        ...

    async def forget_attempts(self, before: datetime) -> None:
        """Removes counts of windows that began before then, some hundreds at a time."""
        ...
