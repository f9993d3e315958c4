"""The state of one OpenAI-compatible emulator, and the way of a request from its arrival to its answer."""

import asyncio
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.faults import Action, FaultRule, Faults, RequestFacts
from inbox.emulators.gemini.sending import DRIP_PIECES, GARBAGE, HTML, HTML_502, Answer, AnyRequest, pretty, reset
from inbox.emulators.ledger import Ledger
from inbox.emulators.openai import answers
from inbox.emulators.openai.answers import Json, Scripted
from inbox.emulators.openai.checks import check_chat
from inbox.emulators.openai.config import OpenAiConfig
from inbox.emulators.openai.errors import ApiError, bad_key, invalid, unknown_model
from inbox.emulators.openai.knobs import knob_of, refusal

_JSON: Final = "application/json"
_MOST_INPUTS: Final = 100
_LARGEST: Final = 3072
_INTERVAL: Final = 0.05
_FRONT_END: Final[Mapping[str, Callable[[], Answer]]] = {
    "html_502": lambda: Answer(HTML_502, status=502, media_type=HTML),
    "garbage": lambda: Answer(GARBAGE, media_type=_JSON),
}


class _Named(msgspec.Struct):
    model: str = ""


class OpenAiEmulator:
    """Everything a test can change; nothing here does I/O besides the ledger's file."""

    def __init__(self, config: OpenAiConfig) -> None:
        self.config = config
        self.ledger = Ledger(config.ledger_path, capacity=config.ledger_capacity)
        self.faults = Faults(config.seed)
        self.script: deque[Scripted] = deque(maxlen=config.max_scripted)

    def reset(self) -> None:
        self.faults = Faults(self.config.seed)
        self.script.clear()
        self.ledger.clear()

    async def answer(self, request: AnyRequest, kind: str) -> Answer:
        """`kind` is `generate`, `embed` or `models`. One entry of the ledger: never a body, never a key."""
        body = await request.body()
        model = _model_of(body)
        facts = RequestFacts(kind=kind, method=request.method, path=request.scope["path"], to=model)
        fault = self.faults.pick(facts)
        try:
            answer = await self._faulty(request, fault) or self._served(request, kind, body, fault)
        except ApiError as error:
            self.ledger.add(kind, model=model, status=error.status)
            return Answer(msgspec.json.encode(error.body), status=error.status, media_type=_JSON, headers=error.headers)
        self.ledger.add(kind, model=model, status=answer.status)
        return answer

    async def _faulty(self, request: AnyRequest, fault: FaultRule | None) -> Answer | None:
        """What a fault answers before anything is looked at; None when the request may go on."""
        if fault is None:
            return None
        await asyncio.sleep(fault.delay)
        if fault.action is Action.HTTP_ERROR and fault.body is not None:
            return Answer(bytes(fault.body), status=fault.status, media_type=_JSON, headers=fault.headers)
        if (error := refusal(fault)) is not None:
            raise error
        knob = knob_of(fault)
        if knob == "timeout":
            await _hang(request, self.config.longest_wait)
        if knob in ("timeout", "connection_reset"):
            return reset(request)
        return _FRONT_END[knob]() if knob in _FRONT_END else None

    def _served(self, request: AnyRequest, kind: str, raw: bytes, fault: FaultRule | None) -> Answer:
        self._check_key(request.headers.get(self.config.key_header, ""))
        if kind == "models":
            listed = [{"id": name, "object": "model"} for name in self.config.models + self.config.embedding_models]
            return _answered({"object": "list", "data": listed})
        body = _decoded(raw)
        if kind == "embed":
            return _answered(self._embedded(body))
        check_chat(self.config, body)
        return _sent(self._said(body, fault), fault)

    def _check_key(self, given: str) -> None:
        if not self.config.api_keys:
            return
        prefix = "Bearer " if self.config.key_header == "authorization" else ""
        known = [hmac.compare_digest(given.encode(), f"{prefix}{key}".encode()) for key in self.config.api_keys]
        if not any(known):
            raise bad_key()

    def _said(self, body: Json, fault: FaultRule | None) -> Json:
        thought = self.config.reasoning_tokens
        found = answers.spoiled(body, knob_of(fault), thought) if fault else None
        if found is not None:
            return found
        if self.script:
            first = self.script.popleft()
            if first.times > 1:
                self.script.appendleft(msgspec.structs.replace(first, times=first.times - 1))
            text = first.written()
            return answers.completion(
                body, text, reasoning=thought, finish=first.finish_reason, cached=first.cached_tokens
            )
        return answers.completion(body, answers.by_rule(body), reasoning=thought)

    def _embedded(self, body: Json) -> Json:
        model, inputs, size = body.get("model"), body.get("input"), body.get("dimensions", _LARGEST)
        if model not in self.config.embedding_models:
            raise unknown_model(str(model))
        if not isinstance(inputs, list) or not 0 < len(inputs) <= _MOST_INPUTS or not all(inputs):
            raise invalid("'$.input' is invalid.", param="input")
        if not isinstance(size, int) or not 0 < size <= _LARGEST:
            raise invalid("'$.dimensions' is invalid.", param="dimensions")
        vectors = [answers.embed(text, size, str(self.config.seed)) for text in inputs]
        data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
        # The order is nobody's promise: the index is.
        return {"object": "list", "model": model, "data": data[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _model_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Named).model
    except (msgspec.DecodeError, RecursionError):
        return ""


def _decoded(raw: bytes) -> Json:
    try:
        return msgspec.json.decode(raw, type=Json)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid("We could not parse the JSON body of your request.") from error


def _answered(value: object) -> Answer:
    return Answer(msgspec.json.encode(value), media_type=_JSON)


def _sent(response: Json, fault: FaultRule | None) -> Answer:
    body = pretty(response)
    if fault is not None and fault.action is Action.TRUNCATED_JSON:
        return Answer(body[: len(body) * 2 // 3], media_type=_JSON)
    if fault is not None and fault.action is Action.DRIP:
        return Answer(_drip(body, fault.options), media_type=_JSON)
    return Answer(body, media_type=_JSON)


async def _drip(body: bytes, options: dict[str, Any]) -> Any:  # noqa: ANN401 - an async generator
    step = max(1, -(-len(body) // int(options.get("pieces", DRIP_PIECES))))
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(float(options.get("interval", _INTERVAL)))


async def _hang(request: AnyRequest, longest: float) -> None:
    try:
        async with asyncio.timeout(longest):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
