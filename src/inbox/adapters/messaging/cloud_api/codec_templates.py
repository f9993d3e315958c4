"""What webhooks say of message templates (Meta, webhook fields about templates). Pure, and tolerant like the others."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from inbox.adapters.messaging.cloud_api.codec_reading import word
from inbox.adapters.messaging.cloud_api.codec_words import words
from inbox.domain.templates import TemplateNews, TemplateStatus

_MOST_DETAILS: Final = 500
_MOST_NAME: Final = 512
_STATUSES: Final[Mapping[str, str]] = {
    "UNARCHIVED": TemplateStatus.APPROVED,
    "REINSTATED": TemplateStatus.APPROVED,
    "FLAGGED": "",
    "LOCKED": "",
}
"""Events that are no status: after them it is another one, or as it was."""
_UNPAUSED: Final = "UNPAUSE"
_BUTTONS: Final = {
    "text": "message_template_button_text",
    "url": "message_template_button_url",
    "phone_number": "message_template_button_phone_number",
}
Json = dict[str, Any]


def news(field: str, value: Json, at: datetime) -> TemplateNews | None:
    """What `value` says of a template; None if it names none, or says nothing that is kept."""
    reader = _quality if "new_quality_score" in value else _READERS.get(field)
    name, language = words(value, "message_template_name"), words(value, "message_template_language")
    if reader is None or not name or not language or len(name) > _MOST_NAME:
        return None
    said = reader(value)
    if not said:
        return None
    # The language of webhooks was seen as `en-US`, that of the list is `en_US`; ids are numbers here and text there.
    return TemplateNews(
        name=name,
        language=word(language.replace("-", "_")),
        meta_id=word(words(value, "message_template_id")) or None,
        at=at,
        **said,
    )


def _status(value: Json) -> Json:
    event = word(words(value, "event"))
    status: str = _STATUSES.get(event, event)
    if words(value, "other_info", "title") == _UNPAUSED:
        status = TemplateStatus.APPROVED
    category = word(words(value, "message_template_category"))
    if not status:
        return {}
    reason = word(words(value, "reason"))
    sentences = (
        words(value, "rejection_info", "reason"),
        words(value, "rejection_info", "recommendation"),
        words(value, "other_info", "description"),
    )
    return {
        "status": str(status),
        "reason": reason if reason not in ("", "NONE") else None,
        "details": " ".join(filter(None, sentences))[:_MOST_DETAILS] or None,
        **({"category": category} if category else {}),
    }


def _quality(value: Json) -> Json:
    score = word(words(value, "new_quality_score"))
    return {"quality": score} if score else {}


def _category(value: Json) -> Json:
    """An announcement changes nothing yet: another webhook follows when it is done."""
    new = word(words(value, "new_category"))
    return {"category": new} if new and not words(value, "correct_category") else {}


def _components(value: Json) -> Json:
    texts = {
        "HEADER": words(value, "message_template_title"),
        "BODY": words(value, "message_template_element"),
        "FOOTER": words(value, "message_template_footer"),
    }
    parts: list[Json] = [
        {"type": kind, **({"format": "TEXT"} if kind == "HEADER" else {}), "text": text}
        for kind, text in texts.items()
        if text
    ]
    listed = value.get("message_template_buttons")
    buttons = [_button(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if buttons:
        parts.append({"type": "BUTTONS", "buttons": buttons})
    return {"components": msgspec.json.encode(parts), "is_whole": False} if texts["BODY"] else {}


def _button(value: Json) -> Json:
    named = {name: words(value, key) for name, key in _BUTTONS.items()}
    kind = word(words(value, "message_template_button_type")).upper()
    return {"type": kind, **{name: text for name, text in named.items() if text}}


_READERS: Final[Mapping[str, Callable[[Json], Json]]] = {
    "message_template_status_update": _status,
    "message_template_components_update": _components,
    "template_category_update": _category,
}
