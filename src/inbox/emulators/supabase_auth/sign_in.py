"""`POST /token`: the password and refresh grants; and the one-time links of `/verify`."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from inbox.emulators.supabase_auth import refresh_tokens
from inbox.emulators.supabase_auth.calls import NO_STORE, Call, Reply, text
from inbox.emulators.supabase_auth.config import RefreshForm
from inbox.emulators.supabase_auth.emulator import AuthEmulator, OneTimeLink
from inbox.emulators.supabase_auth.errors import (
    AuthError,
    banned,
    invalid,
    invalid_credentials,
    link_expired,
)
from inbox.emulators.supabase_auth.records import Json, Session, User

PREFIX: Final = 5  # characters of an old-form token that go into a header
REUSE: Final = "sb-auth-refresh-token-reuse"


async def token(call: Call) -> Reply:
    grant = call.query.get("grant_type")
    if grant == "password":
        return _password(call)
    if grant == "refresh_token":
        return _refresh(call)
    if grant == "pkce":
        raise AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found")
    raise AuthError(400, "invalid_credentials", "unsupported_grant_type")


def _password(call: Call) -> Reply:
    """GoTrue's order: a banned account is named before its password is looked at."""
    emulator, body = call.emulator, call.body()
    email = _login_name(emulator, body)
    user = emulator.find(email)
    if user is None or user.password is None:
        raise invalid_credentials()
    if user.is_banned(emulator.now()):
        raise banned(400)
    if not user.password.fits(text(body, "password")):
        raise invalid_credentials()
    if user.email_confirmed_at is None:
        raise AuthError(400, "email_not_confirmed", "Email not confirmed")
    session = emulator.start_session(user, "password")
    return Reply(value=_issued(call, user, session) | {"weak_password": None}, headers=_names(emulator, session))


def _login_name(emulator: AuthEmulator, body: Json) -> str:
    email, phone = text(body, "email"), text(body, "phone")
    if email and phone:
        raise invalid("Only an email address or phone number should be provided on login.")
    if not email and not phone:
        raise invalid("missing email or phone")
    if phone:
        raise AuthError(422, "phone_provider_disabled", "Phone logins are disabled")
    if not emulator.config.email_enabled:
        raise AuthError(422, "email_provider_disabled", "Email logins are disabled")
    return email


def _refresh(call: Call) -> Reply:
    emulator = call.emulator
    session, counter = _presented(emulator, text(call.body(), "refresh_token"))
    user = emulator.users[session.user_id]
    now = emulator.now()
    if user.is_banned(now):
        raise banned(400, "Invalid Refresh Token: User Banned")
    if session.not_after is not None and session.not_after <= now:
        raise AuthError(400, "session_expired", "Invalid Refresh Token: Session Expired")
    behind = session.counter - counter
    if behind < 0:
        raise invalid("Invalid Refresh Token: Not Issued By This Server")
    recent = (now - session.refreshed_at).total_seconds() <= emulator.config.reuse_interval
    if session.refresh_revoked or not (behind <= 1 or recent):
        raise _theft(emulator, session)
    headers = {REUSE: "false"}
    if behind == 0:
        emulator.rotate_refresh_token(session)
    else:
        headers = {REUSE: "true"}
        if emulator.config.refresh_form is RefreshForm.NEW:
            headers["sb-auth-refresh-token-reuse-cause"] = _causes(behind, recent=recent)
    return Reply(value=_issued(call, user, session), headers=_names(emulator, session) | headers)


def _presented(emulator: AuthEmulator, given: str) -> tuple[Session, int]:
    """The auth session and the number of the token. Raises AuthError 400 for a token that cannot be or is not ours."""
    if refresh_tokens.is_old_form(given):
        session_id, counter = emulator.old_tokens.get(given, (UUID(int=0), 0))
        session = emulator.sessions.get(session_id)
        if session is None:
            raise _not_found()
        return session, counter
    signed = refresh_tokens.decode(given) if len(given) > refresh_tokens.OLD_LENGTH else None
    if signed is None:
        raise invalid("Refresh token is not valid")
    session = emulator.sessions.get(signed.session_id)
    if session is None or not signed.is_signed_by(session.key):
        raise _not_found()
    return session, signed.counter


def _theft(emulator: AuthEmulator, session: Session) -> AuthError:
    """An old token came back: new-form tokens end the auth session, old-form ones lose all their refresh tokens."""
    headers = {}
    if emulator.config.refresh_form is RefreshForm.NEW:
        emulator.end_session(session.id)
        headers = {"sb-auth-refresh-token-rotated": "true"}
    session.refresh_revoked = True
    return AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used", headers=headers)


def _causes(behind: int, *, recent: bool) -> str:
    causes = (["concurrent-refresh"] if recent else []) + (["fail-to-save"] if behind == 1 else [])
    return ",".join(causes)


def _not_found() -> AuthError:
    return AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")


def _issued(call: Call, user: User, session: Session) -> Json:
    """The Session object, with a fresh access token and the active refresh token."""
    claims = call.emulator.claims(user, session, call.issuer)
    return {
        "access_token": call.emulator.keys.sign(claims),
        "token_type": "bearer",
        "expires_in": call.emulator.config.access_token_ttl,
        "expires_at": claims["exp"],
        "refresh_token": call.emulator.active_refresh_token(session),
        "user": user.shown(),
    }


def _names(emulator: AuthEmulator, session: Session) -> dict[str, str]:
    headers = {"sb-auth-user-id": str(session.user_id), "sb-auth-session-id": str(session.id), **NO_STORE}
    if emulator.config.refresh_form is RefreshForm.OLD:
        headers["sb-auth-refresh-token-prefix"] = emulator.active_refresh_token(session)[:PREFIX]
    else:
        headers["sb-auth-refresh-token-counter"] = str(session.counter)
    return headers


async def verify(call: Call) -> Reply:
    """`POST /verify` with `token_hash`, or `email` and the six digits: 200 Session. A link works once."""
    body = call.body()
    kind, hashed = text(body, "type"), text(body, "token_hash")
    if not hashed:
        hashed = _hash_of(call.emulator, text(body, "email"), text(body, "token"))
    user, session = _follow(call.emulator, hashed, kind)
    return Reply(value=_issued(call, user, session), headers=_names(call.emulator, session))


async def follow_link(call: Call) -> Reply:
    """`GET /verify`: a redirect whose fragment holds the auth session, or the error."""
    target = call.emulator.allowed_redirect(call.query.get("redirect_to"))
    fragment: Mapping[str, object]
    try:
        user, session = _follow(call.emulator, call.query.get("token", ""), call.query.get("type", ""))
    except AuthError as error:
        fragment = {"error": "access_denied", "error_code": error.code, "error_description": error.message}
    else:
        issued = _issued(call, user, session)
        del issued["user"]
        fragment = issued | {"type": call.query.get("type", "")}
    return Reply(status=303, headers={"location": f"{target}#{urlencode(fragment)}", **NO_STORE})


def _follow(emulator: AuthEmulator, hashed: str, kind: str) -> tuple[User, Session]:
    link: OneTimeLink | None = emulator.links.get(hashed)
    if link is None or link.type != kind or link.expires_at <= emulator.now() or link.user_id not in emulator.users:
        raise link_expired()
    del emulator.links[hashed]
    user = emulator.users[link.user_id]
    if user.is_banned(emulator.now()):
        raise banned(403)
    user.email_confirmed_at = user.email_confirmed_at or emulator.now()
    return user, emulator.start_session(user, "otp")


def _hash_of(emulator: AuthEmulator, email: str, otp: str) -> str:
    user = emulator.find(email)
    for hashed, link in emulator.links.items():
        if user is not None and link.user_id == user.id and link.email_otp == otp:
            return hashed
    return ""


def session_facts(session: Session) -> Json:
    """What the control API tells about an auth session; no token in it."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "counter": session.counter,
        "created_at": session.created_at,
        "refreshed_at": session.refreshed_at,
        "refresh_revoked": session.refresh_revoked,
    }
