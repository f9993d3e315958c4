"""`/_emu`: what tests, the demo and operators may order from outside the vendor's API."""

from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, FromQuery

from inbox.emulators.faults import ArmedRule
from inbox.emulators.supabase_auth.administration import banned_until
from inbox.emulators.supabase_auth.config import SeedUser
from inbox.emulators.supabase_auth.emulator import AuthEmulator, Mail
from inbox.emulators.supabase_auth.errors import AuthError
from inbox.emulators.supabase_auth.exchange import AnyRequest, issuer_of
from inbox.emulators.supabase_auth.knobs import rule_from
from inbox.emulators.supabase_auth.minting import Order, mint
from inbox.emulators.supabase_auth.records import Json, User
from inbox.emulators.supabase_auth.sign_in import session_facts

MAX_ENTRIES: Final = 1_000
LONGEST_OFFSET: Final = 366 * 86_400.0

Emulator: TypeAlias = NamedDependency[AuthEmulator]


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The emulator's clock runs `offset` seconds ahead of the real one (negative: behind)."""

    offset: float


class Ban(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    duration: str = "24h"  # a Go duration; "none" lifts the ban


@get("/_emu/health")
async def health(emulator: Emulator) -> dict[str, object]:
    return {"emulator": "supabase_auth", "ok": True, "counts": emulator.ledger.counts()}


@get("/_emu/keys")
async def keys(emulator: Emulator) -> dict[str, object]:
    """Ids of the signing keys, and the legacy API keys when there is a shared secret."""
    ring = emulator.keys
    return {
        "current": ring.current.kid,
        "standby": ring.standby.kid,
        "retired": [key.kid for key in ring.retired],
        "anon": emulator.anon_key,
        "service_role": emulator.service_role_key,
    }


@post("/_emu/keys/rotate", status_code=200)
async def rotate_keys(emulator: Emulator) -> dict[str, str]:
    return {"current": emulator.keys.rotate().kid}


@post("/_emu/keys/{kid:str}/revoke", status_code=204)
async def revoke_key(emulator: Emulator, kid: FromPath[str]) -> None:
    if not emulator.keys.revoke(kid):
        raise NotFoundException("no such key")


@get("/_emu/users")
async def list_users(emulator: Emulator) -> list[Json]:
    return [user.shown() for user in emulator.users.values()]


@post("/_emu/users")
async def add_users(request: AnyRequest, emulator: Emulator) -> list[Json]:
    """One user or a list; they can log in at once unless `confirmed` is false."""
    seeds = _decoded(await request.body(), SeedUser | list[SeedUser])
    try:
        return [emulator.add_seed_user(seed).shown() for seed in (seeds if isinstance(seeds, list) else [seeds])]
    except (AuthError, ValueError) as error:
        raise ClientException(str(error)) from error


@post("/_emu/users/{user_id:uuid}/ban", status_code=204)
async def ban(request: AnyRequest, emulator: Emulator, user_id: FromPath[UUID]) -> None:
    wanted: Ban = _decoded(await request.body() or b"{}", Ban)
    try:
        _user(emulator, user_id).banned_until = banned_until(wanted.duration, emulator.now())
    except AuthError as error:
        raise ClientException(error.message) from error


@post("/_emu/users/{user_id:uuid}/unconfirm", status_code=204)
async def unconfirm(emulator: Emulator, user_id: FromPath[UUID]) -> None:
    _user(emulator, user_id).email_confirmed_at = None


@post("/_emu/users/{user_id:uuid}/logout", status_code=200)
async def log_out_user(emulator: Emulator, user_id: FromPath[UUID]) -> dict[str, int]:
    return {"ended": emulator.end_sessions(_user(emulator, user_id).id)}


@delete("/_emu/users/{user_id:uuid}", status_code=204)
async def delete_user(emulator: Emulator, user_id: FromPath[UUID]) -> None:
    emulator.delete(_user(emulator, user_id))


@get("/_emu/sessions")
async def list_sessions(emulator: Emulator, user_id: FromQuery[UUID | None] = None) -> list[Json]:
    sessions = [item for item in emulator.sessions.values() if user_id in (None, item.user_id)]
    return [session_facts(item) for item in sessions[:MAX_ENTRIES]]


@delete("/_emu/sessions/{session_id:uuid}", status_code=204)
async def end_session(emulator: Emulator, session_id: FromPath[UUID]) -> None:
    if not emulator.end_session(session_id):
        raise NotFoundException("no such session")


@post("/_emu/clock", status_code=200)
async def move_clock(request: AnyRequest, emulator: Emulator) -> dict[str, object]:
    moved: Moved = _decoded(await request.body(), Moved)
    if not abs(moved.offset) <= LONGEST_OFFSET:
        raise ClientException("offset: at most a year")
    emulator.move_clock(moved.offset)
    return {"now": emulator.now()}


@post("/_emu/tokens", status_code=200)
async def mint_token(request: AnyRequest, emulator: Emulator) -> Json:
    """An access token with the ordered claims, or one of the attacks."""
    order: Order = _decoded(await request.body(), Order)
    try:
        return mint(emulator, order, issuer_of(emulator, request))
    except AuthError as error:
        raise NotFoundException(error.message) from error


@get("/_emu/mails")
async def mails(emulator: Emulator, to: FromQuery[str | None] = None) -> list[Mail]:
    """Mails that a project would have sent, oldest first."""
    return [mail for mail in emulator.mails if to in (None, mail.to)]


@get("/_emu/faults")
async def list_faults(emulator: Emulator) -> list[ArmedRule]:
    return emulator.faults.list()


@post("/_emu/faults")
async def add_fault(request: AnyRequest, emulator: Emulator) -> dict[str, int]:
    """A fault rule, or the same with `knob` in place of `action`; answers its serial."""
    members: dict[str, Any] = _decoded(await request.body(), dict[str, Any])
    try:
        return {"serial": emulator.faults.add(rule_from(members))}
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise ClientException(str(error)) from error


@delete("/_emu/faults", status_code=200)
async def clear_faults(emulator: Emulator, name: FromQuery[str | None] = None) -> dict[str, int]:
    return {"removed": emulator.faults.clear(name)}


@get("/_emu/ledger")
async def ledger(
    emulator: Emulator,
    kind: FromQuery[str | None] = None,
    after: FromQuery[int] = 0,
    limit: FromQuery[int] = MAX_ENTRIES,
) -> dict[str, object]:
    """What was asked and answered: routes, statuses, codes; no bodies, keys, tokens or addresses."""
    kept = emulator.ledger
    return {
        "entries": kept.entries(kind, after=after, limit=max(0, min(limit, MAX_ENTRIES))),
        "counts": kept.counts(),
        "last_serial": kept.last_serial,
        "spilled": kept.spilled,
    }


@post("/_emu/reset", status_code=204)
async def reset(emulator: Emulator) -> None:
    emulator.reset()


def _user(emulator: AuthEmulator, user_id: UUID) -> User:
    user = emulator.users.get(user_id)
    if user is None:
        raise NotFoundException("no such user")
    return user


def _decoded(raw: bytes, kind: Any) -> Any:  # noqa: ANN401 - msgspec takes any type form
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientException(f"bad body: {error}") from error
