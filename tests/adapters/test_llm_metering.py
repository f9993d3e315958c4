"""What the meter of an answer takes is not the vendor's time."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from inbox.adapters.llm.answering import Answering, Ask, Defaults, Ending, Said
from inbox.domain.bot import Action, Decision
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable
from inbox.domain.model_usage import Usage
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.resilience import Guard, Policy
from inbox.ports.llm import Prompt

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
    async def begins(self, _model: str, _output_tokens: int) -> None:
        pass

    def used(self, _usage: Usage, *_models: str) -> None:
        pass

    async def ends(self) -> None:
        raise DatabaseUnavailable


async def never_asked(ask: Ask) -> Said:
    raise AssertionError(ask)


async def test_a_budget_that_cannot_be_asked_in_time_ends_the_call_and_says_nothing_of_the_vendor() -> None:
    breakers = Breakers([Circuit(name="model", threshold=3, stays_open=60.0)])
    guard = Guard("model", Policy(total=5.0, attempt=0.5, attempts=3), breakers, "model")
    answering = Answering(guard, Defaults(model="m", meter_seconds=0.02))
    with pytest.raises(DatabaseTimeout):
        await answering.answer(Prompt(system="", history=()), Decision, never_asked, Stuck())
    assert breakers.inspect()["model"].failure_count == 0


async def test_a_budget_that_cannot_be_put_right_is_told_and_keeps_no_answer_back() -> None:
    async def once(ask: Ask) -> Said:
        text = msgspec.json.encode(DECISION).decode()
        return Said(text=text, model=ask.model, ending=Ending.WHOLE, usage=Usage(input=1, output=1))

    answering = Answering(Guard("model", Policy(total=5.0, attempt=0.5, attempts=3)), Defaults(model="m"))
    with capture_logs() as logs:
        answer = await answering.answer(Prompt(system="", history=()), Decision, once, Unsettled())
    assert answer.value == DECISION
    told = {"event": "try_stays_counted_as_estimated", "error": "DatabaseUnavailable", "log_level": "warning"}
    assert told in logs
