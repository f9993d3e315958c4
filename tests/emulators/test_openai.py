"""The OpenAI-compatible emulator is as strict as the strictest server, and fails on demand."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from inbox.emulators.openai import OpenAiConfig, create_app
from inbox.emulators.serving import serve

Json = dict[str, Any]
Call = Callable[..., Any]

SHAPE: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reply", "confidence"],
    "properties": {"reply": {"type": "string"}, "confidence": {"type": "number"}},
}


def asking(text: object = "Bonjour", **more: object) -> Json:
    return {"model": "emulated-large", "messages": [{"role": "user", "content": text}], **more}


def shaped(schema: Json) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    app = create_app(OpenAiConfig(api_keys=("k1",), reads_images=False, takes_temperature=False))
    async with serve(app) as served, aiohttp.ClientSession() as session:

        async def called(path: str, body: object, key: str = "k1") -> tuple[int, Any]:
            headers = {"authorization": f"Bearer {key}"}
            async with session.post(served.url + path, json=body, headers=headers) as response:
                return response.status, await response.json(content_type=None)

        yield called


async def test_it_answers_in_words_or_in_the_shape_it_was_given(call: Call) -> None:
    status, answer = await call("/v1/chat/completions", asking("Avez-vous des cerises ?"))
    assert status == 200
    assert "cerises" in answer["choices"][0]["message"]["content"]
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    _, answer = await call("/v1/chat/completions", asking(response_format=shaped(SHAPE)))
    assert '"confidence":0.9' in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (asking(model="of-the-past"), 404, "model_not_found"),
        (asking(top_k=1), 400, "unknown_parameter"),
        (asking(max_tokens=1), 400, "unsupported_parameter"),
        (asking(temperature=0.4), 400, "unsupported_parameter"),
        (asking(reasoning_effort="huge"), 400, "invalid_value"),
        (asking(messages=[]), 400, None),
        (asking(messages=[{"role": "assistant", "content": "x"}]), 400, None),
        (asking(messages=[{"role": "user", "content": "x"}] * 2), 400, None),
        (asking(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}]), 400, None),
        (asking([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]), 400, None),
        (asking([{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]), 400, None),
        (asking(None), 400, None),
        (asking(response_format=shaped({**SHAPE, "required": ["reply"]})), 400, "invalid_json_schema"),
        (asking(response_format=shaped({**SHAPE, "additionalProperties": True})), 400, "invalid_json_schema"),
        (asking(response_format={"type": "xml"}), 400, None),
        ("no object", 400, None),
    ],
)
async def test_what_a_strict_server_refuses_is_refused(call: Call, body: object, status: int, code: str | None) -> None:
    found, answer = await call("/v1/chat/completions", body)
    assert (found, answer["error"]["code"]) == (status, code)


async def test_every_call_needs_the_key(call: Call) -> None:
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        status, answer = await call(path, asking(), "k2")
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


async def test_a_fault_strikes_as_often_and_where_it_was_ordered(call: Call) -> None:
    await call("/_emu/faults", {"knob": "503", "count": 1, "to": "emulated-large"})
    small = asking() | {"model": "emulated-small"}
    statuses = [(await call("/v1/chat/completions", body))[0] for body in (small, asking(), asking())]
    assert statuses == [200, 503, 200]
    assert (await call("/_emu/faults", {"knob": "earthquake"}))[0] == 400


async def test_vectors_are_given_for_so_many_texts_and_no_empty_one(call: Call) -> None:
    body = {"model": "emulated-embedding", "input": ["a", "b"], "dimensions": 64}
    status, answer = await call("/v1/embeddings", body)
    assert status == 200
    assert sorted((one["index"], len(one["embedding"])) for one in answer["data"]) == [(0, 64), (1, 64)]
    wrongs: list[dict[str, object]] = [{"input": ["a"] * 101}, {"input": []}, {"input": ["a", ""]}, {"dimensions": 0}]
    for wrong in wrongs:
        assert (await call("/v1/embeddings", body | wrong))[0] == 400
    assert (await call("/v1/embeddings", body | {"model": "emulated-large"}))[0] == 404
