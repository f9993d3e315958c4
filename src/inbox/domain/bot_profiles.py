"""What people may tell the assistant, and how it is cleaned before it is kept (REST contract, call 14)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, get_args
from uuid import UUID

import msgspec

from inbox.domain.bot_profile import CustomField, TemplateConfig
from inbox.domain.errors import Invalid
from inbox.domain.ids import uuid7

MAX_ITEMS: Final = 200
"""Custom fields, and items in each list of the playbook."""
MAX_TEXT: Final = 20_000
"""Characters of one text."""

_CONFIG: Final = "body.template_config"


def cleaned_fields(given: Sequence[CustomField], new_id: Callable[[], UUID] = uuid7) -> list[CustomField]:
    """Trimmed, without rows that say nothing. Each has an id of its own: a repeated one is given to the first only."""
    kept: dict[str, CustomField] = {}
    for field in given:
        label, value, field_id = field.label.strip(), field.value.strip(), field.id.strip()
        if not label and not value:
            continue
        if not field_id or field_id in kept:
            field_id = str(new_id())
        kept[field_id] = CustomField(id=field_id, label=label, value=value)
    return list(kept.values())


def cleaned_config(given: Mapping[str, object]) -> TemplateConfig:
    """The playbook from JSON: known keys only, values as trimmed texts, list items that say nothing dropped.

    Raises `Invalid` for a section or value of the wrong kind and for what is too long, with its path in the body.
    """
    sections = {
        field.name: _section(field.type, given[field.name], f"{_CONFIG}.{field.name}")
        for field in msgspec.structs.fields(TemplateConfig)
        if field.name in given
    }
    return msgspec.convert(sections, TemplateConfig)


def _section(kind: object, value: object, path: str) -> object:
    if kind is str:
        return _text(value, path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _texts(kind, value, path)
    (item,) = get_args(kind)
    return _items(item, value, path)


def _items(kind: type[msgspec.Struct], value: object, path: str) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Invalid(path, "expected an array")
    if len(value) > MAX_ITEMS:
        raise Invalid(path, f"at most {MAX_ITEMS} items")
    items = [_texts(kind, item, f"{path}[{place}]") for place, item in enumerate(value)]
    return [item for item in items if any(item.values())]


def _texts(kind: type[msgspec.Struct], value: object, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Invalid(path, "expected an object")
    return {name: _text(value.get(name), f"{path}.{name}") for name in kind.__struct_fields__}


def _text(value: object, path: str) -> str:
    """Null is an empty text; numbers, true and false are what JSON writes for them."""
    match value:
        case None:
            return ""
        case bool():
            text = "true" if value else "false"
        case str() | int() | float():
            text = str(value).strip()
        case _:
            raise Invalid(path, "expected a text")
    if len(text) > MAX_TEXT:
        raise Invalid(path, f"at most {MAX_TEXT} characters")
    return text
