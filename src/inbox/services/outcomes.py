"""What becomes of a message that was not taken, by the class of the error: its state, and what waits how long."""

from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.graph_errors import STOPPING, sentence
from inbox.domain.outbound import UNCONFIRMED_AFTER, UNCONFIRMED_AFTER_CODE, State
from inbox.domain.pacing import pair_wait
from inbox.domain.upstream_errors import (
    AccountProblem,
    FenceRefused,
    NothingSent,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from inbox.domain.work import Lane, back_off
from inbox.ports.records import Outgoing, Settlement

LOOKED_AT_AGAIN: Final = timedelta(minutes=1)
"""How often the messages of an account that is paused or cannot be used are looked at again."""
_MEETS_CIRCUIT: Final = timedelta(seconds=1)
"""The wait of what met an open circuit: the workers leave it alone until the circuit lets something through."""
_REPEATED_WITHIN: Final = {"app": 60.0, "waba": 60.0, "number": 1.0, "pair": 1.0, "service": 5.0, "upgrade": 1.0}
"""Seconds to wait for the first time, by what is throttled, when WhatsApp names no time."""
_TOO_FAST: Final = frozenset({"app", "waba", "number"})
"""What is throttled when a number sends too fast, alone or with others: it slows down."""


def settlement(outgoing: Outgoing, error: InboxError, lane: Lane, rests: timedelta | None = None) -> Settlement:
    """The outcome classes of a send that had passed the fence; `rests` is what its number does from now on."""
    settled = Settlement(
        message_id=outgoing.id,
        account_id=outgoing.account_id,
        token=outgoing.token,
        state=State.UNKNOWN,
        reason=error.code,
        rests=rests,
    )
    match error:
        case Refused():
            said = sentence(error.graph_code, "" if str(error) == error.code else str(error))
            pause = said if error.graph_code in STOPPING else None
            return msgspec.structs.replace(
                settled, state=State.FAILED, error_code=error.graph_code, error_message=said, pause=pause
            )
        case AccountProblem():
            return msgspec.structs.replace(
                settled, state=State.QUEUED, error_code=error.graph_code, pause=str(error), wait=LOOKED_AT_AGAIN
            )
        case TryLater(scope="pair"):
            wait = max(pair_wait(lane.pair_refusals), timedelta(seconds=error.retry_after or 0))
            return msgspec.structs.replace(settled, state=State.QUEUED, wait=wait, throttled="pair")
        case NothingSent() | TryLater():
            wait = _wait(error, outgoing.attempt + 1)
            throttled = "number" if isinstance(error, TryLater) and error.scope in _TOO_FAST else None
            return msgspec.structs.replace(settled, state=State.QUEUED, wait=wait, throttled=throttled)
        case OutcomeUnknown(graph_code=code) if code is not None:
            return msgspec.structs.replace(settled, error_code=code, unknown_for=UNCONFIRMED_AFTER_CODE)
        case _:
            return msgspec.structs.replace(settled, unknown_for=UNCONFIRMED_AFTER)


def wait_for_nothing(error: InboxError, attempt: int) -> timedelta:
    """The wait after a try of which no byte left. What only an operator can repair is not looked at all the time."""
    match error:
        case FenceRefused():
            return timedelta(0)
        case CircuitOpen():
            return _MEETS_CIRCUIT
        case AccountProblem() | Refused():
            return LOOKED_AT_AGAIN
        case _:
            return _wait(error, attempt)


def is_outage(error: InboxError) -> bool:
    """True for what passes when WhatsApp is there again; false for what one number waits for, and for a named time."""
    is_service = isinstance(error, NothingSent) or (isinstance(error, TryLater) and error.scope == "service")
    return is_service and error.retry_after is None


def _wait(error: InboxError, attempt: int) -> timedelta:
    if error.retry_after is not None:
        return timedelta(seconds=min(max(error.retry_after, 1.0), 300.0))
    first = _REPEATED_WITHIN[error.scope] if isinstance(error, TryLater) else 1.0
    if isinstance(error, TryLater):
        return back_off(attempt, first=first, most=5.0 if error.scope == "upgrade" else 300.0)
    return back_off(attempt, first=first, most=30.0)
