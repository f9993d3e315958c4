"""The language model: which vendor serves it, how it is asked, and what it costs."""

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from inbox.domain.model_usage import Price, Prices
from inbox.main.secret import Secret
from inbox.ports.llm import Safety

_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_WebUrl = Annotated[str, Meta(pattern=r"^https?://[^\s?#@]+$")]
_GEMINI_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_GeminiModel = Annotated[str, Meta(pattern=_GEMINI_NAME.pattern)]
_Model = Annotated[str, Meta(pattern=r"^[^\s,=]{1,100}$")]
_Priced = Annotated[str, Meta(pattern=r"^[^\s,=]{1,100}=\d+(\.\d+)?/\d+(\.\d+)?(/\d+(\.\d+)?)?$")]
"""`model=input/output/cached`."""

Vendor = Literal["gemini", "openai", "none"]


class Llm(Struct, frozen=True, forbid_unknown_fields=True):
    """The language model, whoever serves it."""

    vendor: Vendor | None = None
    """None is `gemini` if that has a key, else `none`."""
    fallback_model: _Model | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=256, le=65_536)] = 2048
    thinking_tokens: Annotated[int, Meta(ge=0, le=32_768)] = 0
    safety: Safety = Safety.HIGH
    reads_media: bool = True
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] = "USD"
    prices: tuple[_Priced, ...] = (
        "gemini-3.5-flash-lite=0.30/2.50/0.03",
        "gemini-3.8-flash=0.75/3.75/0.075",
        "gemini-4-hydrogen=1.50/7.50/0.075",
    )
    embedding_model: _Model | None = None
    embedding_dimensions: Annotated[int, Meta(ge=64, le=3072)] = 768


class Gemini(Struct, frozen=True, forbid_unknown_fields=True):
    """Google's Gemini API."""

    url: _WebUrl = "https://generativelanguage.googleapis.com"
    api_key: Secret | None = None
    model: _GeminiModel = "gemini-3.5-flash-lite"
    connect_timeout: _Seconds = 3.0
    read_timeout: _Seconds = 12.0
    total_timeout: _Seconds = 15.0


class OpenAi(Struct, frozen=True, forbid_unknown_fields=True):
    """Any server that speaks OpenAI's chat completions."""

    url: _WebUrl = "https://api.openai.com/v1"
    api_key: Secret | None = None
    key_header: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")] = "authorization"
    model: _Model | None = None
    json_mode: Literal["json_schema", "json_object"] = "json_schema"
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    reasoning_effort: bool = False
    reads_images: bool = False
    connect_timeout: _Seconds = 3.0
    read_timeout: _Seconds = 12.0
    total_timeout: _Seconds = 15.0


def vendor_of(llm: Llm, gemini: Gemini) -> Vendor:
    if llm.vendor is not None:
        return llm.vendor
    return "gemini" if gemini.api_key is not None else "none"


def circuit_of(llm: Llm) -> str:
    """The name of the model's circuit, and of its dependency in `/health`."""
    return "openai" if llm.vendor == "openai" else "gemini"


def prices_of(llm: Llm) -> Prices:
    return Prices(currency=llm.currency, table=dict(map(_price, llm.prices)))


def missing(llm: Llm, gemini: Gemini, openai: OpenAi) -> str | None:
    """What the chosen vendor lacks, in words with the remedy."""
    return next(_lacks(llm, gemini, openai), None)


def _lacks(llm: Llm, gemini: Gemini, openai: OpenAi) -> Iterator[str]:
    needs = "INBOX_LLM_VENDOR, setting llm.vendor:"
    if llm.vendor == "gemini" and gemini.api_key is None:
        yield f"{needs} gemini needs INBOX_GEMINI_API_KEY (also GEMINI_API_KEY). Set it, or another vendor."
    if vendor_of(llm, gemini) == "gemini":
        named = {"FALLBACK_MODEL": llm.fallback_model, "EMBEDDING_MODEL": llm.embedding_model}
        for field, model in named.items():
            if model is not None and not _GEMINI_NAME.fullmatch(model):
                yield f"INBOX_LLM_{field}, setting llm.{field.lower()}: models of Gemini look like gemini-3.8-flash."
    if llm.vendor == "openai" and openai.model is None:
        yield f"{needs} openai needs INBOX_OPENAI_MODEL. Set it, or another vendor."


def _price(text: str) -> tuple[str, Price]:
    model, _, figures = text.partition("=")
    of_input, of_output, *of_cached = map(float, figures.split("/"))
    return model, Price(input=of_input, output=of_output, cached=of_cached[0] if of_cached else None)
