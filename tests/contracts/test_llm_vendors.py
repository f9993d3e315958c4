"""What an assistant makes of a vendor that stumbles, hangs, drips or dies: the same for every vendor."""

import asyncio
from typing import ClassVar, Literal

import pytest
from litestar import Litestar

from inbox.domain.bot import Action, Decision
from inbox.domain.copilot_errors import BudgetSpent
from inbox.domain.errors import CircuitOpen, DatabaseUnavailable, InboxError
from inbox.domain.model_usage import Usage
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.emulators.serving import serve
from inbox.ports.llm import Tuning

from .asking import (
    MODEL,
    OPENAI_MODEL,
    OTHER_MODEL,
    OTHER_OPENAI_MODEL,
    Notebook,
    StartAssistant,
    WiredAssistant,
    a_prompt,
    decided,
)
from .model_side import EmulatedSide


class VendorCases:
    vendor: ClassVar[Literal["gemini", "openai"]]
    first: ClassVar[str]
    second: ClassVar[str]
    dying: ClassVar[dict[str, object]]
    """A fault that strikes the first model only."""

    @pytest.fixture
    def start(self, side: EmulatedSide, start_assistant: StartAssistant) -> StartAssistant:
        def started(url: str | None = None, **wiring: object) -> WiredAssistant:
            return start_assistant(url or side.url, vendor=self.vendor, **wiring)

        return started

    @pytest.fixture
    def wired(self, start: StartAssistant) -> WiredAssistant:
        return start()

    # --- stumbling ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "knob", ["500", "503", "list_error", "html_502", "garbage", "bad_json", "connection_reset", "huge"]
    )
    async def test_a_stumble_is_tried_again(self, wired: WiredAssistant, side: EmulatedSide, knob: str) -> None:
        await side.arm(knob, count=2)
        assert (await decided(wired.assistant)).value.action is Action.REPLY
        assert await side.calls() == 3

    @pytest.mark.parametrize("knob", ["503", "garbage", "connection_reset", "huge"])
    async def test_three_stumbles_are_an_outage(self, wired: WiredAssistant, side: EmulatedSide, knob: str) -> None:
        await side.arm(knob, count=3)
        with pytest.raises(ModelUnavailable):
            await decided(wired.assistant)
        assert await side.calls() == 3

    async def test_an_outage_opens_the_circuit_and_then_nothing_is_asked(
        self, wired: WiredAssistant, side: EmulatedSide
    ) -> None:
        await side.arm("503", count=99)
        with pytest.raises(ModelUnavailable):
            await decided(wired.assistant)
        for _ in range(2):
            with pytest.raises(CircuitOpen):
                await decided(wired.assistant)
        assert await side.calls() == 5
        assert wired.breakers.inspect()[self.vendor].state == "open"

    async def test_a_connection_that_is_refused_is_an_outage(self, start: StartAssistant) -> None:
        async with serve(Litestar([], openapi_config=None, logging_config=None)) as gone:
            pass
        with pytest.raises(ModelUnavailable):
            await decided(start(gone.url).assistant)

    # --- time ---------------------------------------------------------------------------------------------------------

    async def test_a_model_that_hangs_is_left_at_the_deadline(self, start: StartAssistant, side: EmulatedSide) -> None:
        assistant = start(total=0.3, attempt=0.2).assistant
        await side.arm("timeout", count=9)
        async with asyncio.timeout(2):
            with pytest.raises(ModelTimeout):
                await assistant.complete(a_prompt(), schema=Decision)

    async def test_after_an_attempt_that_hangs_another_one_may_answer(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        await side.arm("timeout")
        assert (await decided(start(attempt=0.2).assistant)).value.action is Action.REPLY

    async def test_an_answer_that_drips_is_left_at_the_deadline(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        await side.arm("drip", count=9, options={"interval": 0.1, "pieces": 100})
        with pytest.raises(ModelUnavailable):
            await decided(start(total=0.3, attempt=0.2).assistant)

    async def test_an_answer_in_small_pieces_is_whole_in_the_end(
        self, wired: WiredAssistant, side: EmulatedSide
    ) -> None:
        await side.arm("drip", options={"interval": 0.001, "pieces": 40})
        assert (await decided(wired.assistant, "Où est né Zoé ?")).value.reply
        assert await side.calls() == 1

    # --- the fallback model -------------------------------------------------------------------------------------------

    async def test_an_overloaded_model_hands_on_to_the_other_one(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        await side.call("POST", "/faults", self.dying)
        answer = await decided(wired.assistant)
        assert (answer.model, answer.is_fallback, answer.value.action) == (self.second, True, Action.REPLY)
        assert await side.calls() == 2
        assert [one.outcome for one in wired.seen] == ["NextModel", "ok"]
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    async def test_while_it_fails_the_other_one_is_asked_at_once(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        await side.call("POST", "/faults", self.dying)
        for _ in range(6):
            assert (await decided(wired.assistant)).model == self.second
        assert await side.calls() == 8
        assert wired.breakers.inspect()[self.vendor].state == "closed"

    async def test_all_who_ask_at_the_moment_it_dies_get_their_answer(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        await side.call("POST", "/faults", self.dying)
        answers = await asyncio.gather(*(decided(wired.assistant) for _ in range(12)))
        assert {answer.model for answer in answers} == {self.second}
        assert wired.breakers.inspect()[self.vendor].state == "closed"

    async def test_a_model_that_is_not_there_hands_on(self, start: StartAssistant, side: EmulatedSide) -> None:
        answer = await decided(start(model="model-of-the-past", fallback=self.second).assistant)
        assert answer.model == self.second
        with pytest.raises(ModelRefused):
            await decided(start(model="model-of-the-past").assistant)
        assert await side.calls() == 3

    async def test_a_model_that_hangs_leaves_the_other_one_time(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        await side.arm("timeout")
        answer = await decided(start(fallback=self.second, total=2, attempt=0.2).assistant)
        assert answer.model == self.second

    async def test_both_models_failing_are_three_tries_and_an_outage(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        await side.arm("503", count=99)
        with pytest.raises(ModelFailed):
            await decided(wired.assistant)
        assert await side.calls() == 3
        assert wired.breakers.inspect()[self.vendor].failure_count == 2

    async def test_a_prompt_may_name_its_own_model(self, start: StartAssistant, side: EmulatedSide) -> None:
        assistant = start().assistant
        named = a_prompt(tuning=Tuning(model=self.second))
        answer = await assistant.complete(named, schema=Decision)
        assert (answer.model, answer.is_fallback) == (self.second, False)
        # The one of the settings stands in for one that is gone.
        lost = a_prompt(tuning=Tuning(model="model-of-the-past"))
        answer = await assistant.complete(lost, schema=Decision)
        assert (answer.model, answer.is_fallback) == (self.first, True)

    async def test_a_model_of_a_prompt_that_is_refused_gives_way_to_that_of_the_settings_and_to_its_fallback(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        named = a_prompt(tuning=Tuning(model="model-of-the-past"))
        assert (await wired.assistant.complete(named, schema=Decision)).model == self.first
        assert (await wired.assistant.complete(named, schema=Decision)).model == self.first
        assert await side.asked() == ["model-of-the-past", self.first, self.first]  # it rests
        await side.call("POST", "/reset")
        await side.call("POST", "/faults", {"action": "http_error", "status": 400, "body": {"error": {}}, "count": 1})
        await side.call("POST", "/faults", self.dying)
        odd = a_prompt(tuning=Tuning(model="model-of-another-kind"))
        assert (await wired.assistant.complete(odd, schema=Decision)).model == self.second
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    # --- silence ------------------------------------------------------------------------------------------------------

    async def test_silence_is_asked_once_more_and_both_are_paid(
        self, wired: WiredAssistant, side: EmulatedSide
    ) -> None:
        once = await decided(wired.assistant)
        await side.fails("malformed")
        with pytest.raises(ModelSilent) as caught:
            await decided(wired.assistant)
        assert await side.calls() == 3
        assert caught.value.usage.input > once.usage.input
        assert (caught.value.cost or 0) > 0
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    async def test_a_second_try_that_is_whole_is_the_answer(self, wired: WiredAssistant, side: EmulatedSide) -> None:
        once = await decided(wired.assistant)
        await side.fails("ModelThrottled")
        await side.call("POST", "/reset")
        for _ in range(2):
            await side.call("POST", "/script", {"text": "{", "times": 1})
            answer = await decided(wired.assistant)
            assert answer.value.action is Action.REPLY
            assert answer.usage.input > once.usage.input
            assert (answer.cost or 0) > (once.cost or 0)
        assert await side.calls() == 4

    async def test_silence_that_was_paid_is_told_also_if_the_next_try_fails(
        self, wired: WiredAssistant, side: EmulatedSide
    ) -> None:
        await side.call("POST", "/script", {"text": "{"})
        await side.call("POST", "/faults", {**self.dying, "skip": 1})
        with pytest.raises(ModelSilent) as caught:
            await decided(wired.assistant)
        assert caught.value.usage.input > 0
        assert (caught.value.cost or 0) > 0
        assert await side.calls() == 3

    async def test_what_was_blocked_is_not_asked_again(self, wired: WiredAssistant, side: EmulatedSide) -> None:
        await side.fails("blocked")
        with pytest.raises(ModelSilent):
            await decided(wired.assistant)
        assert await side.calls() == 1

    # --- what may be billed -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("fault", "heard"),
        [
            (None, ["used"]),
            ("malformed", ["used", "used"]),
            ("503", ["", "", ""]),
            ("connection_reset", ["", "", ""]),
            ("garbage", ["", "", ""]),
            ("timeout", ["", "", ""]),
            ("ModelThrottled", ["free"]),
            ("a key", ["free"]),
            ("nobody", ["free", "free", "free"]),
        ],
    )
    async def test_each_try_is_counted_before_it_is_made_and_is_free_only_if_no_model_was_reached(
        self, start: StartAssistant, side: EmulatedSide, fault: str | None, heard: list[str]
    ) -> None:
        meter = Notebook()
        wirings: dict[str | None, dict[str, object]] = {"a key": {"key": "wrong"}, "timeout": {"attempt": 0.1}}
        wiring = wirings.get(fault, {})
        assistant = start("http://127.0.0.1:9" if fault == "nobody" else None, **wiring).assistant
        if fault in {"malformed", "ModelThrottled"}:
            await side.fails(fault)
        elif fault in {"503", "connection_reset", "garbage", "timeout"}:
            await side.arm(fault, count=9)
        try:
            await assistant.complete(a_prompt(), schema=Decision, meter=meter)
        except InboxError:
            assert fault is not None
        assert meter.heard == heard
        assert meter.begun[0] == (self.first, 2_048)

    async def test_a_meter_that_says_no_ends_the_call_and_says_nothing_of_the_vendor(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(fallback=self.second)
        for most, refusal in ((0, BudgetSpent()), (0, DatabaseUnavailable()), (1, BudgetSpent())):
            await side.call("POST", "/faults", self.dying)
            with pytest.raises(type(refusal)):
                await wired.assistant.complete(a_prompt(), schema=Decision, meter=Notebook(most, refusal))
        assert await side.calls() == 1
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    # --- our own fault ------------------------------------------------------------------------------------------------

    async def test_a_wrong_key_is_refused_once_without_the_other_model_and_stays_secret(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        wired = start(key="wrong-key-1234", fallback=self.second)
        with pytest.raises(ModelRefused) as caught:
            await decided(wired.assistant)
        with pytest.raises(ModelRefused):
            await wired.assistant.probe()
        assert "wrong-key-1234" not in repr(caught.value)
        assert await side.calls() == 1
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    async def test_a_throttle_opens_no_circuit(self, wired: WiredAssistant, side: EmulatedSide) -> None:
        for _ in range(6):
            await side.fails("ModelThrottled")
            with pytest.raises(ModelThrottled):
                await decided(wired.assistant)
        assert await side.calls() == 6
        assert wired.breakers.inspect()[self.vendor].failure_count == 0

    async def test_a_throttle_longer_than_one_waits_hands_on_to_the_other_model(
        self, start: StartAssistant, side: EmulatedSide
    ) -> None:
        await side.fails("ModelThrottled")
        assert (await decided(start(fallback=self.second).assistant)).model == self.second

    async def test_what_it_cost_is_told_by_the_table_of_prices(self, wired: WiredAssistant) -> None:
        answer = await decided(wired.assistant)
        usage = answer.usage
        assert answer.cost == -int(-(usage.input * 0.3 + usage.output * 2.5) // 1)
        unknown = await wired.assistant.complete(a_prompt(tuning=Tuning(model=self.second)), schema=Decision)
        assert (unknown.cost, unknown.usage == Usage()) == (None, False)


class TestGemini(VendorCases):
    vendor = "gemini"
    first = MODEL
    second = OTHER_MODEL
    dying: ClassVar[dict[str, object]] = {"knob": "503", "to": MODEL}

    @pytest.fixture
    def side(self, gemini: EmulatedSide) -> EmulatedSide:
        return gemini


class TestOpenAi(VendorCases):
    vendor = "openai"
    first = OPENAI_MODEL
    second = OTHER_OPENAI_MODEL
    dying: ClassVar[dict[str, object]] = {"knob": "503", "to": OPENAI_MODEL}

    @pytest.fixture
    def side(self, openai: EmulatedSide) -> EmulatedSide:
        return openai
