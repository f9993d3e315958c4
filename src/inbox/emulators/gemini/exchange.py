"""One request from its arrival to its answer, in the vendor's order of checks, noted in the ledger."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from inbox.emulators.faults import FaultRule, RequestFacts
from inbox.emulators.gemini import validation
from inbox.emulators.gemini.decoding import decode
from inbox.emulators.gemini.embeddings import embed
from inbox.emulators.gemini.emulator import Credentials, GeminiEmulator, digest
from inbox.emulators.gemini.errors import ApiError, invalid, unknown_model
from inbox.emulators.gemini.knobs import KNOBS, knob_of, refusal, rule_from
from inbox.emulators.gemini.models import ModelSpec
from inbox.emulators.gemini.request import Json, estimate
from inbox.emulators.gemini.sending import (
    GARBAGE,
    HTML,
    HTML_502,
    Answer,
    AnyRequest,
    error_answer,
    hang,
    json_answer,
    reset,
    streamed,
    wait,
    whole,
)

KINDS: Final[Mapping[str, str]] = {
    "generateContent": "generate",
    "streamGenerateContent": "stream",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
FAULT_HEADER: Final = "x-emu-fault"
_FRONT_END: Final[Mapping[str, Callable[[], Answer]]] = {
    "html_502": lambda: Answer(HTML_502, status=502, media_type=HTML),
    "garbage": lambda: Answer(GARBAGE),
}


class Exchange:
    """Checks 1 to 6 are the same for every method; then each method reads its own body."""

    def __init__(self, emulator: GeminiEmulator, request: AnyRequest, model: str, method: str) -> None:
        self._emulator = emulator
        self._request = request
        self._model = model
        self._method = method
        self._kind = KINDS.get(method, "models")
        self._fault: FaultRule | None = None
        self._noted: dict[str, Any] = {}

    async def answer(self) -> Answer:
        try:
            self._fault = self._armed()
            answer = await self._faulty() or await self._served()
        except ApiError as error:
            self._note(error.code, error=error.status)
            return error_answer(error, self._fault.headers if self._fault else None)
        self._note(answer.status)
        return answer

    def _armed(self) -> FaultRule | None:
        """The fault of this request: its own header's knob, else the first armed rule that fits."""
        named = self._request.headers.get(FAULT_HEADER)
        if named is not None:
            if named not in KNOBS:
                raise invalid(f"{FAULT_HEADER}: unknown knob")
            return rule_from({"knob": named})
        facts = RequestFacts(
            kind=self._kind,
            method=self._request.method,
            path=self._request.scope["path"],
            to=self._model,
            type=self._method,
        )
        return self._emulator.faults.pick(facts)

    async def _faulty(self) -> Answer | None:
        """What a fault answers before anything is looked at; None when the request may go on."""
        fault = self._fault
        if fault is None:
            return None
        await wait(self._request, fault.delay)
        knob = knob_of(fault)
        if knob == "timeout":
            await hang(self._request, self._emulator.config.longest_wait)
        if knob in ("timeout", "connection_reset"):
            return reset(self._request)
        if knob == "http_error" and fault.body is not None:
            return Answer(bytes(fault.body), status=fault.status, headers=fault.headers)
        error = refusal(fault, self._model)
        if error is not None:
            raise error
        return _FRONT_END[knob]() if knob in _FRONT_END else None

    async def _served(self) -> Answer:
        request, emulator = self._request, self._emulator
        emulator.check_credentials(
            Credentials(
                header=request.headers.get("x-goog-api-key", ""),
                query=request.query_params.get("key", ""),
                authorization=request.headers.get("authorization", ""),
            )
        )
        if not self._model:
            return json_answer(self._page())
        if request.method == "GET":
            return json_answer(self._described().describe())
        return await self._called(emulator.model(self._model, self._method), await request.body())

    async def _called(self, model: ModelSpec, raw: bytes) -> Answer:
        match self._method:
            case "generateContent":
                return await self._generate(model, raw)
            case "streamGenerateContent":
                return await self._stream(model, raw)
            case "countTokens":
                return json_answer(self._count(model, raw))
            case "embedContent":
                return json_answer(self._embed(model, raw))
            case _:
                return json_answer(self._embed_batch(model, raw))

    def _described(self) -> ModelSpec:
        model = self._emulator.models.get(self._model)
        if model is None:
            raise unknown_model(self._model, "generateContent")
        return model

    def _page(self) -> Json:
        """`models.list`: `pageSize` 50 unless told, 1000 at most; `pageToken` is the number of models seen."""
        size = _natural(self._request.query_params.get("pageSize"), 50)
        start = _natural(self._request.query_params.get("pageToken"), 0)
        models = self._emulator.config.models
        end = start + min(size or 50, 1000)
        page: Json = {"models": [model.describe() for model in models[start:end]]}
        if end < len(models):
            page["nextPageToken"] = str(end)
        return page

    async def _generate(self, model: ModelSpec, raw: bytes) -> Answer:
        generation = self._emulator.read(model, raw)
        self._noted = {"prompt_tokens": generation.prompt_tokens, "customer": digest(generation.customer_text)}
        await wait(self._request, self._emulator.config.latency)
        response = self._emulator.generate(generation, self._fault)
        return whole(self._request, response, self._fault)

    async def _stream(self, model: ModelSpec, raw: bytes) -> Answer:
        generation = self._emulator.read(model, raw)
        self._noted = {"prompt_tokens": generation.prompt_tokens, "customer": digest(generation.customer_text)}
        await wait(self._request, self._emulator.config.latency)
        response = self._emulator.generate(generation, self._fault, streamed=True)

        def closed(sent: int, finished: bool) -> None:  # noqa: FBT001 - the two facts of a stream's end
            self._emulator.ledger.add("stream_end", model=model.id, pieces=sent, whole=finished)

        as_events = self._request.query_params.get("alt") == "sse"
        return streamed(self._request, self._emulator.pieces(response), self._fault, closed, as_events=as_events)

    def _count(self, model: ModelSpec, raw: bytes) -> Json:
        body = decode(raw, "CountTokensRequest")
        if "contents" in body and "generateContentRequest" in body:
            raise invalid("Only one of contents and generate_content_request can be set.")
        counted = body.get("generateContentRequest", body)
        validation.check_contents(counted, "CountTokensRequest")
        tokens = estimate(counted)
        self._noted = {"prompt_tokens": tokens, "for": model.id}
        return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}

    def _embed(self, model: ModelSpec, raw: bytes) -> Json:
        body = decode(raw, "EmbedContentRequest")
        return {"embedding": {"values": embed(model, body, self._emulator.config.seed)}} | _usage([body])

    def _embed_batch(self, model: ModelSpec, raw: bytes) -> Json:
        requests = decode(raw, "BatchEmbedContentsRequest").get("requests") or []
        if not requests:
            raise invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n")
        if len(requests) > validation.MAX_BATCH:
            raise invalid("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n")
        if any(request.get("model") != f"models/{model.id}" for request in requests):
            raise invalid("* BatchEmbedContentsRequest.requests.model: must match the model of the path\n")
        vectors = [{"values": embed(model, request, self._emulator.config.seed)} for request in requests]
        self._noted = {"requests": len(requests)}
        return {"embeddings": vectors} | _usage(requests)

    def _note(self, status: int, **more: object) -> None:
        """One entry per request: never a body, never a key."""
        fault = {"fault": knob_of(self._fault)} if self._fault else {}
        self._emulator.ledger.add(
            self._kind, model=self._model, method=self._method, status=status, **fault, **self._noted, **more
        )


def _usage(requests: list[Json]) -> Json:
    tokens = sum(estimate({"contents": [request["content"]]}) for request in requests)
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return {"usageMetadata": {"promptTokenCount": tokens, "promptTokenDetails": details}}


def _natural(given: str | None, otherwise: int) -> int:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) <= 9 else otherwise  # noqa: PLR2004
