"""Texts of the existing system: it stored what it could not show as the whole WhatsApp message in JSON."""

from typing import Any, Final

import msgspec

from inbox.domain.content import UNREADABLE_PREVIEW
from inbox.kit.json_depth import depth_exceeds

OLD_TEXT: Final = (
    "(m.content is null and m.direction <> 'outbound' and m.content_text like '{%' "
    "and m.message_type is distinct from 'text' and m.message_type is distinct from 'image' "
    "and m.message_type is distinct from 'audio' and m.message_type is distinct from 'document')"
)
"""SQL: true for rows `m` whose text may be such JSON. The four types always had a text of their own."""

_UNSUPPORTED: Final = frozenset({"unsupported", "unknown"})
_SPEAKING: Final = {"video": "caption", "button": "text"}
"""Keys whose text stands alone."""
_DETAILS: Final = {"system": "body", "reaction": "emoji"}
"""Keys whose text follows the label."""


def readable(message_type: str | None, stored: str) -> str:
    """What a person can read of `stored`; `stored` itself if it is no WhatsApp message in JSON."""
    message = _decoded(stored)
    if not isinstance(message, dict) or "from" not in message:
        return stored
    kind = message_type or _text(message, "type") or "unsupported"
    return UNREADABLE_PREVIEW if kind in _UNSUPPORTED else _line(kind, message)


def _decoded(stored: str) -> object:
    try:
        return None if depth_exceeds(stored.encode()) else msgspec.json.decode(stored)
    except msgspec.DecodeError:
        return None


def _line(kind: str, message: dict[str, Any]) -> str:
    section = message.get(kind)
    if kind == "contacts":
        return f"[{kind}] {', '.join(_names(section))}".strip()
    if not isinstance(section, dict):
        return f"[{kind}]"
    if kind in _SPEAKING:
        return _text(section, _SPEAKING[kind]) or f"[{kind}]"
    detail = _place(section) if kind == "location" else _text(section, _DETAILS.get(kind, ""))
    return f"[{kind}] {detail}".strip()


def _place(section: dict[str, Any]) -> str:
    named = ", ".join(part for part in (_text(section, "name"), _text(section, "address")) if part)
    latitude, longitude = section.get("latitude"), section.get("longitude")
    if named or latitude is None or longitude is None:
        return named
    return f"{latitude}, {longitude}"


def _names(section: object) -> list[str]:
    cards = section if isinstance(section, list) else []
    names = [card.get("name") for card in cards if isinstance(card, dict)]
    return [text for name in names if isinstance(name, dict) and (text := _text(name, "formatted_name"))]


def _text(section: dict[str, Any], key: str) -> str:
    value = section.get(key)
    return value if isinstance(value, str) else ""
