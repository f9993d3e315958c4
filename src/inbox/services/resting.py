"""Numbers that WhatsApp answers with a fault of theirs: each rests for itself, then one message at a time tries it.

While WhatsApp upgrades a number (131057), or answers its sends so that their outcome is unknown (1, 131000), nothing is
wrong with other numbers, so the circuit of WhatsApp stays out of it. But each send of the latter kind leaves a message
that a person has to decide about. The row of the number in the database makes all workers leave it alone, also while a
message tries it; what is kept here tells only when that begins and ends. A process that was just started does not know
it: what it claims at once leaves until three answers are there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId
from inbox.domain.upstream_errors import AccountProblem, OutcomeUnknown, Refused, TryLater

_UNKNOWN_IN_A_ROW: Final = 3
"""So many of a number whose outcome is unknown, and none between that WhatsApp took or refused, are no accident."""
_FIRST: Final = 2.0
"""Seconds; each rest is twice as long as the one before."""
_LONGEST: Final = 60.0
_LONGEST_UPGRADE: Final = 10.0
"""An upgrade takes about a minute, and trying burns nothing."""
_LONGEST_NAMED: Final = 300.0
_MOST: Final = 1_000
"""Numbers in trouble that are remembered, those with the latest faults."""


class _Number(msgspec.Struct):
    faults: int = 0
    rests: int = 0
    until: float = 0.0
    is_tried: bool = False


class Resting:
    """What one process knows about numbers in trouble."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic seconds."""
        self._clock = clock
        self._numbers: dict[AccountId, _Number] = {}

    @contextmanager
    def trying(self, account_id: AccountId) -> Iterator["Try | None"]:
        """Around one send and the writing of its outcome. None: it may not leave, the number rests or is tried."""
        number = self._numbers.get(account_id)
        if number is None or not number.rests:
            yield Try(self, account_id, 0)
            return
        if number.is_tried or self._clock() < number.until:
            yield None
            return
        number.is_tried = True
        try:
            yield Try(self, account_id, number.rests)
        finally:
            number.is_tried = False

    def forget(self, account_id: AccountId, *, rested: int) -> None:
        """The number is well, says a send that left after `rested` rests."""
        number = self._numbers.get(account_id)
        if number is not None and number.rests == rested:  # else it was under way when the number began to rest
            del self._numbers[account_id]

    def blame(self, account_id: AccountId, *, rested: int, in_a_row: int, longest: float) -> timedelta | None:
        """One more fault of a send that left after `rested` rests. The rest that begins with it, if one does."""
        number = self._numbers.pop(account_id, None) or _Number()
        if len(self._numbers) >= _MOST:
            del self._numbers[next(iter(self._numbers))]
        self._numbers[account_id] = number
        if number.rests != rested:
            return None  # it was under way when the number began to rest
        number.faults += 1
        if not number.rests and number.faults < in_a_row:
            return None
        seconds = min(_FIRST * 2.0 ** min(number.rests, 10), longest)
        number.rests += 1
        number.until = self._clock() + seconds
        return timedelta(seconds=seconds)


class Try:
    """One send of a number, and what it says about the number."""

    def __init__(self, resting: Resting, account_id: AccountId, rested: int) -> None:
        self._resting = resting
        self._account_id = account_id
        self._rested = rested
        self.began_rest = False

    @property
    def is_trial(self) -> bool:
        """True for the first message after a rest, of this process."""
        return self._rested > 0

    def accepted(self) -> None:
        """WhatsApp took the message."""
        self._resting.forget(self._account_id, rested=self._rested)

    def failed(self, error: InboxError) -> timedelta | None:
        """How long the number rests from now on, if a rest begins. `error` is the answer to a send, or its absence."""
        rest = self._judged(error)
        self.began_rest = rest is not None
        return rest

    def _judged(self, error: InboxError) -> timedelta | None:
        match error:
            case TryLater(scope="upgrade", retry_after=named):
                longest = _LONGEST_UPGRADE
                rest = self._resting.blame(self._account_id, rested=self._rested, in_a_row=1, longest=longest)
                return rest and max(rest, timedelta(seconds=min(named or 0.0, _LONGEST_NAMED)))
            case OutcomeUnknown(graph_code=int()):
                in_a_row = _UNKNOWN_IN_A_ROW
                return self._resting.blame(self._account_id, rested=self._rested, in_a_row=in_a_row, longest=_LONGEST)
            case TryLater(scope="service"):
                return None
            case Refused() | AccountProblem() | TryLater():
                self._resting.forget(self._account_id, rested=self._rested)
        return None
