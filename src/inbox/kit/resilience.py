"""Guard: the one place where calls to other services get deadlines, slots, retries and a breaker.

Order, outermost first: no open transaction → total deadline → bulkhead → retry → breaker → attempt timeout → call.
The breaker is inside the retry, so each attempt counts and an open circuit ends the retry at once. The slot is kept
during back-off: in an outage callers fail at their deadline instead of piling up. The only importer of stamina.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from contextvars import ContextVar
from typing import Final, Generic, TypeVar

import msgspec
import structlog
from stamina import AsyncRetryingCaller
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from inbox.domain.errors import CircuitOpen, InboxError, Kind, Overloaded
from inbox.kit.boundaries import forbid_open_transaction
from inbox.kit.breaker import Breakers, IsFailure
from inbox.kit.gauges import Calls

T = TypeVar("T")
OnTimeout = Callable[[], InboxError]

_REPEATABLE: Final = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.THROTTLED})
_FAILURES: Final = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.UNCERTAIN})
_OURS: Final = (CircuitOpen, Overloaded)  # nothing was tried: never repeated here, never a failure of the other side
_BUDGET_SHARE: Final = 0.1
_BUDGET_SECONDS: Final = 10
_BUDGET_FLOOR: Final = 5

_guard_name: ContextVar[str] = ContextVar("inbox_guard_name", default="")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and counts of one purpose.

    `total` bounds everything: waiting for a slot, attempts, back-off. `concurrency` calls run at a time and `waiting`
    more may wait; beyond that Overloaded. Back-off grows from `wait_initial` to `wait_max`, with jitter. A time that
    the other side names is obeyed up to `retry_after_max`; a longer one ends the retry, the lane waits instead.
    `early_trial` bounds the attempt that tries an open circuit before its time: while it hangs nobody gets through.
    """

    total: float
    attempt: float
    attempts: int = 1
    concurrency: int = 64
    waiting: int = 256
    wait_initial: float = 0.1
    wait_max: float = 2.0
    retry_after_max: float = 5.0
    early_trial: float | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: `outcome` is `ok`, `cancelled` or the name of the error's class; `took` in seconds.

    `attempt` is its number within the call, from 1.
    """

    name: str
    outcome: str
    took: float
    circuit: str | None
    attempt: int = 1


def provider_failed(error: Exception) -> bool:
    """The default `is_failure`: the other side is broken, silent or unreachable.

    Refusals, throttles and dead tokens are answers of a side that lives; an open circuit and a full queue are ours.
    """
    return isinstance(error, InboxError) and error.kind in _FAILURES and not isinstance(error, _OURS)


class Guard:
    """Around every call of one purpose, for the life of the process."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        breakers: Breakers | None = None,
        circuit: str | None = None,
        is_failure: IsFailure | None = provider_failed,
        observe: Callable[[Observation], None] | None = None,
        elsewhere: tuple[type[InboxError], ...] = (),
    ) -> None:
        """`is_failure` says what counts against `circuit`; with None the circuit is heeded and nothing counts.

        `observe` gets one Observation for each attempt. After an error of `elsewhere` the next attempt asks somebody
        else: it loads nobody twice, so it does not need the budget of retries.
        """
        self.name = name
        self.policy = policy
        self._breakers = breakers
        self._circuit = circuit
        self._is_failure = is_failure
        self._observe = observe
        self._elsewhere = elsewhere
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._waiting = 0
        self._running = 0
        self._budget = _Budget()
        self._caller = AsyncRetryingCaller(attempts=policy.attempts, timeout=policy.total)

    def load(self) -> Calls:
        """The calls at this moment."""
        return Calls(self._running, self._waiting)

    async def call(self, fn: Callable[[], Awaitable[T]], *, on_timeout: OnTimeout) -> T:
        """The result of `fn`, which raises InboxErrors only.

        `on_timeout` makes the error when an attempt, or everything, took too long: only the caller knows how far it
        came. Raises Overloaded and CircuitOpen beside the errors of `fn`; RuntimeError inside a transaction.
        """
        async with AsyncExitStack() as stack:
            return await self._run(stack, fn, on_timeout)

    @asynccontextmanager
    async def opening(
        self, fn: Callable[[], AbstractAsyncContextManager[T]], *, on_timeout: OnTimeout
    ) -> AsyncIterator[T]:
        """For streams: like `call` for entering `fn()`. The body of the block has neither slot nor deadline.

        A slow reader would keep others from opening theirs: how many streams are open is bounded by whoever opens them.
        """
        async with AsyncExitStack() as stream:
            async with AsyncExitStack() as slot:
                opened = await self._run(slot, lambda: stream.enter_async_context(fn()), on_timeout)
            yield opened

    async def _run(self, stack: AsyncExitStack, fn: Callable[[], Awaitable[T]], on_timeout: OnTimeout) -> T:
        forbid_open_transaction()
        token = _guard_name.set(self.name)
        scope = asyncio.timeout(self.policy.total)
        try:
            async with scope:
                await stack.enter_async_context(self._slot())
                self._budget.called()
                call = _Call(fn, on_timeout, scope, self.policy, self._may_repeat, self._admission, self._seen)
                if self.policy.attempts == 1:
                    return await call.attempt()
                return await self._caller(call.wait_before_next, call.attempt)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise on_timeout() from error
        finally:
            _guard_name.reset(token)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._slots.locked() and self._waiting >= self.policy.waiting:
            raise Overloaded(f"Too many calls to {self.name} wait already.")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._slots.release()

    def _may_repeat(self, error: InboxError) -> bool:
        return isinstance(error, self._elsewhere) or self._budget.spend()

    def _admission(self) -> AbstractContextManager[bool]:
        if self._breakers is None or self._circuit is None:
            return nullcontext(enter_result=False)
        if self._is_failure is None:
            return self._breakers.heed(self._circuit)
        return self._breakers.guard(self._circuit, self._is_failure)

    def _seen(self, outcome: str, took: float, attempt: int) -> None:
        if self._observe is not None:
            self._observe(
                Observation(name=self.name, outcome=outcome, took=took, circuit=self._circuit, attempt=attempt)
            )


class _Call(Generic[T]):
    """One call and its attempts."""

    def __init__(
        self,
        fn: Callable[[], Awaitable[T]],
        on_timeout: OnTimeout,
        total: asyncio.Timeout,
        policy: Policy,
        may_repeat: Callable[[InboxError], bool],
        admission: Callable[[], AbstractContextManager[bool]],
        seen: Callable[[str, float, int], None],
    ) -> None:
        self._fn = fn
        self._on_timeout = on_timeout
        self._total = total
        self._policy = policy
        self._may_repeat = may_repeat
        self._admission = admission
        self._seen = seen
        self._tries = 0

    async def attempt(self) -> T:
        """One attempt through the breaker, observed."""
        self._tries += 1
        started = time.perf_counter()
        outcome = "ok"
        try:
            with self._admission() as is_early:
                return await self._timed(self._policy.early_trial if is_early else None)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._seen(outcome, time.perf_counter() - started, self._tries)

    async def _timed(self, limit: float | None) -> T:
        scope = asyncio.timeout(min(limit or self._policy.attempt, self._policy.attempt))
        try:
            async with scope:
                return await self._fn()
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise self._on_timeout() from error
        except asyncio.CancelledError:
            # The total deadline cancels. A cancellation says nothing to the breaker, and a side that always hangs would
            # never open it, so what it means is said here. Who else cancels is obeyed.
            task = asyncio.current_task()
            if not self._total.expired() or task is None or task.cancelling() > 1:
                raise
            raise self._on_timeout() from None

    def wait_before_next(self, error: Exception) -> bool | float:
        """The back-off hook of stamina: False, or the seconds to wait. Never waits beyond the deadline."""
        policy = self._policy
        if self._tries >= policy.attempts or not isinstance(error, InboxError) or isinstance(error, _OURS):
            return False
        if error.kind not in _REPEATABLE:
            return False
        wait = error.retry_after
        if wait is None:
            ceiling = min(policy.wait_max, policy.wait_initial * 2.0 ** (self._tries - 1))
            wait = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        elif wait > policy.retry_after_max:
            return False
        deadline = self._total.when()
        if deadline is None or asyncio.get_running_loop().time() + wait >= deadline:
            return False
        return max(0.0, wait) if self._may_repeat(error) else False


class _Budget:
    """Retries are at most a tenth of the calls of the last ten seconds, and a handful always.

    Without it every caller repeats at once when the other side stumbles, and the load multiplies when it hurts most.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=_BUDGET_SECONDS)  # second, calls, retries

    def called(self) -> None:
        self._add(1, 0)

    def spend(self) -> bool:
        """Take one retry. False if the budget is used up."""
        oldest = int(self._clock()) - _BUDGET_SECONDS
        recent = [(calls, retries) for second, calls, retries in self._seconds if second > oldest]
        allowed = max(_BUDGET_FLOOR, _BUDGET_SHARE * sum(calls for calls, _ in recent))
        if sum(retries for _, retries in recent) >= allowed:
            return False
        self._add(0, 1)
        return True

    def _add(self, calls: int, retries: int) -> None:
        now = int(self._clock())
        if self._seconds and self._seconds[-1][0] == now:
            _, before, repeated = self._seconds.pop()
            calls, retries = calls + before, retries + repeated
        self._seconds.append((now, calls, retries))


def configure_retry_hooks() -> None:
    """Replace stamina's own hooks, which log all arguments, by ours. Called once by main."""
    set_on_retry_hooks([_log_retry])


def _log_retry(details: RetryDetails) -> None:
    structlog.get_logger().info(
        "retry",
        upstream=_guard_name.get(),
        attempt=details.retry_num,
        error=type(details.caused_by).__name__,
        wait=round(details.wait_for, 3),
    )
