"""One call to the auth server as its operations see it, and what they answer."""

from typing import Any
from uuid import UUID

import msgspec

from inbox.emulators.supabase_auth.callers import Caller
from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import AuthError, invalid
from inbox.emulators.supabase_auth.records import Json

NO_STORE = {"cache-control": "no-store"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`target` is the user id of the path (None when it is no UUID or not in the path)."""

    emulator: AuthEmulator
    caller: Caller
    issuer: str
    query: dict[str, str]
    raw: bytes
    target: UUID | None = None

    def body(self) -> Json:
        """The JSON object of the body; members nobody asked for are ignored. Raises AuthError 400 `bad_json`."""
        try:
            value = msgspec.json.decode(self.raw or b"{}")
        except (msgspec.DecodeError, RecursionError) as error:
            raise _bad_json("invalid character or unexpected end of JSON input") from error
        if not isinstance(value, dict):
            raise _bad_json("json: cannot unmarshal into Go value")
        return value


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    value: Any = None  # None: an empty body
    status: int = 200
    headers: dict[str, str] = {}


def text(body: Json, name: str) -> str:
    """A member that must be a string when it is there; "" when it is not. Raises AuthError 400."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad_json(f"json: cannot unmarshal into Go struct field .{name} of type string")
    return value


def flag(body: Json, name: str) -> bool:
    return body.get(name) is True


def mapping(body: Json, name: str) -> Json:
    """A member that must be an object when it is there."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad_json(f"json: cannot unmarshal into Go struct field .{name} of type map[string]interface {{}}")
    return value


def email_of(body: Json) -> str:
    """A plausible e-mail address. Raises AuthError 400 `validation_failed`."""
    email = text(body, "email")
    local, _, domain = email.partition("@")
    if not local or "." not in domain or " " in email:
        raise invalid("Unable to validate email address: invalid format")
    return email


def _bad_json(why: str) -> AuthError:
    return AuthError(400, "bad_json", f"Could not parse request body as JSON: {why}")
