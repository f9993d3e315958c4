"""Gemini's JSON (`generateContent`, v1beta), tolerantly: any member may be missing, any enum may grow."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

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
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0


class GenerateAnswer(Struct, frozen=True, rename=_CAPITALS):
    """The answer of `generateContent`."""

    candidates: list[Candidate] = []
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata = UsageMetadata()
    model_version: str | None = None

    @property
    def text(self) -> str:
        """What the first candidate said, its thoughts left out."""
        parts = self.candidates[0].content.parts if self.candidates else []
        return "".join(part.text for part in parts if part.text and not part.thought)


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
    """The error of an answer, which some paths wrap in a list; None for anything else, like a proxy's page."""
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


def schema_for(kind: type[Struct]) -> dict[str, Any]:
    """The JSON schema of `kind` in the subset that Gemini takes: one fixed order of properties, no texts of ours."""
    (reference,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    name = str(reference["$ref"]).rpartition("/")[2]
    cleaned = {key: _cleaned(value) for key, value in definitions.items()}
    schema = cleaned.pop(name)
    ordering = {"propertyOrdering": list(schema["properties"]), "additionalProperties": False}
    return {**schema, **ordering, **({"$defs": cleaned} if cleaned else {})}


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Without titles and docstrings; an enumeration says that it holds strings."""
    plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "properties" in plain:
        plain["properties"] = {key: _cleaned(value) for key, value in plain["properties"].items()}
    return {"type": "string", **plain} if "enum" in plain else plain
