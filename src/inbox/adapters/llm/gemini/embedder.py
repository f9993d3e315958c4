"""Vectors of Gemini's embedding models."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import msgspec

from inbox.adapters.llm.gemini import wire
from inbox.adapters.llm.gemini.errors import failure, refusal
from inbox.adapters.llm.vectors import batches, checked
from inbox.domain.upstream_errors import ModelFailed, ModelTimeout
from inbox.kit.http import ApiClient, CallFailed
from inbox.kit.resilience import Guard


class GeminiEmbedder:
    """`batchEmbedContents`, one content for each text: several parts of one would become one vector."""

    def __init__(self, api: ApiClient, guard: Guard, *, api_key: str, model: str, dimensions: int) -> None:
        self._api = api
        self._guard = guard
        self._headers = {"x-goog-api-key": api_key, "content-type": "application/json"}
        self._model = model
        self._dimensions = dimensions

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(
        self, texts: Sequence[str], *, purpose: Literal["query", "document"] = "document"
    ) -> list[list[float]]:
        found: list[list[float]] = []
        for batch in batches(texts):
            body = msgspec.json.encode({"requests": [self._request(text, purpose) for text in batch]})
            vectors = await self._guard.call(partial(self._once, body), on_timeout=_timed_out)
            found += checked(vectors, count=len(batch), dimensions=self._dimensions)
        return found

    async def _once(self, body: bytes) -> list[list[float]]:
        path = f"/v1beta/models/{self._model}:batchEmbedContents"
        try:
            reply = await self._api.call("POST", path, headers=self._headers, content=body)
        except CallFailed as failed:
            raise failure(failed) from failed
        if reply.status != 200:  # noqa: PLR2004
            raise refusal(reply.status, reply.headers, reply.body)
        try:
            answer = msgspec.json.decode(reply.body, type=wire.EmbedAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelFailed("Gemini's vectors are not readable.") from error
        return [vector.values for vector in answer.embeddings]

    def _request(self, text: str, purpose: str) -> dict[str, Any]:
        request: dict[str, Any] = {"model": f"models/{self._model}", "outputDimensionality": self._dimensions}
        if self._model.endswith("-001"):
            # The first generation is told apart from the text what it is for.
            request["taskType"] = "RETRIEVAL_QUERY" if purpose == "query" else "RETRIEVAL_DOCUMENT"
            said = text
        else:
            said = f"task: search result | query: {text}" if purpose == "query" else f"title: none | text: {text}"
        return {**request, "content": {"parts": [{"text": said}]}}


def _timed_out() -> ModelTimeout:
    return ModelTimeout("Gemini did not give its vectors in time.")
