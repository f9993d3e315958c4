"""Who is calling: the gateway's look at `apikey`, then the auth server's look at the Bearer token."""

import hmac
import re
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import (
    bad_claim,
    bad_jwt,
    banned,
    invalid,
    invalid_api_key,
    no_api_key,
    no_authorization,
    not_admin,
    secret_in_browser,
    session_gone,
    user_gone,
)
from inbox.emulators.supabase_auth.records import Json, Session, User

_BEARER: Final = re.compile(r"bearer\s+(\S+)", re.IGNORECASE)
_ADMIN_ROLES: Final = ("service_role", "supabase_admin")


class Kind(StrEnum):
    """What the gateway hands on as authorization."""

    NOBODY = "nobody"
    ANON = "anon"  # a publishable key in place of a token
    SERVICE = "service"  # a secret key in place of a token
    BEARER = "bearer"


class Caller(msgspec.Struct, frozen=True):
    kind: Kind
    token: str = ""


class SignedIn(msgspec.Struct, frozen=True):
    """A user whose access token was accepted. `session` is None for a token without `session_id`."""

    user: User
    session: Session | None


def through_gateway(emulator: AuthEmulator, api_key: str, authorization: str, user_agent: str) -> Caller:
    """Raises GatewayError for a missing or unknown key, a secret key from a browser, a foreign key as Bearer."""
    if not api_key:
        raise no_api_key()
    config = emulator.config
    secret = _among(api_key, config.secret_keys)
    legacy = tuple(key for key in (emulator.anon_key, emulator.service_role_key) if key)
    if not (secret or _among(api_key, config.publishable_keys) or _among(api_key, legacy)):
        raise invalid_api_key()
    if secret and "mozilla" in user_agent.lower():
        raise secret_in_browser()
    found = _BEARER.fullmatch(authorization.strip())
    token = found.group(1) if found else ""
    if not token:
        return Caller(Kind.SERVICE if secret else Kind.NOBODY)
    if hmac.compare_digest(token.encode(), api_key.encode()) and not _among(api_key, legacy):
        return Caller(Kind.SERVICE if secret else Kind.ANON)
    if token.startswith(("sb_secret_", "sb_publishable_")):
        raise invalid_api_key()
    return Caller(Kind.BEARER, token)


def signed_in(emulator: AuthEmulator, caller: Caller) -> SignedIn:
    """In GoTrue's order: Bearer, signature and times, `sub`, audience, account, auth session, ban. Raises AuthError."""
    claims = _claims(emulator, caller)
    user_id = _uuid(claims.get("sub"))
    if not claims.get("sub"):
        raise bad_claim("missing sub claim")
    if user_id is None:
        raise bad_claim("sub claim must be a UUID", 400)
    if claims.get("aud") not in ("authenticated", ["authenticated"]):
        raise invalid("Token audience doesn't match request audience")
    user = emulator.users.get(user_id)
    if user is None or user.deleted_at is not None:
        raise user_gone()
    session = _session(emulator, claims, user)
    if user.is_banned(emulator.now()):
        raise banned(403)
    return SignedIn(user, session)


def require_admin(emulator: AuthEmulator, caller: Caller) -> None:
    """Raises AuthError 401 without a token, 403 `not_admin` for everyone but the service role."""
    if caller.kind is Kind.SERVICE:
        return
    claims = _claims(emulator, caller)
    if claims.get("role") not in _ADMIN_ROLES:
        raise not_admin()


def _claims(emulator: AuthEmulator, caller: Caller) -> Json:
    if caller.kind is Kind.NOBODY:
        raise no_authorization()
    if caller.kind is not Kind.BEARER:
        return {"role": "service_role" if caller.kind is Kind.SERVICE else "anon"}
    claims = emulator.keys.verify(caller.token)
    now = emulator.now().timestamp()
    if not _is_ahead(now, claims.get("exp")):
        raise bad_jwt("token has invalid claims: token is expired")
    if _is_ahead(now, claims.get("nbf")):
        raise bad_jwt("token has invalid claims: token is not valid yet")
    return claims


def _session(emulator: AuthEmulator, claims: Json, user: User) -> Session | None:
    given = claims.get("session_id")
    if given in (None, ""):
        return None
    session_id = _uuid(given)
    if session_id is None:
        raise bad_claim("session_id claim must be a UUID")
    session = emulator.sessions.get(session_id)
    if session is None or session.user_id != user.id:
        raise session_gone()
    return session


def _is_ahead(now: float, limit: object) -> bool:
    """Whether `limit` (unix seconds) is a number and still to come."""
    return isinstance(limit, (int, float)) and now < limit


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _among(key: str, keys: tuple[str, ...]) -> bool:
    given = key.encode()
    return any([hmac.compare_digest(given, known.encode()) for known in keys])  # noqa: C419 - look at all of them
