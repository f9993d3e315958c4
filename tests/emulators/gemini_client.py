"""A running Gemini emulator and a caller with the right key."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from inbox.emulators.gemini import GeminiConfig, create_app
from inbox.emulators.serving import serve

Json = dict[str, Any]
KEY = "AQ.Ab8RN6Invented"
LITE = "gemini-3.5-flash-lite"
FLASH = "gemini-3.8-flash"
DECISION: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["action", "reply", "confidence", "used_kb_ids", "handoff_reason", "priority"],
    "propertyOrdering": ["used_kb_ids", "confidence", "action", "handoff_reason", "priority", "reply"],
    "properties": {
        "action": {"type": "string", "enum": ["reply", "handoff", "reply_and_handoff", "ignore"]},
        "reply": {"type": "string"},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "handoff_reason": {"type": "string", "enum": ["low_confidence", "customer_asked_human", "none"]},
        "priority": {"type": "string", "enum": ["low", "normal", "high", "urgent"]},
        "used_kb_ids": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
    },
}


def asking(text: str = "Where is my parcel?", **more: object) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def deciding(text: str, schema: Json | None = None, **config: object) -> Json:
    settings = {"responseMimeType": "application/json", "responseJsonSchema": schema or DECISION, **config}
    return asking(f'<customer_message id="m1">{text}</customer_message>', generationConfig=settings)


def text_of(response: Json) -> str:
    return "".join(part["text"] for part in response["candidates"][0]["content"]["parts"] if not part.get("thought"))


class GeminiClient:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    def path(self, method: str, model: str = LITE) -> str:
        return f"{self.url}/v1beta/models/{model}:{method}"

    async def raw(self, url: str, body: object = None, headers: Json | None = None) -> tuple[int, str, Json]:
        """(status, text, headers) of a POST; a `bytes` body goes out as it stands."""
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        given = {"x-goog-api-key": KEY} if headers is None else headers
        async with self.session.post(url, data=data, headers=given) as response:
            return response.status, (await response.read()).decode("utf-8", "replace"), dict(response.headers)

    async def call(self, method: str, body: object, model: str = LITE, headers: Json | None = None) -> tuple[int, Any]:
        status, text, _ = await self.raw(self.path(method, model), body, headers)
        return status, json.loads(text)

    async def generate(self, body: Json, model: str = LITE) -> Json:
        status, answer = await self.call("generateContent", body, model)
        assert status == 200, answer
        response: Json = answer
        return response

    async def refused(self, body: object, model: str = LITE, method: str = "generateContent") -> str:
        """The message of the 400 that a body earns."""
        status, answer = await self.call(method, body, model)
        assert status == 400, answer
        message: str = answer["error"]["message"]
        return message

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        given = headers or {"x-goog-api-key": KEY}
        async with self.session.get(self.url + path, headers=given) as response:
            return response.status, await response.json()

    async def control(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - JSON of any shape
        async with self.session.request(method, f"{self.url}/_emu{path}", json=document) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text) if text else None

    async def fault(self, knob: str, **rule: object) -> None:
        await self.control("POST", "/faults", {"knob": knob, **rule})


@asynccontextmanager
async def running(**config: Any) -> AsyncIterator[GeminiClient]:  # noqa: ANN401 - any setting
    start = GeminiConfig(api_keys=(KEY,), leaked_keys=("AIzaLeaked",), foreign_keys=("ya29.oauth",), **config)
    async with serve(create_app(start)) as served, aiohttp.ClientSession() as session:
        yield GeminiClient(served.url, session)
