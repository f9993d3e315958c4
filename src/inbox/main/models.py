"""Which language model answers, and which one makes vectors: wiring of the vendor that the settings name."""

from collections.abc import AsyncIterator

from dishka import Provider, Scope, provide

from inbox.adapters.llm.absent import NoAssistant
from inbox.adapters.llm.answering import Defaults
from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.adapters.llm.gemini.embedder import GeminiEmbedder
from inbox.adapters.llm.openai.client import Dialect, OpenAiAssistant
from inbox.adapters.llm.openai.embedder import OpenAiEmbedder
from inbox.main.llm_settings import Llm, OpenAi, prices_of, vendor_of
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.upstreams import Upstreams
from inbox.ports.llm import Assistant, Embedder


class Models(Provider):
    """The assistant, and the embedder where a model for it is named."""

    scope = Scope.APP

    @provide
    async def assistant(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[Assistant]:
        settings = runtime.settings
        llm, gemini, openai = settings.llm, settings.gemini, settings.openai
        vendor = vendor_of(llm, gemini)
        if vendor == "gemini" and gemini.api_key is not None:
            api = upstreams.gemini_client()
            yield GeminiAssistant(
                api,
                upstreams.gemini_guard(),
                api_key=gemini.api_key.reveal(),
                defaults=_defaults(llm, gemini.model),
                reads_media=llm.reads_media,
            )
            await api.aclose()
        elif vendor == "openai" and openai.model is not None:
            api = upstreams.openai_client()
            yield OpenAiAssistant(
                api,
                upstreams.openai_guard(),
                api_key=_revealed(openai.api_key),
                defaults=_defaults(llm, openai.model),
                dialect=_dialect(llm, openai),
            )
            await api.aclose()
        else:
            yield NoAssistant()

    @provide
    async def embedder(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[Embedder | None]:
        """None without a model for vectors: articles are then found by their words alone."""
        settings = runtime.settings
        llm, gemini, openai = settings.llm, settings.gemini, settings.openai
        vendor, size = vendor_of(llm, gemini), llm.embedding_dimensions
        if llm.embedding_model is None:
            yield None
        elif vendor == "gemini" and gemini.api_key is not None:
            api = upstreams.embeddings_client("gemini")
            key = gemini.api_key.reveal()
            guard = upstreams.embeddings_guard("gemini")
            yield GeminiEmbedder(api, guard, api_key=key, model=llm.embedding_model, dimensions=size)
            await api.aclose()
        elif vendor == "openai":
            api = upstreams.embeddings_client("openai")
            yield OpenAiEmbedder(
                api,
                upstreams.embeddings_guard("openai"),
                api_key=_revealed(openai.api_key),
                model=llm.embedding_model,
                dimensions=size,
                dialect=_dialect(llm, openai),
            )
            await api.aclose()
        else:
            yield None


def _defaults(llm: Llm, model: str) -> Defaults:
    return Defaults(
        model=model,
        fallback_model=llm.fallback_model,
        temperature=llm.temperature,
        max_output_tokens=llm.max_output_tokens,
        thinking_tokens=llm.thinking_tokens,
        safety=llm.safety,
        prices=prices_of(llm),
    )


def _dialect(llm: Llm, openai: OpenAi) -> Dialect:
    return Dialect(
        json_mode=openai.json_mode,
        tokens_field=openai.tokens_field,
        reasoning_effort=openai.reasoning_effort,
        reads_images=llm.reads_media and openai.reads_images,
        key_header=openai.key_header,
    )


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
