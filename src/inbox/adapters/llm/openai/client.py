"""The assistant on any server that speaks OpenAI's chat completions: other vendors, gateways, models of one's own."""

import base64
from typing import Any, Final, Literal, TypeVar

import msgspec

from inbox.adapters.llm.answering import Answering, Ask, Defaults, Ending, Said
from inbox.adapters.llm.openai import wire
from inbox.adapters.llm.openai.errors import failure, refusal
from inbox.adapters.llm.quoting import Spoken, essence, spoken
from inbox.domain.upstream_errors import ModelFailed
from inbox.kit.http import ApiClient, CallFailed, Reply
from inbox.kit.resilience import Guard
from inbox.ports.llm import Answer, MediaPart, Meter, Prompt

T = TypeVar("T", bound=msgspec.Struct)

_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/webp"})
_ENDINGS: Final = {
    "stop": Ending.WHOLE,
    "length": Ending.CUT,
    "content_filter": Ending.BLOCKED,
    "tool_calls": Ending.GARBLED,
    "function_call": Ending.GARBLED,
}
_EFFORTS: Final = ((1_024, "low"), (8_192, "medium"))
_LARGEST_LIST: Final = 16 << 20


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What a server understands. `key_header` other than `authorization` holds the bare key."""

    json_mode: Literal["json_schema", "json_object"] = "json_schema"
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    reasoning_effort: bool = False
    reads_images: bool = False
    key_header: str = "authorization"

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Of every request; servers of one's own often want no key."""
        if api_key is None:
            return {"content-type": "application/json"}
        value = f"Bearer {api_key}" if self.key_header == "authorization" else api_key
        return {"content-type": "application/json", self.key_header: value}


class OpenAiAssistant:
    """`chat/completions`, not streamed; the base address of `api` ends with the version, like `/v1`."""

    def __init__(
        self, api: ApiClient, guard: Guard, *, api_key: str | None, defaults: Defaults, dialect: Dialect
    ) -> None:
        self._api = api
        self._answering = Answering(guard, defaults)
        self._dialect = dialect
        self._headers = dialect.headers(api_key)

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        return await self._answering.answer(prompt, schema, self._once, meter)

    def reads(self, mime_type: str) -> bool:
        return self._dialect.reads_images and essence(mime_type) in _IMAGES

    async def knows(self, model: str) -> None:
        """Cannot be said: gateways answer for models that they do not list."""

    async def probe(self) -> bool:
        """Asks for the list of models, which costs nothing. Gateways do not list all that they have."""
        try:
            async with self._api.stream("GET", "models", headers=self._headers, limit=_LARGEST_LIST) as reply:
                status, headers = reply.status, reply.headers
        except CallFailed as failed:
            raise failure(failed) from failed
        if status != 200:  # noqa: PLR2004
            raise refusal(Reply(status, headers, b""))
        return True

    async def _once(self, ask: Ask) -> Said:
        try:
            reply = await self._api.call(
                "POST", "chat/completions", headers=self._headers, content=msgspec.json.encode(self._body(ask))
            )
        except CallFailed as failed:
            raise failure(failed) from failed
        if reply.status != 200:  # noqa: PLR2004
            raise refusal(reply)
        try:
            completion = msgspec.json.decode(reply.body, type=wire.Completion)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelFailed("The model's answer is not readable.") from error
        if not completion.choices and wire.problem_of(reply.body) != wire.Problem():
            raise ModelFailed("The model's server answered 200 with an error.")
        return _said(ask, completion)

    def _body(self, ask: Ask) -> dict[str, Any]:
        dialect = self._dialect
        schema = wire.schema_for(ask.schema)
        system = "\n\n".join(filter(None, (ask.prompt.system, ask.nudge)))
        shape: dict[str, Any] = {"type": "json_object"}
        if dialect.json_mode == "json_schema":
            shape = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        else:
            wanted = msgspec.json.encode(schema).decode()
            system += f"\n\nAnswer with one JSON object that fits this JSON schema, and nothing else:\n{wanted}"
        said = [_message(one) for one in spoken(ask.prompt, self.reads)]
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": [{"role": "system", "content": system}, *said],
            dialect.tokens_field: ask.max_output_tokens,
            "response_format": shape,
        }
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if dialect.reasoning_effort:
            fitting = (effort for most, effort in _EFFORTS if ask.thinking_tokens <= most)
            body["reasoning_effort"] = next(fitting, "high")
        return body


def _message(said: Spoken) -> dict[str, Any]:
    """Words alone are one text: not every server takes lists of parts."""
    texts = [part for part in said.parts if isinstance(part, str)]
    role = "user" if said.is_customer else "assistant"
    if len(texts) == len(said.parts):
        return {"role": role, "content": "\n\n".join(texts)}
    return {"role": role, "content": [_part(part) for part in said.parts]}


def _part(part: str | MediaPart) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = base64.b64encode(part.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{essence(part.mime_type)};base64,{data}"}}


def _said(ask: Ask, completion: wire.Completion) -> Said:
    choice = completion.choices[0] if completion.choices else wire.Choice()
    ending = _ENDINGS.get(choice.finish_reason or "", Ending.WHOLE)
    if choice.message.refusal:
        ending = Ending.BLOCKED
    return Said(text=completion.text, model=completion.model or ask.model, ending=ending, usage=completion.tokens)
