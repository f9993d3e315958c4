"""Access tokens of Supabase Auth, verified here: by the project's public keys, or by the legacy shared secret."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import jwt

from inbox.adapters.identity.keys import KeyRing
from inbox.adapters.identity.supabase_calls import ask, probe
from inbox.adapters.identity.tokens import ASYMMETRIC, SYMMETRIC, Verifier, read_jwks
from inbox.domain.access import Subject
from inbox.domain.errors import InvalidToken
from inbox.domain.upstream_errors import IdentityNotConfigured, IdentityUnreachable
from inbox.kit.http import ApiClient, Reply
from inbox.kit.resilience import Guard

_JWKS_PATH: Final = "/auth/v1/.well-known/jwks.json"
_OK: Final = 200
_MIN_SECRET_BYTES: Final = 32


class SupabaseIdentity:
    """Implements `Identity` for projects that sign with ES256 or RS256."""

    def __init__(
        self,
        api: ApiClient,
        guard: Guard,
        *,
        issuers: Sequence[str],
        clock: Callable[[], datetime],
        is_email_trusted: bool = False,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`api` has the project's URL as base; `issuers` are the exact `iss` values, normally `{url}/auth/v1`.

        `is_email_trusted` says that the project confirms every address before a session begins. A token cannot prove
        it: its `email_verified` is written by the user, and a project may be set to confirm without asking.
        """
        self._api = api
        self._guard = guard
        self._verifier = Verifier(issuers=issuers, algorithms=ASYMMETRIC)
        self._clock = clock
        self._is_email_trusted = is_email_trusted
        self._ring = KeyRing(self._fetch, ticks=ticks)

    async def authenticate(self, token: str) -> Subject:
        header = self._verifier.header(token)
        key = await self._ring.find(header.kid or "")
        if key is None and self._ring.is_empty:
            raise IdentityNotConfigured("The project publishes no ES256 or RS256 key; it may still sign with a secret.")
        if key is None:
            raise InvalidToken("The token's key is not known.")
        claims = self._verifier.claims(token, key, self._clock())
        return claims.subject(is_email_verified=self._is_email_trusted)

    async def probe(self) -> bool:
        """The keys are what matters, and the one page that is open without a key of the project."""
        return await probe(self._api, _JWKS_PATH)

    async def aclose(self) -> None:
        """Ends a request for keys that is under way."""
        await self._ring.aclose()

    async def _fetch(self) -> Mapping[str, jwt.PyJWK]:
        return await ask(self._api, self._guard, _JWKS_PATH, _read)


def _read(reply: Reply) -> Mapping[str, jwt.PyJWK]:
    if reply.status != _OK:
        raise IdentityUnreachable(f"Supabase Auth answered {reply.status}.")
    try:
        return read_jwks(reply.body)
    except ValueError:
        raise IdentityUnreachable("Supabase Auth answered something that is no key set.") from None


class SupabaseSecretIdentity:
    """Implements `Identity` for old and self-hosted projects that sign with the shared secret (HS256).

    Whoever knows the secret can make a token for anybody. Nothing is asked over the network.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        issuers: Sequence[str],
        clock: Callable[[], datetime],
        is_email_trusted: bool = False,
    ) -> None:
        """`secret` is the JWT secret as UTF-8 text, not base64-decoded. Raises ValueError below 32 bytes."""
        if len(secret) < _MIN_SECRET_BYTES:
            raise ValueError(f"the JWT secret needs at least {_MIN_SECRET_BYTES} bytes")
        self._secret = secret
        self._verifier = Verifier(issuers=issuers, algorithms=SYMMETRIC)
        self._clock = clock
        self._is_email_trusted = is_email_trusted

    async def authenticate(self, token: str) -> Subject:
        claims = self._verifier.claims(token, self._secret, self._clock())
        return claims.subject(is_email_verified=self._is_email_trusted)

    async def probe(self) -> bool:
        return False
