"""What the meter of an answer takes is not the vendor's time."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from inbox.adapters.llm.answering import Answering, Ask, Defaults, Ending, Said
from inbox.domain.bot import Action, Decision
from inbox.domain.errors import CommitUnknown, DatabaseTimeout, DatabaseUnavailable, InboxError
from inbox.domain.model_usage import Usage
from inbox.domain.upstream_errors import ModelUnavailable
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.resilience import Guard, Policy
from inbox.ports.llm import Meter, Prompt

DECISION = Decision(confidence=1.0, action=Action.REPLY, handoff_reason="none", reply="Oui.")


class Stuck:
    async def begins(self, _model: str, _output_tokens: int) -> None:
        await asyncio.Event().wait()

    def used(self, _usage: Usage, *_models: str) -> None:
        raise AssertionError

    def unheard(self) -> None:
        raise AssertionError

    async def ends(self) -> None:
        pass


class Unsettled(Stuck):
    """Says that it cannot be put right, or nothing at all."""

    def __init__(self, error: InboxError | None = None) -> None:
        self.begun = 0
        self._error = error

    async def begins(self, _model: str, _output_tokens: int) -> None:
        self.begun += 1

    def used(self, _usage: Usage, *_models: str) -> None:
        pass

    def unheard(self) -> None:
        pass

    async def ends(self) -> None:
        if self.begun == 0:
            return
        if self._error is None:
            await asyncio.Event().wait()
        else:
            raise self._error


class Doubtful(Stuck):
    async def begins(self, _model: str, _output_tokens: int) -> None:
        raise CommitUnknown


def stays_counted(error: str) -> dict[str, str]:
    return {"event": "try_stays_counted_as_estimated", "error": error, "log_level": "warning"}


async def never_asked(ask: Ask) -> Said:
    raise AssertionError(ask)


async def test_a_budget_that_cannot_be_asked_in_time_ends_the_call_and_says_nothing_of_the_vendor() -> None:
    breakers = Breakers([Circuit(name="model", threshold=3, stays_open=60.0)])
    guard = Guard("model", Policy(total=5.0, attempt=0.5, attempts=3), breakers, "model")
    answering = Answering(guard, Defaults(model="m", meter_seconds=0.02))
    with pytest.raises(DatabaseTimeout):
        await answering.answer(Prompt(system="", history=()), Decision, never_asked, Stuck())
    assert breakers.inspect()["model"].failure_count == 0


async def second_model(ask: Ask) -> Said:
    """The first one cannot be reached."""
    if ask.model == "m":
        error = ModelUnavailable("The connection was refused.")
        error.may_cost = False
        raise error
    text = msgspec.json.encode(DECISION).decode()
    return Said(text=text, model=ask.model, ending=Ending.WHOLE, usage=Usage(input=1, output=1))


@pytest.mark.parametrize(("error", "name"), [(DatabaseUnavailable(), "DatabaseUnavailable"), (None, "TimeoutError")])
async def test_a_budget_that_cannot_be_put_right_in_time_is_told_and_keeps_back_no_answer_and_no_other_try(
    error: InboxError | None, name: str
) -> None:
    guard = Guard("model", Policy(total=5.0, attempt=2.0, attempts=3, wait_initial=0.001, wait_max=0.001))
    answering = Answering(guard, Defaults(model="m", fallback_model="n", meter_seconds=0.02))
    meter = Unsettled(error)
    with capture_logs() as logs:
        async with asyncio.timeout(2):
            answer = await answering.answer(Prompt(system="", history=()), Decision, second_model, meter)
    assert (answer.value, meter.begun) == (DECISION, 2)
    assert logs.count(stays_counted(name)) == 2


@pytest.mark.parametrize(("meter", "name"), [(Stuck(), "TimeoutError"), (Doubtful(), "CommitUnknown")])
async def test_a_try_that_may_be_counted_and_is_not_made_is_told(meter: Meter, name: str) -> None:
    guard = Guard("model", Policy(total=5.0, attempt=2.0))
    answering = Answering(guard, Defaults(model="m", meter_seconds=0.02))
    with capture_logs() as logs, pytest.raises((DatabaseTimeout, CommitUnknown)):
        await answering.answer(Prompt(system="", history=()), Decision, never_asked, meter)
    assert stays_counted(name) in logs


@pytest.mark.parametrize("meter", [Stuck(), Unsettled()], ids=["begins", "ends"])
async def test_so_is_one_whose_caller_goes_away_meanwhile(meter: Meter) -> None:
    answering = Answering(Guard("model", Policy(total=5.0, attempt=5.0)), Defaults(model="n", meter_seconds=5.0))
    with capture_logs() as logs, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await answering.answer(Prompt(system="", history=()), Decision, second_model, meter)
    assert logs.count(stays_counted("CancelledError")) == 1
