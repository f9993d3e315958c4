"""What every assistant keeps: an answer in the shape of the schema, or an error that says whose fault it is."""

import asyncio
from typing import Literal

import msgspec
import pytest
from litestar import Litestar

from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.domain.bot import Action, Decision
from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.emulators.gemini.models import DEFAULT_MODELS
from inbox.emulators.serving import serve
from inbox.ports.llm import Assistant, Prompt, Turn

from .asking import DECISION, MODEL, StartAssistant, a_prompt, decided
from .model_side import KEY, FakeSide, GeminiSide, ModelSide


class Summary(msgspec.Struct, frozen=True):
    """Another schema than the bot's."""

    title: str
    topics: list[str]
    mood: Literal["calm", "angry"] = "calm"


class AssistantCases:
    async def test_a_question_gets_a_reply(self, assistant: Assistant) -> None:
        answer = await decided(assistant, "Bonjour", "Bonjour !", "Avez-vous des cerises ?")
        assert answer.value.action is Action.REPLY
        assert "cerises" in answer.value.reply
        assert 0 <= answer.value.confidence <= 1
        assert answer.model
        assert answer.usage.input > 0
        assert answer.usage.output > 0

    async def test_a_customer_who_asks_for_a_person_gets_a_hand_off(self, assistant: Assistant) -> None:
        answer = await decided(assistant, "Je veux parler à un humain")
        assert answer.value.action is Action.HANDOFF
        assert answer.value.handoff_reason == "customer_asked_human"

    async def test_the_answer_is_what_the_model_wrote(self, assistant: Assistant, side: ModelSide) -> None:
        await side.answers(DECISION)
        answer = await decided(assistant)
        assert answer.value == Decision(
            confidence=0.75, action=Action.REPLY, handoff_reason="none", reply="Oui, jusqu'à 19 h."
        )

    async def test_the_schema_may_be_any(self, assistant: Assistant, side: ModelSide) -> None:
        await side.answers({"title": "Horaires", "topics": ["ouverture"], "mood": "angry"})
        answer = await assistant.complete(a_prompt(), schema=Summary)
        assert answer.value == Summary("Horaires", ["ouverture"], "angry")

    @pytest.mark.parametrize(
        "written",
        [{}, [], "yes", {**DECISION, "action": "dance"}, {**DECISION, "reply": None}, {"reply": "alone"}],
        ids=str,
    )
    async def test_what_does_not_fit_the_schema_is_no_answer(
        self, assistant: Assistant, side: ModelSide, written: object
    ) -> None:
        await side.answers(written)
        with pytest.raises(ModelSilent) as caught:
            await decided(assistant)
        assert caught.value.reason == "malformed"

    @pytest.mark.parametrize("reason", ["empty", "blocked", "cut", "malformed"])
    async def test_a_silent_model_says_how(self, assistant: Assistant, side: ModelSide, reason: str) -> None:
        await side.fails(reason)
        with pytest.raises(ModelSilent) as caught:
            await decided(assistant)
        assert caught.value.reason == reason
        assert (await decided(assistant)).value.reply

    @pytest.mark.parametrize("error", [ModelRefused, ModelThrottled, ModelFailed])
    async def test_a_failure_says_whose_fault_it_is(
        self, assistant: Assistant, side: ModelSide, error: type[InboxError]
    ) -> None:
        await side.fails(error.__name__)
        with pytest.raises(error) as caught:
            await decided(assistant)
        assert type(caught.value) is error
        assert (await decided(assistant)).value.reply

    async def test_a_throttle_hands_on_how_long_to_wait(self, assistant: Assistant, side: ModelSide) -> None:
        await side.fails("ModelThrottled")
        with pytest.raises(ModelThrottled) as caught:
            await decided(assistant)
        assert caught.value.retry_after == 21.0


class TestFakeAssistant(AssistantCases):
    @pytest.fixture
    def side(self) -> FakeSide:
        return FakeSide()

    @pytest.fixture
    def assistant(self, side: FakeSide) -> Assistant:
        return side.assistant

    async def test_it_remembers_what_it_was_asked(self, side: FakeSide) -> None:
        await decided(side.assistant, "Bonjour")
        assert list(side.assistant.prompts) == [a_prompt("Bonjour")]


@pytest.mark.usefixtures("gemini")
class TestGeminiAssistant(AssistantCases):
    @pytest.fixture
    def side(self, gemini: GeminiSide) -> GeminiSide:
        return gemini

    @pytest.fixture
    def assistant(self, gemini_url: str, start_assistant: StartAssistant) -> GeminiAssistant:
        return start_assistant(gemini_url).assistant

    @pytest.mark.parametrize("model", [model.id for model in DEFAULT_MODELS if model.offers("generateContent")])
    async def test_every_model_takes_the_request_and_is_named_as_it_answers(
        self, gemini_url: str, start_assistant: StartAssistant, model: str
    ) -> None:
        answer = await decided(start_assistant(gemini_url, model=model).assistant)
        assert answer.model == next(known.model_version for known in DEFAULT_MODELS if known.id == model)

    async def test_thoughts_are_no_part_of_the_answer(self, assistant: Assistant, side: GeminiSide) -> None:
        text = msgspec.json.encode(DECISION).decode()
        parts = [{"text": "Let me think.", "thought": True}, {"text": text[:20]}, {"text": text[20:]}]
        await side.call("POST", "/script", {"parts": parts, "thoughts": 40})
        answer = await decided(assistant)
        assert answer.value.reply == DECISION["reply"]
        assert answer.usage.output > 40

    @pytest.mark.parametrize(
        ("knob", "reason"),
        [("safety", "blocked"), ("recitation", "blocked"), ("no_candidates", "empty"), ("malformed_call", "empty")],
    )
    async def test_a_silent_model_is_asked_once_and_opens_no_circuit(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide, knob: str, reason: str
    ) -> None:
        wired = start_assistant(gemini_url)
        await side.arm(knob, count=6)
        for _ in range(6):
            with pytest.raises(ModelSilent) as caught:
                await decided(wired.assistant)
            assert caught.value.reason == reason
        assert await side.calls() == 6
        assert wired.breakers.inspect()["gemini"].failure_count == 0

    async def test_an_answer_that_is_cut_is_never_used(self, assistant: Assistant, side: GeminiSide) -> None:
        await side.call("POST", "/script", {"json": DECISION, "finish_reason": "MAX_TOKENS"})
        with pytest.raises(ModelSilent) as caught:
            await decided(assistant)
        assert caught.value.reason == "cut"

    async def test_a_whole_answer_with_a_reason_of_the_future_is_used(
        self, assistant: Assistant, side: GeminiSide
    ) -> None:
        await side.arm("unknown_finish_reason")
        assert (await decided(assistant)).value.action is Action.REPLY

    @pytest.mark.parametrize(
        "knob",
        [
            *("500", "503", "504", "list_error", "nested_error", "html_502", "garbage", "bad_json"),
            *("connection_reset", "connection_reset_late"),
        ],
    )
    async def test_a_stumble_is_tried_again(self, assistant: Assistant, side: GeminiSide, knob: str) -> None:
        await side.arm(knob, count=2)
        assert (await decided(assistant)).value.action is Action.REPLY
        assert await side.calls() == 3

    @pytest.mark.parametrize("knob", ["503", "garbage", "connection_reset"])
    async def test_three_stumbles_are_an_outage(self, assistant: Assistant, side: GeminiSide, knob: str) -> None:
        await side.arm(knob, count=3)
        with pytest.raises(ModelUnavailable):
            await decided(assistant)
        assert await side.calls() == 3

    async def test_a_short_wait_that_gemini_names_is_kept(self, assistant: Assistant, side: GeminiSide) -> None:
        await side.arm("429_minute", options={"retry_delay": 0.2})
        clock = asyncio.get_running_loop()
        began = clock.time()
        assert (await decided(assistant)).value.action is Action.REPLY
        assert clock.time() - began >= 0.2
        assert await side.calls() == 2

    async def test_a_wait_that_is_only_spoken_of_is_kept_too(self, assistant: Assistant, side: GeminiSide) -> None:
        error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded. Please retry in 41.5s."}
        rule = {"action": "http_error", "status": 429, "body": {"error": error}, "path": ":generateContent$"}
        await side.call("POST", "/faults", rule)
        with pytest.raises(ModelThrottled) as caught:
            await decided(assistant)
        assert caught.value.retry_after == 41.5
        assert await side.calls() == 1

    async def test_a_throttle_opens_no_circuit(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide
    ) -> None:
        wired = start_assistant(gemini_url)
        await side.arm("429_minute", count=6)
        for _ in range(6):
            with pytest.raises(ModelThrottled):
                await decided(wired.assistant)
        assert await side.calls() == 6
        assert wired.breakers.inspect()["gemini"].failure_count == 0

    @pytest.mark.parametrize("knob", ["429_day", "429_limit0"])
    async def test_a_quota_that_is_used_up_is_not_tried_again(
        self, assistant: Assistant, side: GeminiSide, knob: str
    ) -> None:
        await side.arm(knob)
        with pytest.raises(ModelRefused):
            await decided(assistant)
        assert await side.calls() == 1

    @pytest.mark.parametrize(
        ("key", "model"),
        [("wrong-key", MODEL), ("leaked-key", MODEL), ("foreign-key", MODEL), (KEY, "gemini-of-the-past")],
    )
    async def test_a_request_at_fault_is_refused_once_and_keeps_the_key_to_itself(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide, key: str, model: str
    ) -> None:
        wired = start_assistant(gemini_url, key=key, model=model)
        with pytest.raises(ModelRefused) as caught:
            await decided(wired.assistant)
        assert key not in repr(caught.value)
        assert await side.calls() == 1
        assert wired.breakers.inspect()["gemini"].failure_count == 0

    async def test_a_model_that_hangs_is_left_at_the_deadline(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide
    ) -> None:
        assistant = start_assistant(gemini_url, total=0.3, attempt=0.2).assistant
        await side.arm("timeout", count=9)
        async with asyncio.timeout(2):
            with pytest.raises(ModelTimeout):
                await assistant.complete(a_prompt(), schema=Decision)

    async def test_after_an_attempt_that_hangs_another_one_may_answer(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide
    ) -> None:
        assistant = start_assistant(gemini_url, attempt=0.2).assistant
        await side.arm("timeout")
        assert (await decided(assistant)).value.action is Action.REPLY

    async def test_an_answer_that_drips_is_left_at_the_deadline(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide
    ) -> None:
        assistant = start_assistant(gemini_url, total=0.3, attempt=0.2).assistant
        await side.arm("drip", count=9, options={"interval": 0.1, "pieces": 100})
        with pytest.raises(ModelUnavailable):
            await decided(assistant)

    async def test_an_outage_opens_the_circuit_and_then_nothing_is_asked(
        self, gemini_url: str, start_assistant: StartAssistant, side: GeminiSide
    ) -> None:
        wired = start_assistant(gemini_url)
        await side.arm("503", count=99)
        with pytest.raises(ModelUnavailable):
            await decided(wired.assistant)
        with pytest.raises(CircuitOpen):
            await decided(wired.assistant)
        asked = await side.calls()
        with pytest.raises(CircuitOpen):
            await decided(wired.assistant)
        assert await side.calls() == asked == 5
        assert wired.breakers.inspect()["gemini"].state == "open"

    async def test_a_connection_that_is_refused_is_an_outage(self, start_assistant: StartAssistant) -> None:
        async with serve(Litestar([], openapi_config=None, logging_config=None)) as gone:
            pass
        with pytest.raises(ModelUnavailable):
            await decided(start_assistant(gone.url).assistant)

    @pytest.mark.parametrize(
        "history",
        [
            (),
            (("business", "Votre commande est prête."),),
            (("business", "Bonjour"), ("business", "Ici la boutique"), ("customer", "Merci")),
            (("customer", "Un"), ("customer", "Deux"), ("business", "Trois"), ("business", "Quatre")),
            (("customer", ""),),
        ],
        ids=str,
    )
    async def test_any_history_is_one_that_gemini_takes(
        self, assistant: Assistant, history: tuple[tuple[Literal["customer", "business"], str], ...]
    ) -> None:
        turns = tuple(Turn(role=role, text=text) for role, text in history)
        assert (await assistant.complete(Prompt(system="Tu réponds.", history=turns), schema=Decision)).model
