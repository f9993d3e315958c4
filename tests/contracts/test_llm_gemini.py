"""What is Gemini's alone: its examples as they are written down, its ways to end, to limit and to break off."""

import asyncio
from typing import Any

import msgspec
import pytest

from inbox.domain.bot import Action, Decision
from inbox.domain.errors import InboxError, Kind
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent, ModelThrottled
from inbox.emulators.gemini.models import DEFAULT_MODELS
from inbox.ports.llm import Assistant, Tuning

from .asking import (
    DECISION,
    MODEL,
    OTHER_MODEL,
    Notebook,
    StartAssistant,
    WiredAssistant,
    a_prompt,
    decided,
)
from .model_side import KEY, EmulatedSide

Json = dict[str, Any]

TEXT = msgspec.json.encode(DECISION).decode()


def error(code: int, status: str, message: str = "", *details: Json) -> Json:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def reason(word: str) -> Json:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "googleapis.com"}


def quota(name: str) -> Json:
    violation = {"quotaMetric": "generativelanguage.googleapis.com/x", "quotaId": name, "quotaValue": "15"}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def retry(delay: str) -> Json:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


@pytest.fixture
def wired(gemini: EmulatedSide, start_assistant: StartAssistant) -> WiredAssistant:
    return start_assistant(gemini.url)


@pytest.fixture
def assistant(wired: WiredAssistant) -> Assistant:
    return wired.assistant


async def given(side: EmulatedSide, status: int, body: object, count: int = 1) -> None:
    rule = {"action": "http_error", "status": status, "body": body, "path": ":streamGenerateContent$", "count": count}
    await side.call("POST", "/faults", rule)


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_every_model_takes_the_request_and_is_named_as_it_answers(
    gemini: EmulatedSide, assistant: Assistant
) -> None:
    models = [model for model in DEFAULT_MODELS if model.offers("generateContent")]
    asked = [(model, thinking) for model in models for thinking in (0, 2_000, 100_000)]
    for model, thinking in asked:
        tuning = Tuning(model=model.id, thinking_tokens=thinking, temperature=0.4, max_output_tokens=40_000)
        assert (await decided(assistant, tuning=tuning)).model == model.model_version
    assert await gemini.calls() == len(asked)


async def test_the_tokens_of_an_answer_are_counted_with_its_thoughts(
    gemini: EmulatedSide, assistant: Assistant
) -> None:
    usage = {"promptTokenCount": 204, "candidatesTokenCount": 44, "thoughtsTokenCount": 132}
    part = {"text": TEXT, "thoughtSignature": "CiQB0e2Kb8pZ3v"}
    written = {"parts": [part], "usage": {**usage, "cachedContentTokenCount": 200, "totalTokenCount": 380}}
    await gemini.call("POST", "/script", written)
    answer = await decided(assistant)
    assert (answer.usage.input, answer.usage.output, answer.usage.cached) == (204, 176, 200)
    assert answer.cost == 448  # 4 x 0.30 + 200 x 0.03 + 176 x 2.50, rounded up


async def test_numbers_and_names_that_cannot_be_are_not_believed(gemini: EmulatedSide, assistant: Assistant) -> None:
    candidate = {"content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": -5, "candidatesTokenCount": 10**12}
    odd = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m\x00" + "x" * 500}
    await gemini.call("POST", "/script", {"response": odd})
    answer = await decided(assistant)
    assert (answer.usage.input, answer.usage.output) == (0, 100_000_000)
    assert answer.model == "m" + "x" * 99


async def test_thoughts_are_no_part_of_the_answer(gemini: EmulatedSide, assistant: Assistant) -> None:
    parts = [{"text": "Let me think.", "thought": True}, {"text": TEXT[:20]}, {"text": TEXT[20:]}]
    await gemini.call("POST", "/script", {"parts": parts, "thoughts": 40})
    answer = await decided(assistant)
    assert answer.value.reply == DECISION["reply"]
    assert answer.usage.output > 40


@pytest.mark.parametrize(
    ("finish", "word", "calls"),
    [
        *(("MAX_TOKENS", "cut", 2), ("CONTINUATION", "cut", 2), ("RECITATION", "blocked", 2)),
        *(("SAFETY", "blocked", 1), ("SPII", "blocked", 1), ("LANGUAGE", "blocked", 1), ("NO_IMAGE", "blocked", 1)),
        *(("MALFORMED_FUNCTION_CALL", "malformed", 2), ("MISSING_THOUGHT_SIGNATURE", "malformed", 2)),
        *(("OTHER", "empty", 2), ("FINISH_REASON_UNSPECIFIED", "empty", 2)),
    ],
)
async def test_an_answer_that_did_not_end_well_is_never_used(
    gemini: EmulatedSide, wired: WiredAssistant, finish: str, word: str, calls: int
) -> None:
    await gemini.call("POST", "/script", {"json": DECISION, "finish_reason": finish, "times": 2})
    with pytest.raises(ModelSilent) as caught:
        await decided(wired.assistant)
    assert (caught.value.reason, await gemini.calls()) == (word, calls)
    assert caught.value.usage.output > 0
    assert wired.breakers.inspect()["gemini"].failure_count == 0


async def test_a_whole_answer_with_a_reason_of_the_future_is_used(gemini: EmulatedSide, assistant: Assistant) -> None:
    await gemini.arm("unknown_finish_reason")
    assert (await decided(assistant)).value.action is Action.REPLY


async def test_a_restricted_account_is_our_fault_and_opens_the_circuit(
    gemini: EmulatedSide, wired: WiredAssistant
) -> None:
    await gemini.call("POST", "/script", {"text": "", "finish_reason": "PUP_LIMITED_DISABLED", "times": 5})
    for _ in range(5):
        with pytest.raises(ModelRefused):
            await decided(wired.assistant)
    assert wired.breakers.inspect()["gemini"].state == "open"


BLOCKED_RATING = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}]}, "cut"),
        (
            {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 77}},
            "blocked",
        ),
        ({"candidates": [{"finishReason": "SAFETY", "index": 0, "safetyRatings": [BLOCKED_RATING]}]}, "blocked"),
        ({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]}, "empty"),
        ({"candidates": [], "usageMetadata": {}}, "empty"),
        ({}, "empty"),
    ],
    ids=["thought too long", "prompt blocked", "answer blocked", "stop", "no candidates", "nothing"],
)
async def test_silence_as_it_is_documented_has_its_word(
    gemini: EmulatedSide, assistant: Assistant, body: Json, word: str
) -> None:
    await gemini.call("POST", "/script", {"response": body, "times": 2})
    with pytest.raises(ModelSilent) as caught:
        await decided(assistant)
    assert caught.value.reason == word


# --- refusals ---------------------------------------------------------------------------------------------------------

DAY = "GenerateRequestsPerDayPerProjectPerModel"
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait"),
    [
        (429, error(429, "RESOURCE_EXHAUSTED", "limit: 15", quota(MINUTE), retry("21s")), Kind.THROTTLED, 21.0),
        (429, error(429, "RESOURCE_EXHAUSTED", "Please retry in 41.5s."), Kind.THROTTLED, 41.5),
        (429, error(429, "RESOURCE_EXHAUSTED", "limit: 15", quota(MINUTE)), Kind.THROTTLED, 60.0),
        (429, error(429, "RESOURCE_EXHAUSTED", "", quota(DAY), retry("38211s")), Kind.MISCONFIGURED, None),
        (429, error(429, "RESOURCE_EXHAUSTED", "", retry("900s")), Kind.MISCONFIGURED, None),
        (429, error(429, "RESOURCE_EXHAUSTED", "limit: 0, model: x", retry("21s")), Kind.MISCONFIGURED, None),
        (
            400,
            error(400, "INVALID_ARGUMENT", "API key not valid.", reason("API_KEY_INVALID")),
            Kind.MISCONFIGURED,
            None,
        ),
        (400, error(400, "FAILED_PRECONDITION", "User location is not supported"), Kind.MISCONFIGURED, None),
        (400, [error(400, "INVALID_ARGUMENT", "Multiple authentication credentials")], Kind.MISCONFIGURED, None),
        (400, error(400, "INVALID_ARGUMENT", "Requests ending with a model turn"), Kind.MISCONFIGURED, None),
        (401, error(401, "UNAUTHENTICATED", "", reason("ACCESS_TOKEN_TYPE_UNSUPPORTED")), Kind.MISCONFIGURED, None),
        (403, error(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), Kind.MISCONFIGURED, None),
        (404, error(404, "NOT_FOUND", "models/gemini-2.0-flash is not found"), Kind.MISCONFIGURED, None),
        (413, "<html>", Kind.MISCONFIGURED, None),
    ],
)
async def test_a_refusal_as_it_is_documented_is_not_tried_again(
    gemini: EmulatedSide, wired: WiredAssistant, status: int, body: object, kind: Kind, wait: float | None
) -> None:
    await given(gemini, status, body)
    with pytest.raises(InboxError) as caught:
        await decided(wired.assistant)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert await gemini.calls() == 1
    assert wired.breakers.inspect()["gemini"].failure_count == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
        (500, error(500, "INTERNAL", "An internal error has occurred.")),
        (504, error(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.")),
        (499, error(499, "CANCELLED")),
        (200, error(503, "UNAVAILABLE", "This model is currently experiencing high demand.")),
        (200, [error(500, "INTERNAL")]),
        (503, error(503, "Service Unavailable", msgspec.json.encode(error(503, "UNAVAILABLE")).decode())),
    ],
)
async def test_a_fault_of_the_vendor_is_tried_three_times(
    gemini: EmulatedSide, assistant: Assistant, status: int, body: object
) -> None:
    await given(gemini, status, body, count=3)
    with pytest.raises(ModelFailed):
        await decided(assistant)
    assert await gemini.calls() == 3


@pytest.mark.parametrize("key", ["leaked-key", "foreign-key"])
async def test_a_key_that_is_known_and_refused_is_our_fault(
    gemini: EmulatedSide, start_assistant: StartAssistant, key: str
) -> None:
    wired = start_assistant(gemini.url, key=key, fallback=OTHER_MODEL)
    with pytest.raises(ModelRefused) as caught:
        await decided(wired.assistant)
    assert key not in repr(caught.value)
    assert await gemini.calls() == 1


@pytest.mark.parametrize("knob", ["429_day", "429_limit0"])
async def test_a_quota_that_is_used_up_hands_on_to_a_model_with_its_own(
    gemini: EmulatedSide, start_assistant: StartAssistant, knob: str
) -> None:
    await gemini.arm(knob)
    wired = start_assistant(gemini.url, fallback=OTHER_MODEL)
    assert [(await decided(wired.assistant)).model for _ in range(2)] == [OTHER_MODEL, OTHER_MODEL]
    assert await gemini.calls() == 3


async def test_a_short_wait_that_gemini_names_is_kept_without_another_model(
    gemini: EmulatedSide, start_assistant: StartAssistant
) -> None:
    await gemini.arm("429_minute", options={"retry_delay": 0.2})
    clock = asyncio.get_running_loop()
    began = clock.time()
    assert not (await decided(start_assistant(gemini.url, fallback=OTHER_MODEL).assistant)).is_fallback
    assert clock.time() - began >= 0.2
    assert await gemini.calls() == 2


async def test_a_wait_inside_an_error_inside_an_error_is_found(gemini: EmulatedSide, assistant: Assistant) -> None:
    inner = msgspec.json.encode(error(429, "RESOURCE_EXHAUSTED", "", retry("33s"))).decode()
    await given(gemini, 429, error(429, "Too Many Requests", inner))
    with pytest.raises(ModelThrottled) as caught:
        await decided(assistant)
    assert caught.value.retry_after == 33.0


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knob", ["stream_error_data", "stream_error_raw", "stream_eof", "connection_reset_late", "bad_json", "504"]
)
async def test_an_answer_that_breaks_off_is_asked_for_again_and_never_used(
    gemini: EmulatedSide, assistant: Assistant, knob: str
) -> None:
    await gemini.arm(knob)
    answer = await decided(assistant, "Bonjour, où en est ma commande s'il vous plaît ?")
    assert "commande" in answer.value.reply
    assert await gemini.calls() == 2


@pytest.mark.parametrize("knob", ["stream_error_data", "stream_eof", "a throttle", "a refusal"])
async def test_an_answer_that_broke_off_may_be_billed_whatever_the_error_says(
    gemini: EmulatedSide, assistant: Assistant, knob: str
) -> None:
    if knob == "a throttle":
        await given(gemini, 200, error(429, "RESOURCE_EXHAUSTED", "", retry("0.01s")))
    elif knob == "a refusal":
        await given(gemini, 200, error(400, "INVALID_ARGUMENT"))
    else:
        await gemini.arm(knob)
    meter = Notebook()
    try:
        await assistant.complete(a_prompt(), schema=Decision, meter=meter)
    except ModelRefused:
        assert knob == "a refusal"
    assert meter.heard == ["", "used"][: len(meter.heard)]
    assert len(meter.heard) == (1 if knob == "a refusal" else 2)


async def test_gemini_says_whether_a_model_answers_prompts(
    gemini: EmulatedSide, start_assistant: StartAssistant
) -> None:
    assistant = start_assistant(gemini.url).assistant
    names = (OTHER_MODEL, "gemini-of-the-past", "gemini-embedding-2", "a b", "vendor/model")
    assert [await assistant.knows(name) for name in names] == [True, False, False, False, False]
    assert await start_assistant(gemini.url, key="wrong").assistant.knows(OTHER_MODEL) is None
    assert await start_assistant("http://127.0.0.1:9").assistant.knows(OTHER_MODEL) is None
    assert await gemini.calls() == 0


async def test_the_probe_needs_the_model_and_the_key(gemini: EmulatedSide, start_assistant: StartAssistant) -> None:
    assert await start_assistant(gemini.url).assistant.probe() is True
    for wiring in ({"key": "wrong"}, {"model": "gemini-of-the-past"}, {"model": "x/../y"}):
        with pytest.raises(ModelRefused):
            await start_assistant(gemini.url, **wiring).assistant.probe()


async def test_a_model_with_a_path_in_its_name_is_never_asked_for(
    gemini: EmulatedSide, start_assistant: StartAssistant
) -> None:
    for name in ("../files", "a?key=1", "a b", "", "a" * 101):
        with pytest.raises(ModelRefused):
            await decided(start_assistant(gemini.url, key=KEY, model=name or "/").assistant)
        answer = await decided(start_assistant(gemini.url, key=KEY).assistant, tuning=Tuning(model=name or "/"))
        assert answer.is_fallback
    assert set(await gemini.asked()) == {MODEL}
