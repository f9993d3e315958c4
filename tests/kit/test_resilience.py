import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import stamina
import structlog
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks
from structlog.testing import capture_logs

from inbox.domain.errors import CircuitOpen, InboxError, Overloaded
from inbox.domain.upstream_errors import (
    AccountProblem,
    ModelThrottled,
    ModelUnavailable,
    OutcomeUnknown,
    Refused,
    TryLater,
    WhatsAppError,
    WhatsAppTimeout,
)
from inbox.kit.boundaries import inside_transaction
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.resilience import Guard, Observation, Policy, configure_retry_hooks, provider_failed

ONCE = Policy(total=5, attempt=5)
THRICE = Policy(total=5, attempt=5, attempts=3, wait_initial=0.0, wait_max=0.0)


class Script:
    """Answers or raises what it was told, one after the other."""

    def __init__(self, *turns: BaseException | str) -> None:
        self._turns = list(turns)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        turn = self._turns.pop(0)
        if isinstance(turn, str):
            return turn
        raise turn


async def hangs() -> str:
    await asyncio.Event().wait()
    return "never"


def circuits() -> Breakers:
    return Breakers([Circuit(name="whatsapp", threshold=2, stays_open=30)])


async def test_the_result_of_the_call_comes_back() -> None:
    assert await Guard("x", ONCE).call(Script("done"), on_timeout=WhatsAppTimeout) == "done"


async def test_inside_a_transaction_nothing_is_called() -> None:
    script = Script("done")
    with inside_transaction(), pytest.raises(RuntimeError, match="transaction"):
        await Guard("x", ONCE).call(script, on_timeout=WhatsAppTimeout)
    assert script.calls == 0


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_a_slow_attempt_becomes_the_callers_error() -> None:
    policy = Policy(total=5, attempt=0.02)
    with pytest.raises(OutcomeUnknown):
        await Guard("x", policy).call(hangs, on_timeout=OutcomeUnknown)


async def test_the_total_deadline_bounds_all_attempts() -> None:
    policy = Policy(total=0.1, attempt=0.03, attempts=1_000, wait_initial=0.0, wait_max=0.0)
    async with asyncio.timeout(10):
        with pytest.raises(WhatsAppTimeout):
            await Guard("x", policy).call(hangs, on_timeout=WhatsAppTimeout)


async def test_the_total_deadline_bounds_the_wait_for_a_slot() -> None:
    guard = Guard("x", Policy(total=0.05, attempt=5, concurrency=1))
    script, taken, goes = Script("never"), asyncio.Event(), asyncio.Event()

    async def takes_the_only_slot() -> None:
        taken.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        await goes.wait()

    first = asyncio.create_task(guard.call(takes_the_only_slot, on_timeout=WhatsAppTimeout))
    await taken.wait()
    with pytest.raises(WhatsAppTimeout):
        await guard.call(script, on_timeout=WhatsAppTimeout)
    goes.set()
    await asyncio.wait([first])
    assert script.calls == 0


async def test_a_side_that_always_hangs_opens_the_circuit_even_when_attempt_and_total_are_equal() -> None:
    breakers = circuits()
    guard = Guard("x", Policy(total=0.05, attempt=0.05), breakers, "whatsapp")
    for _ in range(2):
        with pytest.raises(WhatsAppTimeout):
            await guard.call(hangs, on_timeout=WhatsAppTimeout)
    assert breakers.inspect()["whatsapp"].state == "open"


async def test_a_timeout_of_the_call_itself_is_not_taken_for_ours() -> None:
    with pytest.raises(TimeoutError, match="own"):
        await Guard("x", ONCE).call(Script(TimeoutError("own")), on_timeout=WhatsAppTimeout)


async def test_cancellation_passes_through_and_gives_the_slot_back() -> None:
    breakers = circuits()
    guard = Guard("x", Policy(total=5, attempt=5, concurrency=1), breakers, "whatsapp")

    begun = asyncio.Event()

    async def begins() -> str:
        begun.set()
        return await hangs()

    call = asyncio.create_task(guard.call(begins, on_timeout=WhatsAppTimeout))
    await begun.wait()
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    assert await guard.call(Script("done"), on_timeout=WhatsAppTimeout) == "done"
    assert breakers.inspect()["whatsapp"].failure_count == 0


# --- bulkhead ---------------------------------------------------------------------------------------------------------


async def test_no_more_calls_run_and_wait_than_allowed() -> None:
    guard = Guard("x", Policy(total=5, attempt=5, concurrency=2, waiting=3))
    running = peak = 0
    full = asyncio.Event()
    release = asyncio.Event()

    async def occupies() -> str:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 2:
            full.set()
        await release.wait()
        running -= 1
        return "done"

    async def one() -> str:
        return await guard.call(occupies, on_timeout=WhatsAppTimeout)

    calls = [asyncio.create_task(one()) for _ in range(5)]
    await full.wait()
    with pytest.raises(Overloaded):
        await one()
    release.set()
    assert await asyncio.gather(*calls) == ["done"] * 5
    assert peak == 2


# --- retry ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [WhatsAppError(), ModelUnavailable(), WhatsAppTimeout(), ModelThrottled(retry_after=0)]
)
async def test_what_may_pass_by_itself_is_repeated(error: InboxError) -> None:
    script = Script(error, error, "done")
    assert await Guard("x", THRICE).call(script, on_timeout=WhatsAppTimeout) == "done"
    assert script.calls == 3


@pytest.mark.parametrize(
    "error",
    [
        Refused(),
        AccountProblem(),
        OutcomeUnknown(),
        CircuitOpen("other", retry_after=0),
        Overloaded(),
        KeyError("a bug"),
        ModelThrottled(retry_after=5.1),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_would_not_pass_or_may_not_be_repeated_is_not(error: Exception) -> None:
    script = Script(error, "never")
    with pytest.raises(type(error)) as caught:
        await Guard("x", THRICE).call(script, on_timeout=WhatsAppTimeout)
    assert caught.value is error
    assert script.calls == 1


async def test_with_one_attempt_nothing_is_repeated() -> None:
    script = Script(WhatsAppError(), "never")
    with pytest.raises(WhatsAppError):
        await Guard("x", ONCE).call(script, on_timeout=WhatsAppTimeout)
    assert script.calls == 1


async def test_after_the_last_attempt_the_last_error_comes_out() -> None:
    last = WhatsAppError("third")
    script = Script(WhatsAppError("first"), WhatsAppError("second"), last)
    with pytest.raises(WhatsAppError) as caught:
        await Guard("x", THRICE).call(script, on_timeout=WhatsAppTimeout)
    assert caught.value is last


async def test_a_wait_that_does_not_fit_into_the_deadline_is_not_begun() -> None:
    error = ModelThrottled(retry_after=40.0)
    script = Script(error, "never")
    async with asyncio.timeout(10):
        with pytest.raises(ModelThrottled):
            await Guard("x", Policy(total=1, attempt=1, attempts=3)).call(script, on_timeout=WhatsAppTimeout)
    assert script.calls == 1


async def test_an_open_circuit_ends_the_retry_at_once() -> None:
    breakers = circuits()
    script = Script(WhatsAppError(), WhatsAppError(), "never")
    with pytest.raises(CircuitOpen):
        await Guard("x", THRICE, breakers, "whatsapp").call(script, on_timeout=WhatsAppTimeout)
    assert script.calls == 2
    assert breakers.inspect()["whatsapp"].rejected_count == 1


async def test_when_everything_fails_retries_stay_a_tenth_of_the_calls() -> None:
    guard = Guard("x", THRICE)
    attempts = 0

    async def fails() -> str:
        nonlocal attempts
        attempts += 1
        raise WhatsAppError

    for _ in range(200):
        with pytest.raises(WhatsAppError):
            await guard.call(fails, on_timeout=WhatsAppTimeout)
    assert 200 < attempts <= 220 + 1


# --- breaker and observation ------------------------------------------------------------------------------------------


async def test_refusals_and_throttles_do_not_open_the_circuit() -> None:
    breakers = circuits()
    guard = Guard("x", ONCE, breakers, "whatsapp")
    for error in (Refused(), TryLater("number", retry_after=1), AccountProblem(), KeyError()) * 3:
        with pytest.raises(type(error)):
            await guard.call(Script(error), on_timeout=WhatsAppTimeout)
    assert breakers.inspect()["whatsapp"].state == "closed"


def test_what_counts_as_a_failure_of_the_provider() -> None:
    assert all(map(provider_failed, [WhatsAppError(), WhatsAppTimeout(), OutcomeUnknown(), ModelUnavailable()]))
    assert not any(map(provider_failed, [Refused(), Overloaded(), CircuitOpen("x", retry_after=1), OSError()]))


async def test_each_attempt_is_observed_once() -> None:
    seen: list[Observation] = []
    guard = Guard("graph", THRICE, circuits(), "whatsapp", observe=seen.append)
    await guard.call(Script(WhatsAppError("canary"), "done"), on_timeout=WhatsAppTimeout)
    assert [(one.name, one.outcome, one.circuit) for one in seen] == [
        ("graph", "WhatsAppError", "whatsapp"),
        ("graph", "ok", "whatsapp"),
    ]
    assert all(one.took >= 0 for one in seen)


async def test_a_rejection_by_the_circuit_and_a_timeout_are_observed_too() -> None:
    seen: list[Observation] = []
    breakers = circuits()
    guard = Guard("graph", Policy(total=0.05, attempt=0.02), breakers, "whatsapp", observe=seen.append)
    with pytest.raises(WhatsAppTimeout):
        await guard.call(hangs, on_timeout=WhatsAppTimeout)
    breakers.trip("whatsapp")
    with pytest.raises(CircuitOpen):
        await guard.call(hangs, on_timeout=WhatsAppTimeout)
    assert [one.outcome for one in seen] == ["WhatsAppTimeout", "CircuitOpen"]


async def test_only_an_early_trial_is_given_up_sooner() -> None:
    at = 0.0
    breakers = Breakers([Circuit(name="gemini", threshold=1, stays_open=30, early_trial=2)], clock=lambda: at)
    policy = Policy(total=3600, attempt=0.2, early_trial=0.01)
    guard = Guard("gemini", policy, breakers, "gemini")
    took = []
    for passes, is_early in ((0.0, False), (2.0, True), (31.0, False)):
        at += passes
        if is_early:
            breakers.try_early("gemini")
        begun = asyncio.get_running_loop().time()
        with pytest.raises(ModelUnavailable):
            await guard.call(hangs, on_timeout=ModelUnavailable)
        took.append(asyncio.get_running_loop().time() - begun)
    assert took[1] < 0.2
    assert min(took[0], took[2]) >= 0.2


# --- streams ----------------------------------------------------------------------------------------------------------


class Stream:
    """A context manager factory whose opening follows a script."""

    def __init__(self, opening: Callable[[], Awaitable[str]]) -> None:
        self._opening = opening
        self.closed = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        opened = await self._opening()
        try:
            yield opened
        finally:
            self.closed += 1


async def test_opening_a_stream_is_repeated_and_the_stream_is_closed_once() -> None:
    stream = Stream(Script(ModelUnavailable(), "open"))
    async with Guard("x", THRICE).opening(stream, on_timeout=ModelUnavailable) as opened:
        assert opened == "open"
        assert stream.closed == 0
    assert stream.closed == 1


async def test_an_error_while_reading_a_stream_is_not_repeated() -> None:
    script = Script("open", "never")
    stream = Stream(script)
    with pytest.raises(ModelUnavailable, match="in the middle"):
        async with Guard("x", THRICE).opening(stream, on_timeout=ModelUnavailable):
            raise ModelUnavailable("in the middle")
    assert (script.calls, stream.closed) == (1, 1)


async def test_a_stream_has_neither_deadline_nor_slot_once_it_is_open() -> None:
    guard = Guard("x", Policy(total=0.05, attempt=0.05, concurrency=1, waiting=0))
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, over.set)
    stream = Stream(Script("open"))
    async with guard.opening(stream, on_timeout=ModelUnavailable):
        assert guard.load().running == 0
        assert await guard.call(Script("done"), on_timeout=WhatsAppTimeout) == "done"
        await over.wait()
        assert stream.closed == 0
    assert stream.closed == 1


async def test_a_stream_that_does_not_open_becomes_the_callers_error() -> None:
    guard = Guard("x", Policy(total=1, attempt=0.02))
    with pytest.raises(ModelUnavailable):
        async with guard.opening(Stream(hangs), on_timeout=ModelUnavailable):
            pytest.fail("it never opens")


# --- hooks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hooks() -> Iterator[None]:
    before = get_on_retry_hooks()
    yield
    set_on_retry_hooks(before)


@pytest.mark.usefixtures("hooks")
async def test_a_retry_is_logged_without_arguments_or_messages() -> None:
    configure_retry_hooks()
    structlog.reset_defaults()
    with capture_logs() as lines, stamina.set_testing(True, attempts=3):
        await Guard("graph", THRICE).call(Script(WhatsAppError("canary"), "done"), on_timeout=WhatsAppTimeout)
    assert [(line["event"], line["upstream"], line["error"], line["attempt"]) for line in lines] == [
        ("retry", "graph", "WhatsAppError", 1)
    ]
    assert "canary" not in str(lines)
