"""The JSON of OpenAI's chat completions, tolerantly: a dozen vendors speak it, each with an accent."""

from typing import Any

import msgspec
from msgspec import Struct

from inbox.adapters.llm.schemas import schema_of
from inbox.domain.model_usage import Usage


class TextPart(Struct, frozen=True):
    text: str | None = None


class Message(Struct, frozen=True):
    content: str | list[TextPart] | None = None
    refusal: str | None = None


class Choice(Struct, frozen=True):
    message: Message = Message()
    finish_reason: str | None = None


class PromptDetails(Struct, frozen=True):
    cached_tokens: int | None = None


class UsageCounts(Struct, frozen=True):
    """Reasoning is a part of `completion_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Completion(Struct, frozen=True):
    choices: list[Choice] = []
    model: str | None = None
    usage: UsageCounts | None = None

    @property
    def text(self) -> str:
        content = self.choices[0].message.content if self.choices else None
        if isinstance(content, list):
            return "".join(part.text or "" for part in content)
        return content or ""

    @property
    def tokens(self) -> Usage:
        counted = self.usage or UsageCounts()
        details = counted.prompt_tokens_details or PromptDetails()
        return Usage(input=counted.prompt_tokens, output=counted.completion_tokens, cached=details.cached_tokens or 0)


class Embedding(Struct, frozen=True):
    embedding: list[float]
    index: int = 0


class Embeddings(Struct, frozen=True):
    data: list[Embedding] = []


class Problem(Struct, frozen=True):
    """What an error says of itself, for people and for programs."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None
    status: str | None = None

    @property
    def word(self) -> str:
        return str(self.code or self.status or self.type or "no reason")[:100]


class _ErrorAnswer(Struct, frozen=True):
    error: Problem | str


def problem_of(body: bytes) -> Problem:
    """Some wrap the error in a list, some say it in one string, and a proxy sends a page."""
    try:
        found = msgspec.json.decode(body, type=_ErrorAnswer | list[_ErrorAnswer])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Problem()
    first = (found[0] if found else None) if isinstance(found, list) else found
    if first is None:
        return Problem()
    return Problem(message=first.error) if isinstance(first.error, str) else first.error


def schema_for(kind: type[Struct]) -> dict[str, Any]:
    """The JSON schema of `kind` as strict servers want it: every property is required, and shapes are all there is."""
    return _required(schema_of(kind, bounds=()))


def _required(schema: dict[str, Any]) -> dict[str, Any]:
    strict = {**schema, "required": list(schema["properties"])} if "properties" in schema else dict(schema)
    if "$defs" in strict:
        strict["$defs"] = {name: _required(inner) for name, inner in strict["$defs"].items()}
    return strict
