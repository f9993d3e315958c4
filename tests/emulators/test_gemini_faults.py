"""How the Gemini emulator fails on demand."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from emulators.gemini_client import FLASH, KEY, GeminiClient, Json, asking, deciding, running, text_of

SSE = "?alt=sse"


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiClient]:
    async with running() as client:
        yield client


async def stream_text(gemini: GeminiClient) -> str:
    status, text, _ = await gemini.raw(gemini.path("streamGenerateContent") + SSE, asking())
    assert status == 200
    return text


async def test_an_overload_lasts_as_often_as_ordered_and_spares_the_health_check(gemini: GeminiClient) -> None:
    await gemini.fault("503", count=2)
    health, _ = await gemini.get(f"/v1beta/models/{FLASH}")
    statuses = [(await gemini.call("generateContent", asking()))[0] for _ in range(3)]
    assert (health, statuses) == (200, [503, 503, 200])


async def test_a_fault_strikes_before_the_key_is_looked_at(gemini: GeminiClient) -> None:
    await gemini.fault("500")
    status, answer = await gemini.call("generateContent", asking(), headers={})
    assert (status, answer["error"]["status"]) == (500, "INTERNAL")


async def test_the_minute_limit_says_when_to_come_back(gemini: GeminiClient) -> None:
    await gemini.fault("429_minute", options={"retry_delay": 7.5})
    status, answer = await gemini.call("generateContent", asking(), FLASH)
    details = {item["@type"].rsplit(".", 1)[-1]: item for item in answer["error"]["details"]}
    assert status == 429
    assert details["RetryInfo"]["retryDelay"] == "7.5s"
    assert "PerMinute" in details["QuotaFailure"]["violations"][0]["quotaId"]
    assert "Please retry in 7.5s." in answer["error"]["message"]


@pytest.mark.parametrize(("knob", "sign"), [("429_day", "PerDay"), ("429_limit0", "limit: 0, model")])
async def test_a_terminal_quota_can_be_told_from_a_short_one(gemini: GeminiClient, knob: str, sign: str) -> None:
    await gemini.fault(knob)
    status, text, _ = await gemini.raw(gemini.path("generateContent"), asking())
    assert status == 429
    assert sign in text


async def test_errors_come_as_lists_nested_and_as_html(gemini: GeminiClient) -> None:
    for knob in ("list_error", "nested_error", "html_502"):
        await gemini.fault(knob, count=1)
    _, listed = await gemini.call("generateContent", asking())
    _, nested = await gemini.call("generateContent", asking())
    status, page, headers = await gemini.raw(gemini.path("generateContent"), asking())
    assert listed[0]["error"]["code"] == 503
    assert json.loads(nested["error"]["message"])["error"]["status"] == "UNAVAILABLE"
    assert (status, headers["Content-Type"]) == (502, "text/html; charset=UTF-8")
    assert page.startswith("<!DOCTYPE html>")


async def test_a_plain_rule_answers_its_own_body_and_headers(gemini: GeminiClient) -> None:
    rule = {
        "action": "http_error",
        "status": 418,
        "body": {"odd": [1]},
        "headers": {"x-odd": "yes"},
        "kind": "generate",
    }
    await gemini.control("POST", "/faults", rule)
    status, text, headers = await gemini.raw(gemini.path("generateContent"), asking())
    assert (status, json.loads(text), headers["x-odd"]) == (418, {"odd": [1]}, "yes")


@pytest.mark.parametrize(
    ("knob", "candidate"),
    [
        ("empty_stop", {"content": {"role": "model"}, "finishReason": "STOP", "index": 0}),
        ("recitation", {"finishReason": "RECITATION", "index": 0}),
    ],
)
async def test_an_outcome_without_text_is_still_200(gemini: GeminiClient, knob: str, candidate: Json) -> None:
    await gemini.fault(knob)
    assert (await gemini.generate(asking()))["candidates"] == [candidate]


@pytest.mark.parametrize(
    ("knob", "reason"),
    [
        ("safety", "SAFETY"),
        ("max_tokens_empty", "MAX_TOKENS"),
        ("malformed_call", "MALFORMED_FUNCTION_CALL"),
        ("unknown_finish_reason", "REASON_OF_A_LATER_VERSION"),
    ],
)
async def test_an_outcome_is_named_by_its_finish_reason(gemini: GeminiClient, knob: str, reason: str) -> None:
    await gemini.fault(knob)
    assert (await gemini.generate(asking()))["candidates"][0]["finishReason"] == reason


async def test_a_blocked_prompt_has_no_candidates(gemini: GeminiClient) -> None:
    await gemini.fault("blocked_prompt", options={"reason": "BLOCKLIST"})
    response = await gemini.generate(asking())
    assert "candidates" not in response
    assert response["promptFeedback"] == {"blockReason": "BLOCKLIST"}


async def test_bad_output_is_good_http_and_bad_json_is_not(gemini: GeminiClient) -> None:
    await gemini.fault("bad_output", count=1)
    await gemini.fault("bad_json", count=1)
    await gemini.fault("garbage", count=1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(await gemini.generate(deciding("x"))))
    for _ in range(2):
        status, text, _ = await gemini.raw(gemini.path("generateContent"), asking())
        assert status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


async def test_a_stream_can_fail_in_three_ways_after_it_began(gemini: GeminiClient) -> None:
    for knob in ("stream_error_data", "stream_error_raw", "stream_eof"):
        await gemini.fault(knob, count=1)
    as_data, as_raw, ended = [await stream_text(gemini) for _ in range(3)]
    assert json.loads(as_data.split("\r\n\r\n")[1].removeprefix("data: "))["error"]["code"] == 503
    assert json.loads(as_raw.split("\r\n\r\n")[1])["error"]["status"] == "UNAVAILABLE"
    assert ended.count("data: ") == 1
    assert "finishReason" not in ended
    endings = (await gemini.control("GET", "/ledger?kind=stream_end"))["entries"]
    assert [entry["data"]["whole"] for entry in endings] == [False, False, False]


async def test_a_stream_fault_waits_for_a_stream(gemini: GeminiClient) -> None:
    await gemini.fault("stream_eof")
    await gemini.generate(asking())
    assert "finishReason" not in await stream_text(gemini)


@pytest.mark.parametrize("knob", ["connection_reset", "connection_reset_late"])
async def test_the_connection_is_cut_without_an_answer(gemini: GeminiClient, knob: str) -> None:
    await gemini.fault(knob)
    with pytest.raises(aiohttp.ClientError):
        await gemini.call("generateContent", asking())


async def test_a_late_reset_has_used_up_the_scripted_answer(gemini: GeminiClient) -> None:
    await gemini.control("POST", "/script", {"text": "billed"})
    await gemini.fault("connection_reset_late", count=1)
    with pytest.raises(aiohttp.ClientError):
        await gemini.call("generateContent", asking())
    assert await gemini.control("GET", "/script") == {"waiting": 0}


async def test_a_hanging_request_ends_with_the_callers_patience(gemini: GeminiClient) -> None:
    await gemini.fault("timeout")
    headers = {"x-goog-api-key": KEY, "x-server-timeout": "0.01"}
    status, answer = await gemini.call("generateContent", asking(), headers=headers)
    assert (status, answer["error"]["status"]) == (504, "DEADLINE_EXCEEDED")


async def test_a_caller_who_leaves_a_hanging_request_frees_it(gemini: GeminiClient) -> None:
    await gemini.fault("timeout")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await gemini.call("generateContent", asking())
    async with asyncio.timeout(10):
        while not (await gemini.control("GET", "/ledger?kind=generate"))["entries"]:
            await gemini.control("GET", "/health")


async def test_a_dripping_answer_arrives_whole_and_in_many_pieces(gemini: GeminiClient) -> None:
    await gemini.fault("drip", options={"interval": 0, "pieces": 8})
    pieces = []
    headers = {"x-goog-api-key": KEY}
    async with gemini.session.post(gemini.path("generateContent"), json=asking(), headers=headers) as response:
        async for chunk, _ in response.content.iter_chunks():
            pieces.append(chunk)
    assert len(pieces) > 1
    assert json.loads(b"".join(pieces))["candidates"]


async def test_one_request_can_bring_its_own_fault(gemini: GeminiClient) -> None:
    headers = {"x-goog-api-key": KEY, "x-emu-fault": "503"}
    status, _ = await gemini.call("generateContent", asking(), headers=headers)
    again, _ = await gemini.call("generateContent", asking())
    assert (status, again) == (503, 200)


async def test_faults_are_listed_and_cleared_by_name(gemini: GeminiClient) -> None:
    await gemini.fault("503", name="storm")
    await gemini.fault("500", name="other")
    assert await gemini.control("DELETE", "/faults?name=storm") == {"removed": 1}
    assert [armed["rule"]["name"] for armed in await gemini.control("GET", "/faults")] == ["other"]
    status, _, _ = await gemini.raw(f"{gemini.url}/_emu/faults", {"knob": "flood"})
    assert status == 400
    for refused in ({"action": "drop_webhook"}, {"knob": "drip", "options": {"interval": "soon"}}, {"action": "delay"}):
        status, _, _ = await gemini.raw(f"{gemini.url}/_emu/faults", {**refused, "path": "["})
        assert status == 400
