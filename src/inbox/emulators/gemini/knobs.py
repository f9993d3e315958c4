"""This vendor's own ways to fail, by name, on top of the shared fault rules.

Over the control API a rule may name a `knob` instead of an `action`; the knob's figures go into `options`. A knob
without `kind`, `path` or `type` strikes requests to generate only: at this vendor, overload does not touch
`models.get` or `countTokens`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.faults import Action, FaultRule
from inbox.emulators.gemini import errors
from inbox.emulators.gemini.errors import ApiError

GENERATING: Final = ":(streamG|g)enerateContent$"
STREAMING: Final = ":streamGenerateContent$"

KNOBS: Final[Mapping[str, Action]] = {
    "429_minute": Action.HTTP_ERROR,  # options: retry_delay in seconds, 21 unless told
    "429_day": Action.HTTP_ERROR,
    "429_limit0": Action.HTTP_ERROR,
    "500": Action.HTTP_ERROR,
    "503": Action.HTTP_ERROR,
    "504": Action.HTTP_ERROR,
    "list_error": Action.HTTP_ERROR,  # a 503 inside a one-element list
    "nested_error": Action.HTTP_ERROR,  # a 503 whose message is the real error as JSON text
    "html_502": Action.HTML_502,
    "garbage": Action.GARBAGE,  # 200 with bytes that are no JSON
    "timeout": Action.HANG,
    "connection_reset": Action.RESET_BEFORE_ACCEPT,
    "connection_reset_late": Action.RESET_AFTER_ACCEPT,  # generated (and billed), then cut
    "slow": Action.DELAY,  # `delay` of the rule, in seconds
    "drip": Action.DRIP,  # options: interval in seconds between the pieces, pieces (16 unless told)
    "bad_json": Action.TRUNCATED_JSON,
    "stream_error_data": Action.GARBAGE,  # an error as `data:` after the first events
    "stream_error_raw": Action.GARBAGE,  # an error as bare JSON after the first events
    "stream_eof": Action.GARBAGE,  # the stream ends without a finish reason
    "empty_stop": Action.GARBAGE,
    "max_tokens_empty": Action.GARBAGE,
    "blocked_prompt": Action.GARBAGE,  # options: reason, PROHIBITED_CONTENT unless told
    "no_candidates": Action.GARBAGE,  # neither candidates nor promptFeedback
    "safety": Action.GARBAGE,
    "recitation": Action.GARBAGE,
    "malformed_call": Action.GARBAGE,
    "unknown_finish_reason": Action.GARBAGE,
    "bad_output": Action.GARBAGE,  # the model's text is a torn JSON in a code fence
    "huge": Action.GARBAGE,  # an answer of a megabyte
}
_FIGURES: Final = ("retry_delay", "interval", "pieces")
_NOT_HERE: Final = (Action.FAILED_STATUS, Action.DROP_WEBHOOK)
_BY_ACTION: Final[Mapping[Action, str]] = {
    Action.HANG: "timeout",
    Action.RESET_BEFORE_ACCEPT: "connection_reset",
    Action.RESET_AFTER_ACCEPT: "connection_reset_late",
    Action.HTML_502: "html_502",
    Action.TRUNCATED_JSON: "bad_json",
    Action.DELAY: "slow",
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
            members["path"] = STREAMING if name.startswith("stream_") else GENERATING
    body = members.pop("body", None)  # apart: msgspec cannot decode `Raw | None`
    rule = msgspec.json.decode(msgspec.json.encode(members), type=FaultRule)
    if body is not None:
        rule = msgspec.structs.replace(rule, body=msgspec.Raw(msgspec.json.encode(body)))
    if not all(isinstance(rule.options.get(name, 0), (int, float)) for name in _FIGURES):
        raise ValueError(f"options: {', '.join(_FIGURES)} are numbers")
    if rule.action in _NOT_HERE:
        raise ValueError(f"this emulator has no {rule.action.value}")
    return rule


def knob_of(rule: FaultRule) -> str:
    """The knob that a rule turns; a rule without one does what its action says."""
    return str(rule.options.get("knob") or _BY_ACTION[rule.action])


def refusal(rule: FaultRule, model: str) -> ApiError | None:
    """The error that a rule answers with, or None when it is about something else."""
    knob = knob_of(rule)
    if knob == "429_minute":
        return errors.per_minute(model, float(rule.options.get("retry_delay", 21)))
    if knob == "http_error":
        return _by_status(rule, model)
    build = _REFUSALS.get(knob)
    return build(model) if build else None


def _by_status(rule: FaultRule, model: str) -> ApiError:
    """A plain `http_error`: the vendor's text where there is one for the status."""
    known = {429: "429_minute", 500: "500", 503: "503", 504: "504"}.get(rule.status)
    if known == "429_minute":
        return errors.per_minute(model, float(rule.options.get("retry_delay", 21)))
    if known:
        return _REFUSALS[known](model)
    return ApiError(rule.status, "UNKNOWN", "Fault injected by the emulator.")


def _nested() -> ApiError:
    inner = msgspec.json.format(msgspec.json.encode(errors.overloaded().body()), indent=2).decode()
    return ApiError(503, "Service Unavailable", inner)


def _listed() -> ApiError:
    error = errors.overloaded()
    error.as_list = True
    return error


_REFUSALS: Final[Mapping[str, Callable[[str], ApiError]]] = {
    "429_day": errors.per_day,
    "429_limit0": errors.no_quota,
    "500": lambda _: errors.internal(),
    "503": lambda _: errors.overloaded(),
    "504": lambda _: errors.deadline(),
    "list_error": lambda _: _listed(),
    "nested_error": lambda _: _nested(),
}
