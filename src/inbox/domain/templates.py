"""Message templates as we know them: what Meta says of them in any order, and which may be sent.

A template is a name in a language. Its status, quality, category and components each count as they were said last, by
Meta's time: what is told late, or twice, changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from inbox.domain.errors import InboxError
from inbox.domain.template_errors import (
    TemplateDisabled,
    TemplatePaused,
    TemplatePending,
    TemplateRejected,
    TemplateUnavailable,
    TemplateUnknown,
)


class TemplateStatus(StrEnum):
    """Meta's words. One that is newer than this list is kept as it came."""

    PENDING = "PENDING"
    IN_APPEAL = "IN_APPEAL"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    PAUSED = "PAUSED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    ARCHIVED = "ARCHIVED"
    DISABLED = "DISABLED"
    PENDING_DELETION = "PENDING_DELETION"
    DELETED = "DELETED"


EDITABLE: Final = frozenset({TemplateStatus.APPROVED, TemplateStatus.REJECTED, TemplateStatus.PAUSED})
_REFUSED: Final[Mapping[str, type[InboxError]]] = {
    TemplateStatus.PENDING: TemplatePending,
    TemplateStatus.IN_APPEAL: TemplatePending,
    TemplateStatus.REJECTED: TemplateRejected,
    TemplateStatus.PAUSED: TemplatePaused,
    TemplateStatus.DISABLED: TemplateDisabled,
    TemplateStatus.LIMIT_EXCEEDED: TemplateUnavailable,
    TemplateStatus.ARCHIVED: TemplateUnavailable,
    TemplateStatus.PENDING_DELETION: TemplateUnavailable,
    TemplateStatus.DELETED: TemplateUnknown,
}
_CASES: Final[Mapping[str, str]] = {
    TemplateStatus.LIMIT_EXCEEDED: "template_over_limit",
    TemplateStatus.ARCHIVED: "template_archived",
    TemplateStatus.PENDING_DELETION: "template_being_deleted",
}
"""Which of the states it is that share an error."""
_STAGES: Final = {status.value: place for place, status in enumerate(TemplateStatus)}
_SCORES: Final = {"UNKNOWN": 0, "GREEN": 1, "YELLOW": 2, "RED": 3}
_ORDER: Final = {"HEADER": 0, "LIMITED_TIME_OFFER": 1, "BODY": 2, "FOOTER": 3, "BUTTONS": 4, "CAROUSEL": 5}
_ALWAYS_TOLD: Final = frozenset({"BODY", "FOOTER", "BUTTONS"})
"""Components that a webhook about a change names if they are there; of headers it knows texts only."""
_COMPONENTS: Final[msgspec.json.Decoder[list[dict[str, Any]]]] = msgspec.json.Decoder(list[dict[str, Any]])


class TemplateNews(msgspec.Struct, frozen=True, kw_only=True):
    """What Meta says of a template at `at`; what is None is not spoken of.

    `reason` is Meta's word for the status, `details` its sentences. `components` are JSON in Meta's shape, without
    files and examples unless `is_whole`.
    """

    name: str
    language: str
    at: datetime
    meta_id: str | None = None
    status: str | None = None
    reason: str | None = None
    details: str | None = None
    quality: str | None = None
    category: str | None = None
    components: bytes | None = None
    is_whole: bool = True
    parameter_format: str | None = None


class KnownTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """All that was said, each with Meta's time. `components` are JSON in Meta's shape."""

    name: str
    language: str
    meta_id: str | None = None
    parameter_format: str | None = None
    status: str | None = None
    status_at: datetime | None = None
    reason: str | None = None
    details: str | None = None
    quality: str | None = None
    quality_at: datetime | None = None
    category: str | None = None
    category_at: datetime | None = None
    components: bytes | None = None
    components_at: datetime | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A template before it is sent. `is_listed`: the account's list was read, so what is not there does not exist."""

    is_listed: bool
    template: KnownTemplate | None


def told(known: KnownTemplate, news: TemplateNews) -> KnownTemplate:
    """What is known after `news`. Of two that were said at the same moment the graver one counts."""
    found: dict[str, object] = {}
    status = (_stage(news.status), news.status, news.reason or "", news.details or "")
    before = (_stage(known.status), known.status or "", known.reason or "", known.details or "")
    if news.status is not None and _is_newer(news.at, status, known.status_at, before):
        found |= {"status": news.status, "status_at": news.at, "reason": news.reason, "details": news.details}
    if news.quality is not None and _is_newer(
        news.at, (_SCORES.get(news.quality, 0), news.quality), known.quality_at, _score(known)
    ):
        found |= {"quality": news.quality, "quality_at": news.at}
    if news.category is not None and _is_newer(news.at, (news.category,), known.category_at, (known.category or "",)):
        found |= {"category": news.category, "category_at": news.at}
    if news.components is not None:
        components = news.components if news.is_whole else _merged(known.components, news.components)
        if _is_newer(news.at, (_plain(components),), known.components_at, (_plain(known.components),)):
            found |= {"components": components, "components_at": news.at}
    if news.meta_id is not None and (known.meta_id is None or "status" in found):
        found["meta_id"] = news.meta_id
    if news.parameter_format is not None and news.is_whole:
        found["parameter_format"] = news.parameter_format
    return msgspec.structs.replace(known, **found)


def refusal(standing: Standing) -> InboxError | None:
    """Why a template cannot be sent; None if it can, or if nobody here knows better than WhatsApp.

    While the account's list was never read, a template that is not known may be there all the same. The error has
    WhatsApp's reason, as far as it told one.
    """
    known = standing.template
    if known is None:
        return TemplateUnknown() if standing.is_listed else None
    refused = _REFUSED.get(known.status or "")
    if refused is None:
        return None
    error = refused()
    error.case = _CASES.get(known.status or "")
    error.words = ": ".join(filter(None, (known.reason, known.details)))
    return error


def _stage(status: str | None) -> int:
    return _STAGES.get(status or "", -1)


def _score(known: KnownTemplate) -> tuple[int, str]:
    return _SCORES.get(known.quality or "", 0), known.quality or ""


def _is_newer(at: datetime, said: tuple[object, ...], before_at: datetime | None, before: tuple[object, ...]) -> bool:
    return before_at is None or (at, *said) > (before_at, *before)


def _plain(components: bytes | None) -> bytes:
    """The same for equal JSON, however it is written."""
    if components is None:
        return b""
    return msgspec.json.encode(msgspec.json.decode(components), order="sorted")


def _merged(known: bytes | None, said: bytes) -> bytes:
    """The components that a webhook names, with what it never does: files of headers, cards, offers."""
    new = _COMPONENTS.decode(said)
    named = {str(part.get("type", "")).upper() for part in new} | _ALWAYS_TOLD
    old = _COMPONENTS.decode(known) if known is not None else []
    kept = [part for part in old if _kind(part) not in named and not _is_text_header(part)]
    return msgspec.json.encode(sorted([*new, *kept], key=lambda part: _ORDER.get(_kind(part), len(_ORDER))))


def _kind(part: dict[str, Any]) -> str:
    return str(part.get("type", "")).upper()


def _is_text_header(part: dict[str, Any]) -> bool:
    return _kind(part) == "HEADER" and str(part.get("format", "")).upper() == "TEXT"
