"""What every assistant keeps: an answer in the shape of the schema, or an error that says whose fault it is."""

from typing import Literal

import msgspec
import pytest

from inbox.domain.bot import Action, Decision
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent, ModelThrottled
from inbox.ports.llm import Assistant, MediaPart, Prompt, Source, Turn

from .asking import DECISION, StartAssistant, a_prompt, decided
from .model_side import EmulatedSide, FakeSide, ModelSide


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
        assert not answer.is_fallback
        assert answer.usage.input > 0
        assert answer.usage.output > 0

    async def test_a_customer_who_asks_for_a_person_gets_a_hand_off(self, assistant: Assistant) -> None:
        answer = await decided(assistant, "Je veux parler à un humain")
        assert answer.value.action is Action.HANDOFF
        assert answer.value.handoff_reason == "customer_asked_human"

    async def test_the_answer_is_what_the_model_wrote(self, assistant: Assistant, side: ModelSide) -> None:
        await side.answers(DECISION)
        answer = await decided(assistant)
        assert answer.value == msgspec.convert(DECISION, Decision)

    async def test_the_schema_may_be_any(self, assistant: Assistant, side: ModelSide) -> None:
        await side.answers({"title": "Horaires", "topics": ["ouverture"], "mood": "angry"})
        answer = await assistant.complete(a_prompt(), schema=Summary)
        assert answer.value == Summary("Horaires", ["ouverture"], "angry")
        assert isinstance((await assistant.complete(a_prompt(), schema=Summary)).value, Summary)

    @pytest.mark.parametrize(
        "written",
        [{}, [], "yes", {**DECISION, "action": "dance"}, {**DECISION, "reply": None}, {"reply": "alone"}],
        ids=str,
    )
    async def test_what_does_not_fit_the_schema_is_no_answer(
        self, assistant: Assistant, side: ModelSide, written: object
    ) -> None:
        await side.answers(written)
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
        assert (caught.value.code, caught.value.kind) == (error.code, error.kind)
        assert (await decided(assistant)).value.reply

    async def test_a_throttle_hands_on_how_long_to_wait(self, assistant: Assistant, side: ModelSide) -> None:
        await side.fails("ModelThrottled")
        with pytest.raises(ModelThrottled) as caught:
            await decided(assistant)
        assert caught.value.retry_after == 21.0

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
    async def test_any_history_is_one_that_the_model_takes(
        self, assistant: Assistant, history: tuple[tuple[Literal["customer", "business"], str], ...]
    ) -> None:
        turns = tuple(Turn(role=role, text=text) for role, text in history)
        assert (await assistant.complete(Prompt(system="Tu réponds.", history=turns), schema=Decision)).model

    async def test_files_and_sources_are_taken(self, assistant: Assistant) -> None:
        assert assistant.reads("image/jpeg")
        assert not assistant.reads("application/zip")
        photo = MediaPart(mime_type="image/jpeg", data=b"\xff\xd8")
        odd = MediaPart(mime_type="application/zip", data=b"PK")
        turn = Turn(role="customer", text="Voici", media=(photo, odd))
        source = Source(id="a1#2", title='Prix "TTC"', text="Une <b>cerise</b> coûte 2 €.")
        answer = await assistant.complete(a_prompt(sources=(source,)), schema=Decision)
        assert answer.value.reply
        answer = await assistant.complete(Prompt(system="", history=(turn,), sources=(source,)), schema=Decision)
        assert answer.value.action is Action.REPLY

    async def test_it_says_that_it_lives(self, assistant: Assistant) -> None:
        assert await assistant.probe() is True


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


class TestGeminiAssistant(AssistantCases):
    @pytest.fixture
    def side(self, gemini: EmulatedSide) -> EmulatedSide:
        return gemini

    @pytest.fixture
    def assistant(self, side: EmulatedSide, start_assistant: StartAssistant) -> Assistant:
        return start_assistant(side.url).assistant


class TestOpenAiAssistant(AssistantCases):
    @pytest.fixture
    def side(self, openai: EmulatedSide) -> EmulatedSide:
        return openai

    @pytest.fixture
    def assistant(self, side: EmulatedSide, start_assistant: StartAssistant) -> Assistant:
        return start_assistant(side.url, vendor="openai").assistant
