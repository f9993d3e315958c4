"""What an operator or a test chooses about the Supabase Auth emulator."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

SHORTEST_SECRET = 32  # bytes of an HS256 secret (RFC 7518, 3.2)


class Signing(StrEnum):
    """How access tokens are signed. HS256 projects publish an empty JWKS."""

    ES256 = "ES256"
    HS256 = "HS256"


class RefreshForm(StrEnum):
    """Old refresh tokens are 12 random characters; new ones are signed and name their auth session."""

    OLD = "old"
    NEW = "new"


class SeedUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user who exists from the start, and again after a reset."""

    email: str
    password: str | None = None
    id: str = ""  # UUID; "" draws one
    confirmed: bool = True
    app_metadata: dict[str, Any] = {}
    user_metadata: dict[str, Any] = {}


class SupabaseAuthConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys as sent in `apikey`; times in seconds; sizes in bytes.

    Raises ValueError when `jwt_secret` is needed and shorter than 32 bytes.
    """

    publishable_keys: tuple[str, ...]
    secret_keys: tuple[str, ...]
    base_url: str = ""  # public URL of the emulator itself; empty: taken from the Host header of the request
    signing: Signing = Signing.ES256
    jwt_secret: str = ""  # HS256 secret, as UTF-8 text; with one, the legacy anon and service_role keys work too
    refresh_form: RefreshForm = RefreshForm.NEW
    reuse_interval: float = 10.0
    access_token_ttl: int = 3600
    session_lifetime: float | None = None  # an auth session ends after this; None = never
    users: tuple[SeedUser, ...] = ()
    disable_signup: bool = True
    email_enabled: bool = True
    autoconfirm: bool = False  # a changed e-mail address needs no confirmation
    require_current_password: bool = False
    shortest_password: int = 8
    site_url: str = "http://127.0.0.1:3000"
    redirect_urls: tuple[str, ...] = ()  # prefixes that `redirect_to` may start with
    allowed_origins: tuple[str, ...] = ()  # browsers' origins (CORS)
    seed: int = 0
    max_body: int = 1024 * 1024
    max_users: int = 10_000
    max_sessions: int = 100_000  # above it the oldest auth session ends
    longest_wait: float = 120.0  # a hanging request is let go after this
    ledger_path: Path | None = None
    ledger_capacity: int = 10_000

    def __post_init__(self) -> None:
        needed = self.signing is Signing.HS256 or self.jwt_secret
        if needed and len(self.jwt_secret.encode()) < SHORTEST_SECRET:
            raise ValueError(f"jwt_secret: at least {SHORTEST_SECRET} bytes")
