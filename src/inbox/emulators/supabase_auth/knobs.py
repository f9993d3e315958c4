"""This vendor's own ways to fail, by name, on top of the shared fault rules.

Over the control API a rule may name a `knob` instead of an `action`. A knob that belongs to one route strikes only
there; a rule that names `kind`, `path` or `type` itself strikes where it says.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.faults import Action, FaultRule
from inbox.emulators.supabase_auth import errors
from inbox.emulators.supabase_auth.errors import AuthError

KNOBS: Final[Mapping[str, Action]] = {
    "429": Action.HTTP_ERROR,
    "429_mail": Action.HTTP_ERROR,
    "500": Action.HTTP_ERROR,
    "504": Action.HTTP_ERROR,
    "conflict": Action.HTTP_ERROR,
    "html_502": Action.HTML_502,
    "timeout": Action.HANG,
    "slow": Action.DELAY,  # `delay` of the rule, in seconds
    "connection_reset": Action.RESET_BEFORE_ACCEPT,
    "connection_reset_late": Action.RESET_AFTER_ACCEPT,  # done, then cut: the caller cannot know
    "bad_json": Action.TRUNCATED_JSON,
    "garbage": Action.GARBAGE,
    "jwks_down": Action.HTTP_ERROR,
    "jwks_empty": Action.GARBAGE,
}
_PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    "429": {"kind": "token"},
    "429_mail": {"kind": "invite"},
    "conflict": {"kind": "token", "type": "refresh_token"},
    "jwks_down": {"kind": "jwks"},
    "jwks_empty": {"kind": "jwks"},
}
_NOT_HERE: Final = (Action.FAILED_STATUS, Action.DROP_WEBHOOK, Action.DRIP)
_BY_ACTION: Final[Mapping[Action, str]] = {
    Action.HANG: "timeout",
    Action.RESET_BEFORE_ACCEPT: "connection_reset",
    Action.RESET_AFTER_ACCEPT: "connection_reset_late",
    Action.HTML_502: "html_502",
    Action.TRUNCATED_JSON: "bad_json",
    Action.DELAY: "slow",
    Action.GARBAGE: "garbage",
    Action.HTTP_ERROR: "http_error",
}


def rule_from(value: dict[str, Any]) -> FaultRule:
    """A rule as it came over the control API. Raises ValueError when it names nothing that this emulator can do."""
    members = dict(value)
    name = members.pop("knob", None)
    if name is not None:
        if name not in KNOBS:
            raise ValueError(f"unknown knob; there are {', '.join(KNOBS)}")
        members = {"action": KNOBS[name], **members}
        members["options"] = {**members.get("options", {}), "knob": name}
        if not members.keys() & {"kind", "path", "type"}:
            members |= _PLACES.get(name, {})
    body = members.pop("body", None)  # apart: msgspec cannot decode `Raw | None`
    rule = msgspec.json.decode(msgspec.json.encode(members), type=FaultRule)
    if body is not None:
        rule = msgspec.structs.replace(rule, body=msgspec.Raw(msgspec.json.encode(body)))
    if rule.action in _NOT_HERE:
        raise ValueError(f"this emulator has no {rule.action.value}")
    return rule


def knob_of(rule: FaultRule) -> str:
    return str(rule.options.get("knob") or _BY_ACTION[rule.action])


def refusal(rule: FaultRule) -> AuthError | None:
    """The error that a rule answers with, or None when it is about something else."""
    match knob_of(rule):
        case "429":
            return AuthError(429, "over_request_rate_limit", "Request rate limit reached")
        case "429_mail":
            return AuthError(429, "over_email_send_rate_limit", "email rate limit exceeded")
        case "504":
            return errors.timed_out()
        case "500" | "jwks_down":
            return errors.unexpected()
        case "conflict":
            text = "Too many concurrent token refresh requests on the same session or refresh token"
            return AuthError(409, "conflict", text)
        case knob:
            return _plain(rule) if knob == "http_error" else None


def _plain(rule: FaultRule) -> AuthError:
    code = str(rule.options.get("error_code", "unexpected_failure"))
    return AuthError(rule.status, code, "Fault injected by the emulator.")
