"""Accounts of people who sign in at this service itself, and the keys that sign their tokens."""

from datetime import datetime
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


class LocalSession(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in. There is no table of refresh tokens: they are signed and recomputed from the counter."""

    id: UUID
    user_id: UUID
    refresh_counter: int
    created_at: datetime
    refreshed_at: datetime
    not_after: datetime | None


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

    async def signing_keys(self) -> list[SigningKey]: ...

    async def add_signing_key(self, key: SigningKey) -> SigningKey:
        """Makes `key` the current one, or returns the current one if there is one by now."""
        ...

    async def count_attempt(self, key: bytes, window_start: datetime) -> int:
        """Counts one attempt to sign in under `key` (a keyed digest) and returns how many there are in the window."""
        ...
