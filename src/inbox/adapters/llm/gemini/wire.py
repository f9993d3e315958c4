"""Gemini's JSON (`generateContent`, v1beta), tolerantly: any member may be missing, any enum may grow."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from inbox.adapters.llm.schemas import schema_of
from inbox.domain.model_usage import Usage

_CAPITALS: Final = "camel"


class Part(Struct, frozen=True, rename=_CAPITALS):
    text: str | None = None
    thought: bool = False


class Content(Struct, frozen=True, rename=_CAPITALS):
    parts: list[Part] = []


class Candidate(Struct, frozen=True, rename=_CAPITALS):
    content: Content = Content()
    finish_reason: str | None = None


class PromptFeedback(Struct, frozen=True, rename=_CAPITALS):
    block_reason: str | None = None


class UsageMetadata(Struct, frozen=True, rename=_CAPITALS):
    """Thoughts are no part of `candidates_token_count`, what was cached is one of `prompt_token_count`."""

    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0


class ModelStatus(Struct, frozen=True, rename=_CAPITALS):
    model_stage: str = ""


class GenerateAnswer(Struct, frozen=True, rename=_CAPITALS):
    """The answer of `generateContent`, or one piece of a streamed one."""

    candidates: list[Candidate] = []
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    model_status: ModelStatus = ModelStatus()

    @property
    def text(self) -> str:
        """What the first candidate said, its thoughts left out."""
        parts = self.candidates[0].content.parts if self.candidates else []
        return "".join(part.text for part in parts if part.text and not part.thought)

    @property
    def finish_reason(self) -> str | None:
        return self.candidates[0].finish_reason if self.candidates else None

    @property
    def usage(self) -> Usage:
        counted = self.usage_metadata or UsageMetadata()
        return Usage(
            input=counted.prompt_token_count,
            output=counted.candidates_token_count + counted.thoughts_token_count,
            cached=counted.cached_content_token_count,
        )

    @property
    def is_torn(self) -> bool:
        """True if something was said and no end of it came."""
        return bool(self.candidates) and self.finish_reason is None

    def followed_by(self, piece: "GenerateAnswer") -> "GenerateAnswer":
        """Both as one: texts one after the other; counts are those so far, so the last ones hold."""
        mine, others = self.candidates[:1], piece.candidates[:1]
        candidate = Candidate(
            content=Content(parts=[part for said in (*mine, *others) for part in said.content.parts]),
            finish_reason=next((said.finish_reason for said in (*others, *mine) if said.finish_reason), None),
        )
        return GenerateAnswer(
            candidates=[candidate] if mine or others else [],
            prompt_feedback=piece.prompt_feedback or self.prompt_feedback,
            usage_metadata=piece.usage_metadata or self.usage_metadata,
            model_version=piece.model_version or self.model_version,
            model_status=piece.model_status if piece.model_status.model_stage else self.model_status,
        )


class Violation(Struct, frozen=True, rename=_CAPITALS):
    quota_id: str = ""


class Detail(Struct, frozen=True, rename=_CAPITALS):
    """One of `google.rpc.RetryInfo`, `QuotaFailure`, `ErrorInfo`, told apart by what is there."""

    retry_delay: str | None = None
    violations: list[Violation] = []
    reason: str | None = None


class Status(Struct, frozen=True, rename=_CAPITALS):
    """`google.rpc.Status`."""

    code: int = 0
    status: str = ""
    message: str = ""
    details: list[Detail] = []


class ErrorAnswer(Struct, frozen=True):
    error: Status


def error_of(body: bytes) -> Status | None:
    """The error of an answer, which some paths wrap in a list; None for anything else, like a proxy's page.

    Some front ends put the whole of it as a text into the message of another one, which then has the details.
    """
    error = _outer(body)
    if error is None or not error.message.lstrip().startswith(("{", "[")):
        return error
    inner = _outer(error.message.encode("utf-8", "replace"))
    return error if inner is None else structs.replace(inner, code=error.code or inner.code)


def _outer(body: bytes) -> Status | None:
    try:
        found = msgspec.json.decode(body, type=ErrorAnswer | list[ErrorAnswer])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, list):
        return found[0].error if found else None
    return found.error


_DURATION: Final = re.compile(r"([0-9.]+)(ms|s)")
_RETRY_IN: Final = re.compile(r"Please retry in ([0-9.]+m?s)")
_NO_QUOTA: Final = re.compile(r"limit:\s*0(?!\d|\.\d)")


def retry_after(error: Status) -> float | None:
    """Seconds that Google asks to wait: RetryInfo, else the sentence in the message."""
    named = next((d.retry_delay for d in error.details if d.retry_delay), None)
    if named is None and (spoken := _RETRY_IN.search(error.message)):
        named = spoken[1]
    found = _DURATION.fullmatch(named) if named else None
    if found is None:
        return None
    try:
        return float(found[1]) / (1000 if found[2] == "ms" else 1)
    except ValueError:
        return None


def is_quota_spent(error: Status) -> bool:
    """True if waiting some seconds cannot help: no quota at all, or none left for the day."""
    daily = any("PerDay" in v.quota_id or "Daily" in v.quota_id for d in error.details for v in d.violations)
    return daily or _NO_QUOTA.search(error.message) is not None


def is_per_minute(error: Status) -> bool:
    return any("PerMinute" in v.quota_id for d in error.details for v in d.violations)


def schema_for(kind: type[Struct]) -> dict[str, Any]:
    """The JSON schema of `kind` in the subset that Gemini takes, with one fixed order of properties."""
    schema = schema_of(kind)
    return {**schema, "propertyOrdering": list(schema["properties"])}


class Description(Struct, frozen=True, rename=_CAPITALS):
    """The answer of `models.get`."""

    supported_generation_methods: list[str] = []

    @property
    def writes(self) -> bool:
        """True if it answers prompts, or if nothing else is said."""
        return not self.supported_generation_methods or "generateContent" in self.supported_generation_methods


class Vector(Struct, frozen=True):
    values: list[float] = []


class EmbedAnswer(Struct, frozen=True):
    """The answer of `batchEmbedContents`."""

    embeddings: list[Vector] = []
