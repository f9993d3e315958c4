"""What every embedder keeps: a vector of length 1 for each text, in order, and the same one for the same text."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from inbox.adapters.llm.fake_embedder import FakeEmbedder
from inbox.adapters.llm.gemini.embedder import GeminiEmbedder
from inbox.adapters.llm.openai.client import Dialect
from inbox.adapters.llm.openai.embedder import OpenAiEmbedder
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent
from inbox.kit.http import ApiClient
from inbox.kit.resilience import Guard, Policy
from inbox.ports.llm import Embedder

from .model_side import KEY, EmulatedSide
from .trust import certificates

SIZE = 128

Start = Callable[..., Embedder]


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


class EmbedderCases:
    async def test_each_text_has_its_vector_in_order(self, embedder: Embedder) -> None:
        texts = [f"Le produit numéro {n} coûte {n} euros" for n in range(101)]
        vectors = await embedder.embed(texts)
        assert len(vectors) == 101
        assert all(len(vector) == embedder.dimensions == SIZE for vector in vectors)
        assert all(math.isclose(alike(vector, vector), 1.0, rel_tol=1e-6) for vector in vectors)
        assert (await embedder.embed(texts[-1:]))[0] == pytest.approx(vectors[-1])
        assert embedder.model

    async def test_texts_that_share_words_are_nearer_than_others(self, embedder: Embedder) -> None:
        (question,) = await embedder.embed(["livraison gratuite délai"], purpose="query")
        near, far = await embedder.embed(["Le délai de livraison gratuite", "Nos bureaux ferment dimanche"])
        assert alike(question, near) > alike(question, far) + 0.1

    async def test_nothing_costs_nothing_and_an_empty_text_is_one(self, embedder: Embedder) -> None:
        assert await embedder.embed([]) == []
        assert len(await embedder.embed(["", "x"])) == 2


@pytest.fixture
async def client() -> AsyncIterator[Callable[[str], ApiClient]]:
    async with AsyncExitStack() as stack:

        def start(url: str) -> ApiClient:
            api = ApiClient("embeddings", url, tls=certificates())
            stack.push_async_callback(api.aclose)
            return api

        yield start


def guard() -> Guard:
    return Guard("embeddings", Policy(total=5, attempt=2, attempts=3, wait_initial=0.01, wait_max=0.02))


class VendorCases(EmbedderCases):
    async def test_a_stumble_is_tried_again_and_our_fault_is_not(
        self, side: EmulatedSide, embedder: Embedder, start: Start
    ) -> None:
        await side.call("POST", "/faults", {"action": "http_error", "status": 503, "kind": "embed", "count": 2})
        assert len(await embedder.embed(["x"])) == 1
        await side.call("POST", "/faults", {"action": "garbage", "kind": "embed", "count": 3})
        with pytest.raises(ModelFailed):
            await embedder.embed(["x"])
        for wiring in ({"api_key": "wrong"}, {"model": "of-the-past"}):
            with pytest.raises(ModelRefused):
                await start(**wiring).embed(["x"])

    async def test_vectors_of_another_size_are_none(self, side: EmulatedSide, start: Start) -> None:
        body = {"embeddings": [{"values": [1.0]}], "data": [{"index": 0, "embedding": [1.0]}]}
        rule = {"action": "http_error", "status": 200, "body": body, "kind": "embed", "count": 1}
        await side.call("POST", "/faults", rule)
        with pytest.raises(ModelSilent):
            await start().embed(["x"])


class TestFakeEmbedder(EmbedderCases):
    @pytest.fixture
    def embedder(self) -> FakeEmbedder:
        return FakeEmbedder(SIZE)


class TestGeminiEmbedder(VendorCases):
    @pytest.fixture
    def side(self, gemini: EmulatedSide) -> EmulatedSide:
        return gemini

    @pytest.fixture
    def start(self, side: EmulatedSide, client: Callable[[str], ApiClient]) -> Start:
        def started(**wiring: Any) -> Embedder:  # noqa: ANN401
            given = {"api_key": KEY, "model": "gemini-embedding-2", "dimensions": SIZE, **wiring}
            return GeminiEmbedder(client(side.url), guard(), **given)

        return started

    @pytest.fixture(params=["gemini-embedding-2", "gemini-embedding-001"])
    def embedder(self, start: Start, request: pytest.FixtureRequest) -> Embedder:
        return start(model=request.param)


class TestOpenAiEmbedder(VendorCases):
    @pytest.fixture
    def side(self, openai: EmulatedSide) -> EmulatedSide:
        return openai

    @pytest.fixture
    def start(self, side: EmulatedSide, client: Callable[[str], ApiClient]) -> Start:
        def started(**wiring: Any) -> Embedder:  # noqa: ANN401
            given = {"api_key": KEY, "model": "emulated-embedding", "dimensions": SIZE, **wiring}
            return OpenAiEmbedder(client(side.url), guard(), dialect=Dialect(), **given)

        return started

    @pytest.fixture
    def embedder(self, start: Start) -> Embedder:
        return start()
