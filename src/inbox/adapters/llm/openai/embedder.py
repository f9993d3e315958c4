"""Vectors of OpenAI-compatible servers."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec

from inbox.adapters.llm.openai import wire
from inbox.adapters.llm.openai.client import Dialect
from inbox.adapters.llm.openai.errors import failure, refusal
from inbox.adapters.llm.vectors import batches, checked
from inbox.domain.upstream_errors import ModelFailed, ModelTimeout
from inbox.kit.http import ApiClient, CallFailed
from inbox.kit.resilience import Guard


class OpenAiEmbedder:
    """`embeddings`. Questions and documents are embedded alike: the protocol has no word for the difference."""

    def __init__(
        self, api: ApiClient, guard: Guard, *, api_key: str | None, model: str, dimensions: int, dialect: Dialect
    ) -> None:
        self._api = api
        self._guard = guard
        self._headers = dialect.headers(api_key)
        self._model = model
        self._dimensions = dimensions

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: Literal["query", "document"] = "document",  # noqa: ARG002
    ) -> list[list[float]]:
        found: list[list[float]] = []
        for batch in batches(texts):
            # An empty text is refused, and all others with it.
            inputs = [text or " " for text in batch]
            body = {"model": self._model, "input": inputs, "dimensions": self._dimensions}
            once = partial(self._once, msgspec.json.encode(body))
            vectors = await self._guard.call(once, on_timeout=_timed_out)
            found += checked(vectors, count=len(batch), dimensions=self._dimensions)
        return found

    async def _once(self, body: bytes) -> list[list[float]]:
        try:
            reply = await self._api.call("POST", "embeddings", headers=self._headers, content=body)
        except CallFailed as failed:
            raise failure(failed) from failed
        if reply.status != 200:  # noqa: PLR2004
            raise refusal(reply)
        try:
            answer = msgspec.json.decode(reply.body, type=wire.Embeddings)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelFailed("The vectors are not readable.") from error
        return [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]


def _timed_out() -> ModelTimeout:
    return ModelTimeout("The model did not give its vectors in time.")
