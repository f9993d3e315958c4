"""What refusals and broken calls of OpenAI-compatible servers mean, in errors of the domain."""

from collections.abc import Mapping
from typing import Final

from inbox.adapters.llm.answering import QuotaSpent
from inbox.adapters.llm.openai.wire import problem_of
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
from inbox.kit.http import CallFailed, Reach, Reply

_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_ERRORS: Final = 500
_GAVE_UP: Final = (408, 425, 499)
_LONGEST: Final = 300.0
"""Seconds: whoever asks to wait longer has no quota left."""
_WAITS: Final = ("retry-after", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


def failure(failed: CallFailed) -> ModelUnavailable:
    """A call without a whole answer. What left us may be billed, whatever became of it."""
    error = _failure(failed)
    error.may_cost = failed.reach is not Reach.NOTHING
    return error


def _failure(failed: CallFailed) -> ModelUnavailable:
    if failed.reason in ("connect_timeout", "read_timeout"):
        return ModelTimeout(f"The model did not answer in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return ModelFailed(f"The model's answer broke off ({failed.reason}).")
    return ModelUnavailable(f"The model could not be reached ({failed.reason}).")


def refusal(reply: Reply) -> InboxError:
    problem = problem_of(reply.body)
    if reply.status == _TOO_MANY:
        return _throttle(reply.headers, problem.word)
    if reply.status >= _ERRORS or reply.status in _GAVE_UP:
        wait = named_wait(reply.headers, "retry-after")
        return ModelFailed(f"The model's server answered {reply.status}.", retry_after=wait)
    if reply.status == _NOT_FOUND or problem.word == "model_not_found":
        return ModelMissing(f"There is no such model ({reply.status}, {problem.word}).")
    return ModelRefused(f"The model's server refused the request ({reply.status}, {problem.word}).")


def _throttle(headers: Mapping[str, str], word: str) -> InboxError:
    if word in _NO_MONEY:
        # All models of the account are paid from it.
        return ModelRefused("The account of the model has no money left.")
    wait = named_wait(headers, *_WAITS)
    if wait is not None and wait > _LONGEST:
        return QuotaSpent("The model's quota is used up.")
    return ModelThrottled("The model's server asks to wait.", retry_after=wait)
