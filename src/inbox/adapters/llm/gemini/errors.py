"""What Gemini's refusals and broken calls mean, in errors of the domain."""

from collections.abc import Mapping
from typing import Final

from inbox.adapters.llm.answering import QuotaSpent
from inbox.adapters.llm.gemini import wire
from inbox.adapters.llm.waits import named_wait
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelMissing,
    ModelRefused,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.kit.http import CallFailed, Reach

_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_ERRORS: Final = 500
_GAVE_UP: Final = (408, 499)
_MINUTE: Final = 60.0
_LONGEST: Final = 300.0
"""Seconds: whoever asks to wait longer has no quota left."""


def failure(failed: CallFailed) -> ModelUnavailable:
    """A call without a whole answer. What left us may be billed, whatever became of it."""
    error = _failure(failed)
    error.may_cost = failed.reach is not Reach.NOTHING
    return error


def _failure(failed: CallFailed) -> ModelUnavailable:
    if failed.reason in ("connect_timeout", "read_timeout"):
        return ModelTimeout(f"Gemini did not answer in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return ModelFailed(f"Gemini's answer broke off ({failed.reason}).")
    return ModelUnavailable(f"Gemini could not be reached ({failed.reason}).")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> InboxError:
    """An answer that is an error."""
    return _meaning(status, wire.error_of(body), named_wait(headers, "retry-after"))


def broken_off(error: wire.Status) -> InboxError:
    """Of an error inside a stream that began well: the model was at work, whatever the error says."""
    found = _meaning(error.code, error) if error.code else ModelFailed("Gemini's answer ended in an error.")
    found.may_cost = True
    return found


def _meaning(
    status: int, error: wire.Status | None, wait: float | None = None
) -> ModelRefused | ModelThrottled | ModelUnavailable:
    """`error` is None for a page that is not Gemini's.

    `wait` are the seconds that the headers name. What the error itself says goes before.
    """
    if status == _TOO_MANY:
        return _throttle(error or wire.Status(), wait)
    if status >= _ERRORS or status in _GAVE_UP:
        return ModelFailed(f"Gemini answered {status}.", retry_after=wait)
    word = error.status[:100] if error is not None else "no reason"
    if status == _NOT_FOUND:
        return ModelMissing(f"Gemini has no such model for this key ({word}).")
    return ModelRefused(f"Gemini refused the request ({status}, {word}).")


def _throttle(error: wire.Status, header: float | None) -> ModelRefused | ModelThrottled:
    named = wire.retry_after(error)
    wait = header if named is None else named
    if wire.is_quota_spent(error) or (wait is not None and wait > _LONGEST):
        return QuotaSpent("Gemini's quota is used up.")
    if wait is None and wire.is_per_minute(error):
        wait = _MINUTE
    return ModelThrottled("Gemini asks to wait.", retry_after=wait)
