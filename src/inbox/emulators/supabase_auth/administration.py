"""The admin routes: users, invitations, links. Only the service role gets past the door."""

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from inbox.emulators.supabase_auth.callers import require_admin
from inbox.emulators.supabase_auth.calls import Call, Reply, email_of, flag, mapping, text
from inbox.emulators.supabase_auth.emulator import AuthEmulator, Mail
from inbox.emulators.supabase_auth.errors import AuthError, email_exists, invalid, no_such_user
from inbox.emulators.supabase_auth.own_account import check_password
from inbox.emulators.supabase_auth.records import LONGEST_PASSWORD, Json, Password, User

MAX_PER_PAGE: Final = 1_000
FOR_EVER: Final = timedelta(days=365_000)
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(h|ms|m|s)")
_UNITS: Final[Mapping[str, float]] = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


async def list_users(call: Call) -> Reply:
    """Newest first; `X-Total-Count` and `Link` as the vendor writes them."""
    emulator = call.emulator
    require_admin(emulator, call.caller)
    page, size = _page(call.query, "page", 1), min(_page(call.query, "per_page", 50), MAX_PER_PAGE)
    wanted = call.query.get("filter", "").lower()
    users = sorted(
        (user for user in emulator.users.values() if _matches(user, wanted)),
        key=lambda user: user.created_at,
        reverse=True,
    )
    last = max(1, math.ceil(len(users) / size))
    links = [f'</admin/users?page={page + 1}&per_page={size}>; rel="next"'] if page < last else []
    links.append(f'</admin/users?page={last}&per_page={size}>; rel="last"')
    shown = [user.shown(with_identities=False) for user in users[(page - 1) * size : page * size]]
    return Reply(
        value={"users": shown, "aud": "authenticated"},
        headers={"x-total-count": str(len(users)), "link": ", ".join(links)},
    )


async def create_user(call: Call) -> Reply:
    require_admin(call.emulator, call.caller)
    body = call.body()
    if not text(body, "email"):
        raise invalid("Cannot create a user without either an email or phone")
    wanted = text(body, "id")
    user = call.emulator.add_user(
        email_of(body),
        password=_password(body),
        confirmed=flag(body, "email_confirm"),
        user_id=_uuid(wanted) if wanted else None,
    )
    _apply(call.emulator, user, body)
    return Reply(value=user.shown())


async def get_user(call: Call) -> Reply:
    return Reply(value=_target(call).shown())


async def change_user(call: Call) -> Reply:
    """Metadata keys are merged; a null removes its key."""
    user = _target(call)
    body = call.body()
    if text(body, "email"):
        call.emulator.rename(user, email_of(body))
    password = _password(body)
    if password:
        user.password = Password.of(password)
    if flag(body, "email_confirm"):
        user.email_confirmed_at = user.email_confirmed_at or call.emulator.now()
    _apply(call.emulator, user, body)
    return Reply(value=user.shown())


async def delete_user(call: Call) -> Reply:
    user = _target(call)
    call.emulator.delete(user, softly=flag(call.body(), "should_soft_delete"))
    return Reply(value={})


async def invite(call: Call) -> Reply:
    """Creates the user unconfirmed and mails a link; a second invitation of an unconfirmed user mails again."""
    require_admin(call.emulator, call.caller)
    body = call.body()
    user, _ = _invited(call, body, "data", by_mail=True)
    return Reply(value=user.shown())


async def generate_link(call: Call) -> Reply:
    """A link that is not mailed, with the user it is for."""
    emulator = call.emulator
    require_admin(emulator, call.caller)
    body = call.body()
    kind = text(body, "type")
    match kind:
        case "invite":
            user, mail = _invited(call, body, "data", by_mail=False)
        case "signup":
            user, mail = _signing_up(call, body)
        case "magiclink" | "recovery":
            known = emulator.find(email_of(body))
            if known is None:
                raise no_such_user()
            user, mail = known, emulator.send_link(known, kind, call.issuer, _redirect(call, body), by_mail=False)
        case _:
            raise invalid("Invalid email action link type requested: must be signup, invite, magiclink or recovery")
    extra = {
        "action_link": mail.action_link,
        "email_otp": mail.email_otp,
        "hashed_token": mail.hashed_token,
        "redirect_to": emulator.allowed_redirect(_redirect(call, body)),
        "verification_type": kind,
    }
    return Reply(value=user.shown() | extra)


def _invited(call: Call, body: Json, metadata: str, *, by_mail: bool) -> tuple[User, Mail]:
    emulator, email = call.emulator, email_of(body)
    user = emulator.find(email)
    if user is not None and user.email_confirmed_at is not None:
        raise email_exists()
    data = mapping(body, metadata)
    user = user or emulator.add_user(email)
    emulator.change_metadata(user, {"user_metadata": data})
    user.invited_at = user.confirmation_sent_at = emulator.now()
    return user, emulator.send_link(user, "invite", call.issuer, _redirect(call, body), by_mail=by_mail)


def _signing_up(call: Call, body: Json) -> tuple[User, Mail]:
    emulator, email, password = call.emulator, email_of(body), text(body, "password")
    user = emulator.find(email)
    if user is not None and user.email_confirmed_at is not None:
        raise email_exists()
    if not password:
        raise invalid("Signup requires a valid password")
    check_password(emulator, password)
    user = user or emulator.add_user(email, password=password)
    user.confirmation_sent_at = emulator.now()
    return user, emulator.send_link(user, "signup", call.issuer, _redirect(call, body), by_mail=False)


def _target(call: Call) -> User:
    require_admin(call.emulator, call.caller)
    if call.target is None:
        raise AuthError(404, "validation_failed", "user_id must be an UUID")
    return call.emulator.user(call.target)


def _apply(emulator: AuthEmulator, user: User, body: Json) -> None:
    """What creation and change have in common: metadata, role, ban."""
    change = {name: mapping(body, name) for name in ("user_metadata", "app_metadata")}
    if text(body, "ban_duration"):
        user.banned_until = banned_until(text(body, "ban_duration"), emulator.now())
    user.role = text(body, "role") or user.role
    emulator.change_metadata(user, change)


def banned_until(duration: str, now: datetime) -> datetime | None:
    """A Go duration ("24h", "1h30m") from now; None for "none". Raises AuthError 400."""
    if duration == "none":
        return None
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise invalid(f"invalid format for ban duration: time: invalid duration {duration!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return now + min(timedelta(seconds=min(seconds, FOR_EVER.total_seconds())), FOR_EVER)


def _password(body: Json) -> str | None:
    password = text(body, "password")
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
        raise invalid(f"Password cannot be longer than {LONGEST_PASSWORD} characters")
    return password or None


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise invalid("ID must conform to the uuid v4 format") from error


def _redirect(call: Call, body: Json) -> str | None:
    return text(body, "redirect_to") or call.query.get("redirect_to")


def _matches(user: User, wanted: str) -> bool:
    full_name = user.user_metadata.get("full_name", "")
    return not wanted or wanted in user.email or wanted in str(full_name).lower()


def _page(query: Mapping[str, str], name: str, otherwise: int) -> int:
    given = query.get(name, "")
    if not given:
        return otherwise
    if not given.isascii() or not given.isdigit() or len(given) > 9 or int(given) < 1:  # noqa: PLR2004
        raise invalid(f"Bad Pagination Parameters: {name}")
    return int(given)
