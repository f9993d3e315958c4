"""Access tokens: is this one genuine, and what does it say. Pure; the keys are passed in.

A token has to pass, in this order: size, form, header, key id, algorithm, signature, times, issuer, audience, role,
subject, not anonymous, session, no third-party client. Claims of GoTrue; RFC 7519 for times, RFC 7515 for `crit`. The
algorithms are ours to choose, never the token's, and asymmetric and symmetric ones are never allowed together.
"""

import base64
import json
import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from inbox.domain.access import Subject
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId
from inbox.kit.json_depth import depth_exceeds

T = TypeVar("T", bound=msgspec.Struct)

ASYMMETRIC: Final = frozenset({"ES256", "RS256"})
SYMMETRIC: Final = frozenset({"HS256"})
LEEWAY: Final = 10.0
"""Seconds by which clocks may differ."""

_MAX_CHARACTERS: Final = 8192
_MAX_KEYS: Final = 64
_MIN_RSA_BITS: Final = 2048
AUDIENCE: Final = "authenticated"
ROLE: Final = "authenticated"
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NAME_CHARACTERS: Final = 200


class Header(msgspec.Struct, frozen=True):
    """What is read before the signature is checked: nothing in it is believed, it only picks a key."""

    alg: str
    kid: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Metadata(msgspec.Struct, frozen=True):
    """Written by the person themselves: good for showing a name, for nothing else."""

    full_name: Any = None
    name: Any = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an access token, checked. Times are seconds since 1970."""

    iss: str
    sub: UUID
    aud: str
    role: str
    exp: float
    iat: float
    session_id: UUID
    nbf: float | None = None
    email: str | None = None
    user_metadata: Metadata | None = None
    is_anonymous: bool | None = False
    client_id: Any = None

    def subject(self, *, is_email_verified: bool) -> Subject:
        """Whom the token speaks for. A token does not say whether the e-mail was confirmed; the provider's rules do."""
        email = (self.email or "").strip().lower() or None
        metadata = self.user_metadata or Metadata()
        return Subject(
            user_id=UserId(self.sub),
            email=email,
            is_email_verified=is_email_verified and email is not None,
            display_name=display_name(metadata.full_name) or display_name(metadata.name),
        )


class Verifier:
    """Checks tokens of fixed issuers by fixed algorithms."""

    def __init__(self, *, issuers: Collection[str], algorithms: frozenset[str]) -> None:
        """`algorithms` is `ASYMMETRIC` or `SYMMETRIC`. Raises ValueError for a mixture, and without any issuer."""
        if not issuers:
            raise ValueError("at least one issuer is needed")
        if algorithms not in (ASYMMETRIC, SYMMETRIC):
            raise ValueError("algorithms of one family only")
        self._issuers = frozenset(issuers)
        self._algorithms = algorithms
        self._allowed = sorted(algorithms)
        self._signatures = jwt.PyJWS(self._allowed, {"verify_signature": True, "enforce_minimum_key_length": True})

    def header(self, token: str) -> Header:
        """The header of a token that deserves a look at its signature. Raises `InvalidToken`."""
        header = _header(token, self._algorithms)
        if header.kid is None and self._algorithms == ASYMMETRIC:
            raise InvalidToken("The token names no key.")
        return header

    def claims(self, token: str, key: jwt.PyJWK | bytes, now: datetime) -> Claims:
        """The claims of a genuine token that is valid `now`; `key` is the one that its header names.

        Raises `InvalidToken`.
        """
        self.header(token)
        try:
            payload: bytes = self._signatures.decode(token, key, self._allowed)
        except jwt.PyJWTError:
            raise InvalidToken("The signature does not verify.") from None
        claims = _decode(payload, Claims)
        check(claims, self._issuers, now)
        return claims


def unverified(token: str) -> Claims:
    """What a token says of itself, for who asks somebody else about its signature. Raises `InvalidToken`."""
    _header(token, ASYMMETRIC | SYMMETRIC)
    return _decode(_segment(token, 1), Claims)


def check(claims: Claims, issuers: Collection[str], now: datetime) -> None:
    """Raises `InvalidToken` unless these are the claims of a signed-in person, valid `now`."""
    _check_times(claims, now.timestamp())
    if claims.iss not in issuers:
        raise InvalidToken("The token has another issuer.")
    if claims.aud != AUDIENCE:
        raise InvalidToken("The token is meant for another audience.")
    if claims.role != ROLE:
        raise InvalidToken("The token's role is not that of a signed-in person.")
    if claims.is_anonymous:
        raise InvalidToken("The token belongs to an anonymous user.")
    if claims.client_id not in (None, ""):
        raise InvalidToken("The token was issued to another application.")


def read_jwks(body: bytes) -> dict[str, jwt.PyJWK]:
    """The usable keys of a JWKS by key id: public ES256 and RS256 keys for signatures, at most 64; others are skipped.

    Raises ValueError if `body` is no JWKS.
    """
    try:
        if depth_exceeds(body):
            raise ValueError("nested too deep")
        entries = msgspec.json.decode(body, type=_KeySet).keys
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("this is no JWKS") from error
    return read_keys(entries)


def read_keys(entries: list[dict[str, Any]]) -> dict[str, jwt.PyJWK]:
    """The usable keys among JWKs, by key id."""
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries[:_MAX_KEYS]:
        key = _public_key(entry)
        if key is not None and key.key_id is not None:
            keys[key.key_id] = key
    return keys


def display_name(name: object) -> str | None:
    """A name from metadata, cleaned: one line without control characters, at most 200 characters; None if empty."""
    if not isinstance(name, str):
        return None
    cleaned = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return cleaned[:_NAME_CHARACTERS] or None


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def _public_key(entry: dict[str, Any]) -> jwt.PyJWK | None:
    algorithm = {"EC": "ES256", "RSA": "RS256"}.get(str(entry.get("kty")))
    is_for_us = (
        algorithm is not None
        and isinstance(entry.get("kid"), str)
        and entry.get("alg") in (None, algorithm)
        and entry.get("use") in (None, "sig")
        and "d" not in entry
        and (algorithm == "RS256" or entry.get("crv") == "P-256")
    )
    if not is_for_us:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
    except jwt.PyJWTError:
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        return None
    return key


def _check_times(claims: Claims, now: float) -> None:
    if claims.exp + LEEWAY <= now:
        raise InvalidToken("The token is expired.")
    if claims.iat - LEEWAY > now:
        raise InvalidToken("The token was issued in the future.")
    if claims.nbf is not None and claims.nbf - LEEWAY > now:
        raise InvalidToken("The token is not valid yet.")


def _header(token: str, algorithms: frozenset[str]) -> Header:
    if len(token) > _MAX_CHARACTERS:
        raise InvalidToken("The token is too long.")
    if _COMPACT.fullmatch(token) is None:
        raise InvalidToken("This is not a signed token.")
    header = _decode(_segment(token, 0), Header)
    if header.alg not in algorithms:
        raise InvalidToken("The token's algorithm is not allowed.")
    if header.crit is not msgspec.UNSET:
        raise InvalidToken("The token demands an extension.")
    return header


def _segment(token: str, place: int) -> bytes:
    segment = token.split(".")[place]
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise InvalidToken("The token is not base64url.") from None


def _decode(text: bytes, shape: type[T]) -> T:
    """Reads a JSON object. A name that occurs twice is refused: two readers could believe two different values."""
    if depth_exceeds(text):
        raise InvalidToken("The token is nested too deep.")
    try:
        json.loads(text, object_pairs_hook=_unique)
        return msgspec.json.decode(text, type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidToken("The token's content does not have the expected form.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members
