"""JSON schemas in the small subset that models are held to: shapes only, no texts of ours."""

import re
from collections.abc import Container
from typing import Any, Final, TypeVar

import msgspec

from inbox.domain.upstream_errors import ModelSilent

T = TypeVar("T", bound=msgspec.Struct)

_SHAPE: Final = frozenset(
    {"$ref", "type", "enum", "items", "prefixItems", "anyOf", "oneOf", "properties", "required", "additionalProperties"}
)
BOUNDS: Final = frozenset({"minItems", "maxItems", "minimum", "maximum"})
_THOUGHTS: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED: Final = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)


def schema_of(kind: type[msgspec.Struct], bounds: Container[str] = BOUNDS) -> dict[str, Any]:
    """The schema of `kind`. Objects have the named properties only; of the limits of values those in `bounds`."""
    (reference,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    name = str(reference["$ref"]).rpartition("/")[2]
    plain = {key: _plain(value, bounds) for key, value in definitions.items()}
    schema = plain.pop(name)
    return {**schema, **({"$defs": plain} if plain else {})}


def read_as(text: str, kind: type[T]) -> T:
    """What a model wrote. Models without a schema put it behind thoughts or into a fence. Raises `ModelSilent`."""
    bare = _THOUGHTS.sub("", text)
    if (fenced := _FENCED.match(bare)) is not None:
        bare = fenced[1]
    try:
        return msgspec.json.decode(bare, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelSilent("malformed") from error


def _plain(given: Any, bounds: Container[str]) -> Any:  # noqa: ANN401 - any JSON schema
    if not isinstance(given, dict):
        return given
    kept = {key: _kept(key, value, bounds) for key, value in given.items() if key in _SHAPE or key in bounds}
    if "const" in given:
        kept["enum"] = [given["const"]]
    if "enum" in kept and all(isinstance(value, str) for value in kept["enum"]):
        kept = {"type": "string", **kept}
    return {**kept, "additionalProperties": False} if "properties" in kept else kept


def _kept(key: str, value: Any, bounds: Container[str]) -> Any:  # noqa: ANN401 - any JSON schema
    if key in ("items", "additionalProperties"):
        return _plain(value, bounds)
    if key in ("anyOf", "oneOf", "prefixItems"):
        return [_plain(inner, bounds) for inner in value]
    if key == "properties":
        return {name: _plain(inner, bounds) for name, inner in value.items()}
    return value
