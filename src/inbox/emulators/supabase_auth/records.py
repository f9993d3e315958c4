"""Users and auth sessions in memory."""

import hashlib
import hmac
import secrets
from collections import deque
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

ROUNDS: Final = 1_000  # an emulator's passwords guard nothing; logins must be cheap
OLD_TOKENS_KEPT: Final = 64  # per auth session
LONGEST_PASSWORD: Final = 72  # bytes, the vendor's limit

Json = dict[str, Any]


class Password(msgspec.Struct, frozen=True):
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, clear: str) -> "Password":
        salt = secrets.token_bytes(16)
        return cls(salt, _stretched(clear, salt))

    def fits(self, clear: str) -> bool:
        return hmac.compare_digest(self.digest, _stretched(clear, self.salt))


class User(msgspec.Struct, kw_only=True):
    """One account. `banned_until` in the past means not banned; e-mail addresses are lower case."""

    id: UUID
    identity_id: UUID
    email: str
    created_at: datetime
    updated_at: datetime
    password: Password | None = None
    role: str = "authenticated"
    email_confirmed_at: datetime | None = None
    invited_at: datetime | None = None
    confirmation_sent_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    banned_until: datetime | None = None
    deleted_at: datetime | None = None
    new_email: str = ""
    is_anonymous: bool = False
    app_metadata: Json = msgspec.field(default_factory=dict)
    user_metadata: Json = msgspec.field(default_factory=dict)

    def is_banned(self, now: datetime) -> bool:
        return self.banned_until is not None and self.banned_until > now

    def shown(self, *, with_identities: bool = True) -> Json:
        """The User object; optional times are left out, never null; lists do not load identities."""
        times = {
            "email_confirmed_at": self.email_confirmed_at,
            "invited_at": self.invited_at,
            "confirmation_sent_at": self.confirmation_sent_at,
            "confirmed_at": self.email_confirmed_at,
            "last_sign_in_at": self.last_sign_in_at,
            "banned_until": self.banned_until,
            "deleted_at": self.deleted_at,
        }
        return {
            "id": self.id,
            "aud": "authenticated",
            "role": self.role,
            "email": self.email,
            "phone": "",
            **{name: time for name, time in times.items() if time is not None},
            **({"new_email": self.new_email} if self.new_email else {}),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": [self._identity()] if with_identities else None,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "is_anonymous": self.is_anonymous,
        }

    def _identity(self) -> Json:
        return {
            "identity_id": self.identity_id,
            "id": str(self.id),
            "user_id": self.id,
            "identity_data": {
                "email": self.email,
                "email_verified": self.email_confirmed_at is not None,
                "phone_verified": False,
                "sub": str(self.id),
            },
            "provider": "email",
            "last_sign_in_at": self.created_at,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "email": self.email,
        }


class Session(msgspec.Struct, kw_only=True):
    """One auth session. `counter` numbers its active refresh token; `tokens` are old-form ones, newest last."""

    id: UUID
    user_id: UUID
    created_at: datetime
    refreshed_at: datetime
    key: bytes
    not_after: datetime | None = None
    method: str = "password"
    counter: int = 0
    refresh_revoked: bool = False  # after a reused old-form token: the session lives, its tokens do not
    tokens: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=OLD_TOKENS_KEPT))


def merged(metadata: Json, change: Json) -> Json:
    """Metadata after a change: keys are merged, a null removes its key."""
    return {key: value for key, value in (metadata | change).items() if value is not None}


def _stretched(clear: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", clear.encode("utf-8", "surrogatepass"), salt, ROUNDS)
