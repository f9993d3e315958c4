"""Ways to fail that are known by name, on top of the shared fault rules.

Over the control API a rule may name a `knob` instead of an `action`. A knob without `kind`, `path` or `type` strikes
chat completions only.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.faults import Action, FaultRule
from inbox.emulators.openai import errors
from inbox.emulators.openai.errors import ApiError

CHAT: Final = "/chat/completions$"

KNOBS: Final[Mapping[str, Action]] = {
    "429_rate": Action.HTTP_ERROR,  # options: headers, `retry-after: 21` unless told
    "429_quota": Action.HTTP_ERROR,
    "500": Action.HTTP_ERROR,
    "503": Action.HTTP_ERROR,
    "list_error": Action.HTTP_ERROR,  # a 503 inside a list
    "html_502": Action.HTML_502,
    "garbage": Action.GARBAGE,
    "timeout": Action.HANG,
    "connection_reset": Action.RESET_BEFORE_ACCEPT,
    "bad_json": Action.TRUNCATED_JSON,
    "drip": Action.DRIP,  # options: interval in seconds, pieces
    "huge": Action.GARBAGE,  # an answer of a megabyte
    "empty": Action.GARBAGE,
    "no_choices": Action.GARBAGE,
    "error_as_200": Action.GARBAGE,
    "length": Action.GARBAGE,  # cut in the middle of a text
    "length_empty": Action.GARBAGE,  # reasoning used up the tokens
    "content_filter": Action.GARBAGE,
    "refusal": Action.GARBAGE,
    "tool_calls": Action.GARBAGE,
    "bad_output": Action.GARBAGE,  # the model's text is a torn JSON in a code fence
    "fenced": Action.GARBAGE,  # thoughts, and the JSON in a code fence
    "unknown_finish_reason": Action.GARBAGE,
}
_BY_ACTION: Final[Mapping[Action, str]] = {
    Action.HANG: "timeout",
    Action.RESET_BEFORE_ACCEPT: "connection_reset",
    Action.HTML_502: "html_502",
    Action.TRUNCATED_JSON: "bad_json",
    Action.DRIP: "drip",
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
            members["path"] = CHAT
    rule = msgspec.convert(members, FaultRule)
    if rule.action not in _BY_ACTION:
        raise ValueError(f"this emulator has no {rule.action.value}")
    return rule


def knob_of(rule: FaultRule) -> str:
    return str(rule.options.get("knob") or _BY_ACTION[rule.action])


def refusal(rule: FaultRule) -> ApiError | None:
    """The error that a rule answers with, or None when it is about something else."""
    match knob_of(rule):
        case "429_rate":
            return errors.rate_limited(rule.options.get("headers", {"retry-after": "21"}))
        case "429_quota":
            return errors.no_money()
        case "500" | "503" as status:
            return errors.server_error(int(status))
        case "list_error":
            return errors.server_error(503, as_list=True)
        case "http_error":
            return errors.server_error(rule.status)
        case _:
            return None
