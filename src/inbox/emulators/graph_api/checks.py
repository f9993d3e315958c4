"""The small checks that validation is made of. Each names the parameter in Meta's way: `text['body']`."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from inbox.emulators.graph_api.errors import GraphError

Json = dict[str, Any]


def missing(name: str) -> GraphError:
    return GraphError(131008, f"Required parameter {name} is missing.")


def invalid(name: str, reason: str) -> GraphError:
    return GraphError(131009, f"Parameter {name} {reason}")


def obj(parent: Json, key: str, name: str) -> Json:
    """A required JSON object."""
    value = parent.get(key)
    if value is None:
        raise missing(name)
    if not isinstance(value, dict):
        raise GraphError(100, f"Param {name} must be a JSON object.", message=f"(#100) Param {name} must be an object.")
    return value


def array(parent: Json, key: str, name: str, *, least: int = 1, most: int) -> list[Any]:
    """A required JSON array with a number of elements in bounds."""
    value = parent.get(key)
    if value is None:
        raise missing(name)
    if not isinstance(value, list):
        raise GraphError(100, message=f"(#100) Param {name} must be an array.")
    if not least <= len(value) <= most:
        raise invalid(name, f"has {len(value)} elements. Min: {least}, Max: {most}")
    return value


def objects(parent: Json, key: str, name: str, *, least: int = 1, most: int) -> list[Json]:
    """As `array`, each element a JSON object."""
    found = array(parent, key, name, least=least, most=most)
    for position, element in enumerate(found):
        if not isinstance(element, dict):
            raise GraphError(100, message=f"(#100) Param {name}[{position}] must be an object.")
    return found


def text(parent: Json, key: str, name: str, *, most: int, least: int = 1) -> str:
    """A required string; its length is counted in Unicode code points."""
    value = parent.get(key)
    if value is None:
        raise missing(name)
    return _bounded(value, name, least=least, most=most)


def optional_text(parent: Json, key: str, name: str, *, most: int, least: int = 0) -> str | None:
    value = parent.get(key)
    return None if value is None else _bounded(value, name, least=least, most=most)


def _bounded(value: object, name: str, *, least: int, most: int) -> str:
    if not isinstance(value, str):
        raise GraphError(100, message=f"(#100) Param {name} must be a string.")
    if len(value) > most:
        raise GraphError(100, message=f"(#100) Param {name} must be at most {most} characters long.")
    if len(value) < least:
        raise missing(name) if not value else invalid(name, f"must be at least {least} characters long.")
    return value


def one_of(value: object, allowed: Collection[str], name: str) -> str:
    if value is None:
        raise missing(name)
    if not isinstance(value, str) or value not in allowed:
        raise GraphError(100, message=f"(#100) Param {name} must be one of {{{', '.join(sorted(allowed))}}}.")
    return value


def known_keys(parent: Json, allowed: Collection[str], name: str) -> None:
    """Refuse misspelt keys, as Graph does for message objects."""
    for key in parent:
        if key not in allowed:
            raise GraphError(100, f'Unexpected key "{key}" on param "{name}".')


def web_url(value: object, name: str, *, most: int = 2000) -> str:
    """An absolute http(s) URL."""
    if value is None:
        raise missing(name)
    checked = _bounded(value, name, least=1, most=most)
    try:
        parts = urlsplit(checked)
    except ValueError:
        raise invalid(name, "is not a valid URI.") from None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise invalid(name, "is not a valid URI.")
    return checked


def number(parent: Json, key: str, name: str, *, bound: float) -> float:
    """A coordinate: a number, or a string that holds one (Meta's own samples show both)."""
    value = parent.get(key)
    if value is None:
        raise missing(name)
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise invalid(name, "must be a number.") from None
    if isinstance(value, bool) or not -bound <= found <= bound:
        raise invalid(name, f"must be between {-bound:g} and {bound:g}.")
    return found
