"""Meta's JSON about message templates, tolerantly: what is no template is left out, what is odd in one is not read."""

from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from inbox.adapters.messaging.cloud_api.codec_reading import UNREADABLE, holds_nul, word
from inbox.adapters.messaging.cloud_api.codec_words import words
from inbox.domain.templates import TemplateNews
from inbox.domain.upstream_errors import WhatsAppError
from inbox.ports.templates import CreatedTemplate, TemplatePage

T = TypeVar("T")

_MOST_NAME: Final = 512
_ITEM: Final = msgspec.json.Decoder(dict[str, Any])
_NONE: Final = frozenset({"", "NONE"})


class _Cursors(Struct, frozen=True):
    after: str | None = None


class _Paging(Struct, frozen=True):
    """`next` is missing on the last page. It may hold the token: it is neither called nor shown."""

    cursors: _Cursors = _Cursors()
    next: object = None


class _Page(Struct, frozen=True):
    """An answer without `data` is no list: an empty one would say that every template is gone."""

    data: list[Raw]
    paging: _Paging = _Paging()


class _Created(Struct, frozen=True):
    id: str | int = ""
    status: str | None = None
    category: str | None = None


class _Named(Struct, frozen=True):
    id: str | int = ""
    h: str = ""


class _TokenData(Struct, frozen=True):
    app_id: str | int = ""


class _Token(Struct, frozen=True):
    data: _TokenData = _TokenData()


class _Offset(Struct, frozen=True):
    file_offset: int | str = 0


def page_of(body: bytes, at: datetime) -> TemplatePage:
    found = _read(body, _Page)
    after = found.paging.cursors.after if found.paging.next is not None else None
    return TemplatePage(templates=[one for one in (_news(raw, at) for raw in found.data) if one], after=after or None)


def created_of(body: bytes, *, category: str) -> CreatedTemplate:
    """`category` is the one that was asked for."""
    found = _read(body, _Created)
    if not found.id:
        raise WhatsAppError("WhatsApp's answer names no template.")
    return CreatedTemplate(
        meta_id=str(found.id), status=word(found.status or "PENDING"), category=word(found.category or category)
    )


def app_of(body: bytes) -> str:
    """The app that a token is for."""
    found = str(_read(body, _Token).data.app_id)
    if not found.isdigit():
        raise WhatsAppError("WhatsApp does not say for which app the account's token is.")
    return found


def session_of(body: bytes) -> str:
    return str(_read(body, _Named).id)


def handle_of(body: bytes) -> str:
    handle = _read(body, _Named).h
    if not handle:
        raise WhatsAppError("WhatsApp gave no handle for the file.")
    return handle


def offset_of(body: bytes) -> int:
    found = str(_read(body, _Offset).file_offset)
    return int(found) if found.isascii() and found.isdigit() else 0


def _read(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE:
        raise WhatsAppError("WhatsApp's answer about templates cannot be read.") from None


def _news(raw: Raw, at: datetime) -> TemplateNews | None:
    """None for what has no name or no language, or holds what cannot be stored."""
    if holds_nul(raw):
        return None
    try:
        item = _ITEM.decode(raw)
    except UNREADABLE:
        return None
    name, language = words(item, "name"), words(item, "language")
    if not name or not language or len(name) > _MOST_NAME:
        return None
    components, reason = item.get("components"), words(item, "rejected_reason")
    return TemplateNews(
        name=name,
        language=word(language),
        at=at,
        meta_id=word(words(item, "id")) or None,
        status=word(words(item, "status")) or None,
        reason=word(reason) if reason not in _NONE else None,
        quality=word(words(item, "quality_score", "score")) or None,
        category=word(words(item, "category")) or None,
        components=msgspec.json.encode(components) if isinstance(components, list) else None,
        parameter_format=word(words(item, "parameter_format")) or None,
    )
