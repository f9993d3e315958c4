"""What is the own of OpenAI-compatible servers: many dialects, and as many ways to refuse."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from inbox.adapters.llm.openai.client import Dialect
from inbox.domain.bot import Action
from inbox.domain.errors import InboxError, Kind
from inbox.domain.upstream_errors import ModelRefused, ModelSilent
from inbox.emulators.openai import OpenAiConfig, create_app
from inbox.emulators.serving import serve
from inbox.ports.llm import Assistant, MediaPart, Prompt, Tuning, Turn

from .asking import DECISION, StartAssistant, WiredAssistant, decided
from .model_side import EmulatedSide

StartServer = Callable[..., Any]


@pytest.fixture
def wired(openai: EmulatedSide, start_assistant: StartAssistant) -> WiredAssistant:
    return start_assistant(openai.url, vendor="openai")


@pytest.fixture
def assistant(wired: WiredAssistant) -> Assistant:
    return wired.assistant


@pytest.fixture
async def serving() -> AsyncIterator[StartServer]:
    """Another server than the usual one; its address."""
    async with AsyncExitStack() as stack:

        async def start(**config: Any) -> str:  # noqa: ANN401 - as OpenAiConfig takes them
            return f"{(await stack.enter_async_context(serve(create_app(OpenAiConfig(**config))))).url}/v1"

        yield start


async def test_a_server_of_ones_own_needs_no_key_and_no_schemas(
    serving: StartServer, start_assistant: StartAssistant
) -> None:
    url = await serving(knows_schemas=False, reads_images=False, tokens_field="max_tokens")
    dialect = Dialect(json_mode="json_object", tokens_field="max_tokens")
    wired = start_assistant(url, vendor="openai", key=None, dialect=dialect)
    answer = await decided(wired.assistant, "Avez-vous des cerises ?")
    assert answer.value.action is Action.REPLY
    assert "cerises" in answer.value.reply
    assert not wired.assistant.reads("image/jpeg")
    with pytest.raises(ModelRefused):
        await decided(start_assistant(url, vendor="openai", key=None).assistant)


async def test_a_key_may_have_a_header_of_its_own(serving: StartServer, start_assistant: StartAssistant) -> None:
    url = await serving(api_keys=("k1",), key_header="api-key")
    wired = start_assistant(url, vendor="openai", key="k1", dialect=Dialect(key_header="api-key"))
    assert (await decided(wired.assistant)).value.reply
    with pytest.raises(ModelRefused):
        await decided(start_assistant(url, vendor="openai", key="k1").assistant)


async def test_reasoning_is_asked_for_where_it_is_known(serving: StartServer, start_assistant: StartAssistant) -> None:
    url = await serving(takes_temperature=False)
    dialect = Dialect(reasoning_effort=True)
    wired = start_assistant(url, vendor="openai", dialect=dialect)
    assert (await decided(wired.assistant, tuning=Tuning(thinking_tokens=50_000))).value.reply
    with pytest.raises(ModelRefused):
        await decided(wired.assistant, tuning=Tuning(temperature=0.4))


async def test_an_image_is_read_and_a_voice_note_is_not(assistant: Assistant) -> None:
    assert [assistant.reads(kind) for kind in ("image/PNG", "audio/ogg; codecs=opus", "image/heic")] == [
        True,
        False,
        False,
    ]
    image = MediaPart(mime_type="image/png", data=b"\x89PNG")
    turns = (Turn(role="customer", text="Voici", media=(image,)),)
    answer = await assistant.complete(Prompt(system="", history=turns), schema=type((await decided(assistant)).value))
    assert answer.value.reply


async def test_tokens_that_were_cached_are_cheaper(openai: EmulatedSide, assistant: Assistant) -> None:
    dear = await decided(assistant)
    await openai.call("POST", "/script", {"json": DECISION, "cached_tokens": 20})
    cheap = await decided(assistant)
    assert cheap.usage.cached == 20
    assert cheap.usage.input == dear.usage.input
    assert cheap.cost == -int(-((cheap.usage.input - 20) * 0.3 + 20 * 0.03 + cheap.usage.output * 2.5) // 1)


@pytest.mark.parametrize(
    ("knob", "word", "calls"),
    [
        *(("content_filter", "blocked", 1), ("refusal", "blocked", 1), ("length", "cut", 2)),
        *(("tool_calls", "malformed", 2), ("no_choices", "empty", 2), ("empty", "empty", 2)),
    ],
)
async def test_silence_has_its_word(
    openai: EmulatedSide, wired: WiredAssistant, knob: str, word: str, calls: int
) -> None:
    await openai.arm(knob, count=2)
    with pytest.raises(ModelSilent) as caught:
        await decided(wired.assistant)
    assert (caught.value.reason, await openai.calls()) == (word, calls)
    assert wired.breakers.inspect()["openai"].failure_count == 0


@pytest.mark.parametrize("knob", ["fenced", "unknown_finish_reason"])
async def test_a_whole_answer_in_a_strange_dress_is_used(openai: EmulatedSide, assistant: Assistant, knob: str) -> None:
    await openai.arm(knob)
    assert (await decided(assistant)).value.action is Action.REPLY
    assert await openai.calls() == 1


async def test_an_error_that_comes_as_a_success_is_tried_again(openai: EmulatedSide, assistant: Assistant) -> None:
    await openai.arm("error_as_200")
    assert (await decided(assistant)).value.reply
    assert await openai.calls() == 2


@pytest.mark.parametrize(
    ("headers", "kind", "wait"),
    [
        ({"retry-after": "33"}, Kind.THROTTLED, 33.0),
        ({"retry-after-ms": "33500"}, Kind.THROTTLED, 33.5),
        ({"x-ratelimit-reset-requests": "1m6s"}, Kind.THROTTLED, 66.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:00 GMT", "x-ratelimit-reset-tokens": "21s"}, Kind.THROTTLED, 21.0),
        ({"retry-after": "86400"}, Kind.MISCONFIGURED, None),
    ],
)
async def test_a_throttle_says_when_to_come_back(
    openai: EmulatedSide, assistant: Assistant, headers: dict[str, str], kind: Kind, wait: float | None
) -> None:
    await openai.arm("429_rate", options={"headers": headers})
    with pytest.raises(InboxError) as caught:
        await decided(assistant)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert await openai.calls() == 1


async def test_a_throttle_without_a_time_is_tried_again(openai: EmulatedSide, assistant: Assistant) -> None:
    await openai.arm("429_rate", count=2, options={"headers": {}})
    assert (await decided(assistant)).value.reply
    assert await openai.calls() == 3


async def test_money_that_is_gone_is_gone_for_every_model(
    openai: EmulatedSide, start_assistant: StartAssistant
) -> None:
    await openai.arm("429_quota", count=9)
    with pytest.raises(ModelRefused):
        await decided(start_assistant(openai.url, vendor="openai", fallback="emulated-small").assistant)
    assert await openai.calls() == 1
