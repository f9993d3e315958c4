"""Which model the settings lead to, and what bounds its calls."""

import pytest
from dishka import AsyncContainer, Provider, Scope, make_async_container, provide

from builders import NOWHERE, SEALER
from inbox.adapters.llm.absent import NoAssistant
from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.adapters.llm.gemini.embedder import GeminiEmbedder
from inbox.adapters.llm.openai.client import OpenAiAssistant
from inbox.adapters.llm.openai.embedder import OpenAiEmbedder
from inbox.domain.model_usage import Usage
from inbox.kit.breaker import Breakers
from inbox.kit.gauges import Gauges
from inbox.main.llm_settings import circuit_of, prices_of
from inbox.main.models import Models
from inbox.main.runtime import Runtime
from inbox.main.settings import load
from inbox.main.upstreams import Upstreams, circuits
from inbox.ports.llm import Assistant, Embedder

GEMINI = {"INBOX_GEMINI_API_KEY": "AQ.x"}
OPENAI = {"INBOX_LLM_VENDOR": "openai", "INBOX_OPENAI_MODEL": "llama3.1:8b"}
VECTORS = {"INBOX_LLM_EMBEDDING_MODEL": "vectors-1", "INBOX_LLM_EMBEDDING_DIMENSIONS": "128"}


def upstreams(environ: dict[str, str]) -> Upstreams:
    settings = load(environ)
    return Upstreams(settings, Breakers(circuits(settings)), lambda _: None, Gauges())


def wired(environ: dict[str, str]) -> AsyncContainer:
    class Given(Provider):
        scope = Scope.APP

        @provide
        def runtime(self) -> Runtime:
            return Runtime(
                settings=load(environ), database_url="", sealer=SEALER, token_secrets=(b"t",), data_dir=NOWHERE
            )

        @provide
        def upstreams(self) -> Upstreams:
            return upstreams(environ)

    return make_async_container(Given(), Models())


@pytest.mark.parametrize(
    ("environ", "assistant", "embedder"),
    [
        ({}, NoAssistant, type(None)),
        (VECTORS, NoAssistant, type(None)),
        (GEMINI, GeminiAssistant, type(None)),
        (GEMINI | VECTORS, GeminiAssistant, GeminiEmbedder),
        (GEMINI | VECTORS | {"INBOX_LLM_VENDOR": "none"}, NoAssistant, type(None)),
        (GEMINI | OPENAI, OpenAiAssistant, type(None)),
        (OPENAI | VECTORS, OpenAiAssistant, OpenAiEmbedder),
    ],
    ids=["nothing", "vectors alone", "a key", "gemini", "switched off", "openai before a key", "openai"],
)
async def test_the_settings_lead_to_a_vendor(environ, assistant, embedder):
    container = wired(environ)
    try:
        assert type(await container.get(Assistant)) is assistant
        found = await container.get(Embedder | None)
        assert type(found) is embedder
        assert found is None or (found.model, found.dimensions) == ("vectors-1", 128)
    finally:
        await container.close()


async def test_files_are_read_only_where_the_settings_allow_it():
    async def reads(environ):
        container = wired(environ)
        assistant = await container.get(Assistant)
        await container.close()
        return [assistant.reads(kind) for kind in ("image/jpeg", "audio/ogg; codecs=opus")]

    images = {"INBOX_OPENAI_READS_IMAGES": "true"}
    off = {"INBOX_LLM_READS_MEDIA": "false"}
    assert await reads(GEMINI) == [True, True]
    assert await reads(GEMINI | off) == [False, False]
    assert await reads(OPENAI) == [False, False]
    assert await reads(OPENAI | images) == [True, False]
    assert await reads(OPENAI | images | off) == [False, False]
    assert await reads({}) == [False, False]


def test_the_circuit_has_the_name_of_its_vendor():
    assert circuits(load({}))[0].name == circuit_of(load({}).llm) == "gemini"
    given = load(OPENAI | {"INBOX_BREAKER_OPENAI_THRESHOLD": "9"})
    first = circuits(given)[0]
    assert (first.name, first.shown_as, first.threshold) == ("openai", "openai_api", 9)


def test_tries_end_with_the_third_and_a_first_model_leaves_time_to_the_second():
    alone = upstreams(GEMINI | {"INBOX_OUTGOING_ATTEMPTS": "9"}).gemini_guard().policy
    assert (alone.attempts, alone.total, alone.attempt) == (3, 15.0, 12.0)
    two = upstreams(OPENAI | {"INBOX_LLM_FALLBACK_MODEL": "b"}).openai_guard().policy
    assert (two.attempts, two.total, two.attempt) == (3, 15.0, 9.0)
    once = OPENAI | {"INBOX_LLM_FALLBACK_MODEL": "b", "INBOX_OUTGOING_ATTEMPTS": "1"}
    assert upstreams(once).openai_guard().policy.attempts == 2


def test_prices_are_read_as_they_are_written():
    prices = prices_of(load({"INBOX_LLM_PRICES": "a/b:1=1.5/2, c=1/2/0.5", "INBOX_LLM_CURRENCY": "EUR"}).llm)
    assert prices.currency == "EUR"
    assert prices.cost(Usage(input=4, cached=4), "a/b:1") == 6
    assert prices.cost(Usage(input=4, cached=4), "c") == 2
    assert prices_of(load({}).llm).cost(Usage(output=1_000_000), "gemini-3.5-flash-lite") == 2_500_000
