"""Access tokens of Supabase Auth, checked by asking the project: it knows at once who signed out, was banned or went.

The answer is remembered for a while, by the SHA-256 of the token. So a token lives on for two minutes at most.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from inbox.adapters.identity.supabase_calls import ask, probe
from inbox.adapters.identity.tokens import AUDIENCE, ROLE, Claims, Metadata, check, display_name, unverified
from inbox.domain.access import Subject
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId
from inbox.domain.upstream_errors import IdentityDown, IdentityNotConfigured, IdentityUnreachable
from inbox.kit.http import ApiClient, Reply
from inbox.kit.resilience import Guard
from inbox.ports.cache import Cache

REFUSED_FOR: Final = 10.0
REMEMBERED_FOR: Final = 120.0 - REFUSED_FOR
"""Seconds. Each answer passes the short memory after the long one: two minutes together."""

_PATH: Final = "/auth/v1/user"
_HEALTH: Final = "/auth/v1/health"
_OK: Final = 200
_THROTTLED: Final = 429
_BROKEN: Final = 500
_UNAUTHENTICATED: Final = 401
_API_VERSION: Final = "2024-01-01"
_REFUSALS: Final = frozenset({"bad_jwt", "no_authorization", "session_not_found", "user_not_found", "user_banned"})


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What of the project's answer is read. `email` may be empty."""

    id: UUID
    aud: str
    role: str
    email: str | None = None
    email_confirmed_at: datetime | None = None
    banned_until: datetime | None = None
    is_anonymous: bool = False
    user_metadata: Metadata | None = None


class _Refusal(msgspec.Struct, frozen=True):
    code: object = None
    error_code: object = None
    error: object = None


class SupabaseIntrospection:
    """Implements `Identity` for every project, however it signs."""

    def __init__(
        self,
        api: ApiClient,
        guard: Guard,
        cache: Cache,
        *,
        key: str,
        issuers: Sequence[str],
        clock: Callable[[], datetime],
        is_email_trusted: bool = False,
    ) -> None:
        """`key` is a publishable or secret key of the project; the rest as for `SupabaseIdentity`."""
        self._api = api
        self._guard = guard
        self._cache = cache
        self._key = key
        self._issuers = frozenset(issuers)
        self._clock = clock
        self._is_email_trusted = is_email_trusted

    async def authenticate(self, token: str) -> Subject:
        """What is wrong by its own words is refused unasked; nothing is believed before the project has agreed."""
        claims = unverified(token)
        now = self._clock()
        check(claims, self._issuers, now)
        left = claims.exp - now.timestamp()
        subject = await (self._remembered(token, claims, left) if left > 0 else self._verdict(token, claims))
        if subject is None:
            raise InvalidToken("Supabase Auth refuses the token.")
        return subject

    async def probe(self) -> bool:
        return await probe(self._api, _HEALTH, headers={"apikey": self._key})

    async def _remembered(self, token: str, claims: Claims, left: float) -> Subject | None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        tags = [f"access-token:{digest}"]

        async def asked() -> Subject:
            return await self._ask(token, claims)

        async def known() -> Subject | None:
            try:
                return await self._cache.fetch(
                    f"supabase-user:{digest}", asked, tags=tags, ttl=min(REMEMBERED_FOR, left), shape=Subject
                )
            except InvalidToken:
                return None

        return await self._cache.fetch(f"supabase-verdict:{digest}", known, tags=tags, ttl=min(REFUSED_FOR, left))

    async def _verdict(self, token: str, claims: Claims) -> Subject | None:
        try:
            return await self._ask(token, claims)
        except InvalidToken:
            return None

    async def _ask(self, token: str, claims: Claims) -> Subject:
        headers = {
            "apikey": self._key,
            "authorization": f"Bearer {token}",
            "x-supabase-api-version": _API_VERSION,
            "accept": "application/json",
        }
        user = await ask(self._api, self._guard, _PATH, partial(_read, claims=claims), headers=headers)
        if user.aud != AUDIENCE or user.role != ROLE or user.is_anonymous:
            raise InvalidToken("The token is not that of a signed-in person.")
        if user.banned_until is not None and user.banned_until > self._clock():
            raise InvalidToken("The user is banned.")
        return self._subject(user)

    def _subject(self, user: User) -> Subject:
        email = (user.email or "").strip().lower() or None
        metadata = user.user_metadata or Metadata()
        return Subject(
            user_id=UserId(user.id),
            email=email,
            is_email_verified=self._is_email_trusted and email is not None and user.email_confirmed_at is not None,
            display_name=display_name(metadata.full_name) or display_name(metadata.name),
        )


def _read(reply: Reply, claims: Claims) -> User:
    """The user of an answer. Only what the auth server itself says about the token is a refusal."""
    if reply.status == _OK:
        try:
            user = msgspec.json.decode(reply.body, type=User)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise IdentityUnreachable("Supabase Auth answered something that is no user.") from None
        if user.id != claims.sub:
            raise IdentityUnreachable("Supabase Auth answered with another user.")
        return user
    if reply.status == _THROTTLED:
        raise IdentityDown("Supabase Auth asks to wait.")
    code = _code(reply)
    if code in _REFUSALS and reply.status < _BROKEN:
        raise InvalidToken("Supabase Auth refuses the token.")
    if code is None and reply.status == _UNAUTHENTICATED:
        # The gateway in front does not take the key: nobody looked at the token.
        raise IdentityNotConfigured("The Supabase project does not accept INBOX_SUPABASE_KEY.")
    raise IdentityUnreachable(f"Supabase Auth answered {reply.status}.")


def _code(reply: Reply) -> str | None:
    """The word for a failure: of the header, else of the three shapes that bodies have."""
    if reply.headers.get("x-sb-error-code"):
        return reply.headers["x-sb-error-code"]
    try:
        body = msgspec.json.decode(reply.body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return next((word for word in (body.code, body.error_code, body.error) if isinstance(word, str)), None)
