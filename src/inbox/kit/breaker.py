"""Circuit breakers: the only importer of purgatory.

purgatory keeps the three states. This adapter adds what it lacks: a fresh error for each rejection (its own is one
object whose traceback grows for ever), a monotonic clock, one trial at a time while half-open, two successes to close,
and calls that say nothing about the other side (cancelled, or failed through our own fault) left out of the count.

A circuit lives in one process and one event loop; every process learns by itself within `threshold` failures. While
one is open, `kit/recovery.py` asks the other side whether it lives, and lets the trial come before its time.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TypeAlias

import msgspec
from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, ClosedState, Context, HalfOpenedState, OpenedState

from inbox.domain.errors import CircuitOpen
from inbox.ports.monitoring import CircuitState, Gate

_SUCCESSES_TO_CLOSE: Final = 2  # what existing monitoring pages show
_TRIAL_WAIT: Final = 1.0  # seconds to tell those who come while a trial runs
_STATE_NAMES: Final = {CLOSED: "closed", OPENED: "open", HALF_OPENED: "half_open"}


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """`threshold` consecutive failures open it for `stays_open` seconds; two successes close it again.

    `name` is the key of the admin calls (`whatsapp`); `shown_as` is the name in their answers (`whatsapp_api`).
    An early trial may come `early_trial` seconds after the opening, the next one twice as long after the beginning of
    one that failed, and so on up to `stays_open`; 0 is none.
    """

    name: str
    threshold: int
    stays_open: float
    shown_as: str = ""
    early_trial: float = 0.0

    def __post_init__(self) -> None:
        if self.threshold < 1 or self.stays_open <= 0:
            raise ValueError(f"circuit {self.name} needs a threshold of at least 1 and a time above 0")


def _utc_now() -> datetime:
    return datetime.now(UTC)


IsFailure: TypeAlias = Callable[[Exception], bool | None]
"""Whether an error speaks against the other side, for it, or (None) is none of its doing."""


class Breakers:
    """All circuits of one process."""

    def __init__(
        self,
        circuits: Iterable[Circuit],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
        on_change: Callable[[str, str], None] | None = None,
    ) -> None:
        """`clock` is monotonic seconds, `now` is for showing only. `on_change` gets (circuit, new state)."""
        self._breakers = {circuit.name: _Breaker(circuit, clock, now, on_change) for circuit in circuits}

    def guard(self, name: str, is_failure: IsFailure) -> AbstractContextManager[bool]:
        """Around one attempt. Entering raises CircuitOpen, with the seconds to wait, if nobody is let through.

        It gives True for a trial that comes before its time.
        An exception for which `is_failure` is false proves that the other side lives: it changes nothing while closed
        and counts as a success of a trial. None, and cancellation, count as nothing at all.
        """
        return _Admission(self._breakers[name], is_failure)

    def heed(self, name: str) -> AbstractContextManager[bool]:
        """Around a call that is kept off like all others, and whose outcome says nothing. Entering raises CircuitOpen.

        Such calls close no circuit: while one that is due for a trial waits for it, one of them at a time passes.
        It gives False.
        """
        return self._breakers[name].heed()

    def gate(self, name: str) -> Gate:
        """What work that needs this circuit may look at before it begins."""
        return self._breakers[name]

    def early_trial_in(self, name: str) -> float | None:
        """Seconds until a trial may come before its time; None unless the circuit is open and has early trials."""
        return self._breakers[name].early_trial_in()

    def try_early(self, name: str) -> None:
        """Lets the next call be the trial: the other side seems to live. Does nothing while that is not allowed."""
        self._breakers[name].try_early()

    def inspect(self) -> dict[str, CircuitState]:
        """Every circuit by its key."""
        return {name: breaker.inspect() for name, breaker in self._breakers.items()}

    def reset(self, name: str) -> bool:
        """Close it and forget its failures. False if there is no such circuit."""
        if (breaker := self._breakers.get(name)) is None:
            return False
        breaker.close()
        return True

    def trip(self, name: str) -> bool:
        """Open it now, for its usual time, without early trials. False if there is no such circuit."""
        if (breaker := self._breakers.get(name)) is None:
            return False
        breaker.open()
        return True


class _Breaker:
    """One circuit: purgatory's context, and our clock, trials and counts."""

    def __init__(
        self,
        circuit: Circuit,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        on_change: Callable[[str, str], None] | None,
    ) -> None:
        self._circuit = circuit
        self._context = Context(circuit.name, circuit.threshold, circuit.stays_open)
        self._clock = clock
        self._now = now
        self._on_change = on_change
        self._shown = CLOSED
        self._generation = 0
        self._opened = 0.0
        self._trial_runs = False
        self._trial_begun = 0.0
        self._heeder_runs = False
        self.is_early = False
        self._early_after = circuit.early_trial
        self._early_from = 0.0
        self._moves = 0
        self._moved = asyncio.Event()
        self._successes = 0
        self._failures = 0  # in a row; purgatory forgets them when it opens
        self._rejections = 0
        self._last_failure: datetime | None = None
        self._opened_at: datetime | None = None

    def admit(self) -> int:
        """Let one attempt through and return the generation of states it belongs to, or raise CircuitOpen."""
        self._keep_off()
        if self._context.state == OPENED:
            self._context.set_state(HalfOpenedState())
            self._settle()
        if self._context.state == HALF_OPENED:
            self._trial_runs, self._trial_begun = True, self._clock()
        return self._generation

    @contextmanager
    def heed(self) -> Iterator[bool]:
        """Raises CircuitOpen while `admit` would, and while another one runs in a circuit that is not closed."""
        self._keep_off()
        if self._context.state == CLOSED:
            yield False
            return
        if self._heeder_runs:
            self._reject(_TRIAL_WAIT)
        self._heeder_runs = True
        try:
            yield False
        finally:
            self._heeder_runs = False

    def room(self) -> int | None:
        if self._context.state == CLOSED:
            return None
        is_shut = self._remaining() > 0 if self._context.state == OPENED else self._trial_runs
        return 0 if is_shut else 1

    async def moved(self, since: int) -> int:
        while self._moves == since:
            await self._moved.wait()
        return self._moves

    def early_trial_in(self) -> float | None:
        if self._context.state != OPENED or not self._early_after:
            return None
        return max(0.0, self._early_from + self._early_after - self._clock())

    def try_early(self) -> None:
        if self.early_trial_in() == 0.0:
            self.is_early = True
            self._context.set_state(HalfOpenedState())
            self._settle()

    def succeeded(self) -> None:
        if self._context.state == HALF_OPENED:
            self._successes += 1
            if self._successes < _SUCCESSES_TO_CLOSE:
                return
        self._failures = 0
        self._context.handle_end_request()
        self._settle()

    def failed(self, error: Exception) -> None:
        self._last_failure = self._now()
        self._failures += 1
        self._context.handle_exception(error)
        self._settle()

    def refused(self) -> None:
        """The other side answered, but not what was hoped for."""
        if self._context.state == HALF_OPENED:
            self.succeeded()

    def left(self) -> None:
        """A trial is over, however it went."""
        if self._trial_runs:
            self._trial_runs = False
            self._tell()

    def belongs(self, generation: int) -> bool:
        """False for an attempt that began before the state last changed: it says nothing about now."""
        return generation == self._generation

    def open(self) -> None:
        self._context.set_state(OpenedState(self._circuit.name))
        self._settle(is_forced=True)
        self._early_after = 0.0

    def close(self) -> None:
        self._failures = 0
        self._context.set_state(ClosedState())
        self._settle(is_forced=True)

    def inspect(self) -> CircuitState:
        return CircuitState(
            name=self._circuit.shown_as or self._circuit.name,
            state=_STATE_NAMES[self._context.state],
            failure_count=self._failures,
            success_count=self._successes,
            last_failure_time=self._last_failure,
            opened_at=self._opened_at,
            rejected_count=self._rejections,
        )

    def _keep_off(self) -> None:
        """Raises CircuitOpen while nobody may try."""
        if self._context.state == OPENED and (remaining := self._remaining()) > 0:
            self._reject(remaining)
        if self._context.state == HALF_OPENED and self._trial_runs:
            self._reject(_TRIAL_WAIT)

    def _remaining(self) -> float:
        """Seconds until the regular trial of an open circuit."""
        return self._opened + self._circuit.stays_open - self._clock()

    def _tell(self) -> None:
        """Wakes who waits for a change."""
        self._moves += 1
        self._moved.set()
        self._moved = asyncio.Event()

    def _reject(self, retry_after: float) -> None:
        self._rejections += 1
        raise CircuitOpen(self._circuit.name, retry_after=retry_after)

    def _settle(self, *, is_forced: bool = False) -> None:
        """Follow a change of state. The context's own messages have no reader here and must not pile up."""
        self._context.messages.clear()
        state = self._context.state
        if state == self._shown and not is_forced:
            return
        self._generation += 1
        self._trial_runs = False
        self._successes = 0
        if state == OPENED:
            self._opened, self._opened_at = self._clock(), self._now()
            self._early_from = self._opened
            if self.is_early:
                # The harmless question was answered and the trial was not: a partial outage. The next one waits longer,
                # from the beginning of this one: it may have hung for a while.
                self._early_from = self._trial_begun
                self._early_after = min(2 * self._early_after, self._circuit.stays_open)
            self.is_early = False
        elif state == CLOSED:
            self._opened_at = None
            self._early_after, self.is_early = self._circuit.early_trial, False
        self._tell()
        is_new, self._shown = state != self._shown, state
        if is_new and self._on_change is not None:
            self._on_change(self._circuit.name, _STATE_NAMES[state])


class _Admission(AbstractContextManager[bool]):
    """One attempt. Looks at exceptions only while they pass."""

    def __init__(self, breaker: _Breaker, is_failure: IsFailure) -> None:
        self._breaker = breaker
        self._is_failure = is_failure
        self._generation = 0

    def __enter__(self) -> bool:
        self._generation = self._breaker.admit()
        return self._breaker.is_early

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._breaker.belongs(self._generation):
            return
        self._breaker.left()
        if error is None:
            self._breaker.succeeded()
        elif isinstance(error, Exception):
            verdict = self._is_failure(error)
            if verdict:
                self._breaker.failed(error)
            elif verdict is not None:
                self._breaker.refused()
