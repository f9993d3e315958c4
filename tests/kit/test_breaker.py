import asyncio
import contextlib
import tracemalloc
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from inbox.domain.errors import CircuitOpen
from inbox.kit.breaker import Breakers, Circuit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Down(Exception):
    """The other side fails."""


class BadRequest(Exception):
    """The other side answers: our fault."""


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Bench:
    """One circuit with threshold 3, 30 s, and shorthands."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.changes: list[tuple[str, str]] = []
        self.breakers = Breakers(
            [Circuit(name="whatsapp", shown_as="whatsapp_api", threshold=3, stays_open=30.0)],
            clock=self.clock,
            now=lambda: NOW + timedelta(seconds=self.clock.at - 1000.0),
            on_change=lambda name, state: self.changes.append((name, state)),
        )

    def attempt(self, error: BaseException | None = None) -> None:
        with (
            contextlib.suppress(Down, BadRequest, asyncio.CancelledError),
            self.breakers.guard("whatsapp", lambda failure: isinstance(failure, Down)),
        ):
            if error is not None:
                raise error

    def fail(self, times: int = 3) -> None:
        for _ in range(times):
            self.attempt(Down())

    @property
    def state(self) -> str:
        return self.breakers.inspect()["whatsapp"].state

    def is_rejected(self) -> bool:
        try:
            self.attempt()
        except CircuitOpen:
            return True
        return False


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_failures_in_a_row_open_it(bench: Bench) -> None:
    bench.fail(2)
    assert bench.state == "closed"
    bench.fail(1)
    assert bench.state == "open"
    assert bench.changes == [("whatsapp", "open")]


def test_a_success_between_failures_starts_the_count_again(bench: Bench) -> None:
    bench.fail(2)
    bench.attempt()
    bench.fail(2)
    assert bench.state == "closed"


def test_a_refusal_between_failures_neither_counts_nor_hides_them(bench: Bench) -> None:
    for error in (Down(), BadRequest(), Down(), BadRequest(), Down()):
        assert bench.state == "closed"
        bench.attempt(error)
    assert bench.state == "open"


def test_cancellations_do_not_count(bench: Bench) -> None:
    bench.fail(2)
    for _ in range(10):
        bench.attempt(asyncio.CancelledError())
    assert bench.state == "closed"
    bench.fail(1)
    assert bench.state == "open"


def test_while_open_nobody_is_let_through_and_each_gets_a_fresh_error_with_the_time_left(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 10
    errors = []
    for _ in range(2):
        with pytest.raises(CircuitOpen) as caught:
            bench.attempt()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].retry_after == pytest.approx(20.0)
    assert bench.breakers.inspect()["whatsapp"].rejected_count == 2


def test_rejections_keep_no_memory(bench: Bench) -> None:
    bench.fail()
    assert bench.is_rejected()
    tracemalloc.start()
    for _ in range(5_000):
        assert bench.is_rejected()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 50_000


def test_only_one_trial_runs_at_a_time(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 30
    guard = bench.breakers.guard("whatsapp", lambda _: True)
    with guard:
        assert bench.state == "half_open"
        assert all(bench.is_rejected() for _ in range(100))
    assert not bench.is_rejected()


def test_two_successful_trials_close_it(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 30
    bench.attempt()
    assert bench.state == "half_open"
    assert bench.breakers.inspect()["whatsapp"].success_count == 1
    bench.attempt()
    assert bench.state == "closed"
    assert [state for _, state in bench.changes] == ["open", "half_open", "closed"]


def test_a_refused_trial_proves_that_the_other_side_lives(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 30
    bench.attempt(BadRequest())
    bench.attempt(BadRequest())
    assert bench.state == "closed"


def test_a_failed_trial_opens_it_again_for_the_whole_time(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 30
    bench.attempt()
    bench.fail(1)
    assert bench.state == "open"
    bench.clock.at += 29
    assert bench.is_rejected()
    bench.clock.at += 1
    assert not bench.is_rejected()


def test_a_cancelled_trial_gives_its_place_back(bench: Bench) -> None:
    bench.fail()
    bench.clock.at += 30
    bench.attempt(asyncio.CancelledError())
    assert bench.state == "half_open"
    assert not bench.is_rejected()


def test_an_attempt_from_before_the_change_says_nothing_about_now(bench: Bench) -> None:
    with contextlib.suppress(Down), bench.breakers.guard("whatsapp", lambda _: True):
        bench.fail()
        bench.clock.at += 30
        bench.attempt()
        assert bench.state == "half_open"
        raise Down
    assert bench.state == "half_open"


def test_it_shows_itself_in_the_words_of_the_contract(bench: Bench) -> None:
    fresh = bench.breakers.inspect()["whatsapp"]
    assert (fresh.name, fresh.state, fresh.failure_count, fresh.success_count) == ("whatsapp_api", "closed", 0, 0)
    assert (fresh.last_failure_time, fresh.opened_at) == (None, None)
    bench.fail()
    bench.clock.at += 5
    opened = bench.breakers.inspect()["whatsapp"]
    assert (opened.state, opened.failure_count) == ("open", 3)
    assert (opened.last_failure_time, opened.opened_at) == (NOW, NOW)


def test_it_can_be_reset_and_tripped_by_hand(bench: Bench) -> None:
    assert bench.breakers.trip("whatsapp")
    assert bench.is_rejected()
    assert bench.breakers.reset("whatsapp")
    assert not bench.is_rejected()
    assert bench.breakers.inspect()["whatsapp"].opened_at is None
    assert not bench.breakers.reset("no-such-circuit")
    assert not bench.breakers.trip("no-such-circuit")


def test_who_only_heeds_it_is_kept_off_like_all_others_and_takes_no_trial(bench: Bench) -> None:
    def heed() -> AbstractContextManager[bool]:
        return bench.breakers.heed("whatsapp")

    with heed(), heed():
        bench.fail()
    with pytest.raises(CircuitOpen) as caught, heed():
        pass
    assert caught.value.retry_after == 30
    bench.clock.at += 30
    for _ in range(2):  # one after the other, also when one failed
        with pytest.raises(ZeroDivisionError), heed():
            with pytest.raises(CircuitOpen), heed():
                pass
            raise ZeroDivisionError
    assert (bench.state, bench.breakers.inspect()["whatsapp"].failure_count) == ("open", 3)
    with heed(), bench.breakers.guard("whatsapp", lambda _: True), pytest.raises(CircuitOpen), heed():
        pass
    with heed(), pytest.raises(CircuitOpen), heed():
        pass
    assert (bench.state, bench.breakers.inspect()["whatsapp"].success_count) == ("half_open", 1)


@pytest.mark.parametrize(("threshold", "stays_open"), [(0, 30.0), (3, 0.0)])
def test_figures_that_purgatory_would_replace_in_silence_are_refused(threshold: int, stays_open: float) -> None:
    with pytest.raises(ValueError, match="circuit x"):
        Circuit(name="x", threshold=threshold, stays_open=stays_open)


class Model(RuleBasedStateMachine):
    """The circuit against a model in ten lines."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench()
        self.state, self.failures, self.successes, self.opened = "closed", 0, 0, 0.0

    def opens(self) -> None:
        self.state, self.opened, self.failures = "open", self.bench.clock.at, 0

    @rule(seconds=st.sampled_from([1.0, 29.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.bench.clock.at += seconds

    @rule(outcome=st.sampled_from(["ok", "down", "refused", "cancelled"]))
    def attempt(self, outcome: str) -> None:
        if self.state == "open" and self.bench.clock.at - self.opened >= 30:
            self.state, self.successes = "half_open", 0
        if self.state == "open":
            assert self.bench.is_rejected()
            return
        errors = {"ok": None, "down": Down(), "refused": BadRequest(), "cancelled": asyncio.CancelledError()}
        self.bench.attempt(errors[outcome])
        if outcome == "down":
            self.failures += 1
            if self.state == "half_open" or self.failures == 3:
                self.opens()
        elif self.state == "half_open" and outcome != "cancelled":
            self.successes += 1
            if self.successes == 2:
                self.state, self.failures = "closed", 0
        elif outcome == "ok":
            self.failures = 0

    @rule()
    def trip(self) -> None:
        self.bench.breakers.trip("whatsapp")
        self.opens()

    @rule()
    def reset(self) -> None:
        self.bench.breakers.reset("whatsapp")
        self.state, self.failures = "closed", 0

    @invariant()
    def agrees(self) -> None:
        assert self.bench.state == self.state


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_error_that_is_none_of_their_doing_is_no_success_of_a_trial():
    now = 0.0
    breakers = Breakers([Circuit(name="whatsapp", threshold=1, stays_open=30.0)], clock=lambda: now)
    breakers.trip("whatsapp")
    now = 31.0
    for _ in range(3):
        with pytest.raises(ValueError, match="ours"), breakers.guard("whatsapp", lambda _: None):
            raise ValueError("ours")
    assert breakers.inspect()["whatsapp"].state == "half_open"
