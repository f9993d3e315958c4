"""A JSON value that fits a JSON Schema, taking what it can from the wanted members.

Knows the keywords that the API supports (`$ref $defs type enum items prefixItems minItems maxItems minimum maximum
anyOf oneOf properties required propertyOrdering`) and the OpenAPI spelling of `responseSchema` (types in capitals).
A keyword whose value makes no sense counts as missing.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

MAX_DEPTH: Final = 16
MAX_VALUES: Final = 5_000  # a schema that refers to itself could ask for any number
_EMPTY: Final[Mapping[str, object]] = {"string": "", "boolean": False, "null": None}


def fill(given: object, wanted: Mapping[str, object]) -> object:
    """`wanted` gives values by property name, at the top level; a value that breaks the schema is not used."""
    schema = given if isinstance(given, dict) else {}
    return _Filler(_mapping(schema, "$defs") or _mapping(schema, "definitions"), wanted).value(schema, "", 0)


class _Filler:
    def __init__(self, definitions: Json, wanted: Mapping[str, object]) -> None:
        self._definitions = definitions
        self._wanted = wanted
        self._left = MAX_VALUES

    def value(self, given: object, name: str, depth: int) -> object:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            return None
        schema = self._resolved(given)
        if name in self._wanted and depth == 1 and _fits(schema, self._wanted[name]):
            return self._wanted[name]
        choices = _list(schema, "enum")
        return choices[0] if choices else self._of_kind(schema, depth)

    def _of_kind(self, schema: Json, depth: int) -> object:
        match kind_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "number" | "integer" as kind:
                return _number(schema, kind)
            case kind:
                return _EMPTY.get(kind)

    def _object(self, schema: Json, depth: int) -> Json:
        properties = _mapping(schema, "properties")
        required = _list(schema, "required")
        order = [name for name in _list(schema, "propertyOrdering") if isinstance(name, str) and name in properties]
        return {
            name: self.value(properties[name], name, depth + 1)
            for name in dict.fromkeys([*order, *properties])
            if name in required or (depth == 0 and name in self._wanted)
        }

    def _array(self, schema: Json, depth: int) -> list[object]:
        items = [self.value(item, "", depth + 1) for item in _list(schema, "prefixItems")]
        least = _figure(schema, "minItems") or 0
        while len(items) < least and self._left > 0:
            items.append(self.value(schema.get("items"), "", depth + 1))
        return items

    def _resolved(self, given: object) -> Json:
        """Follows `$ref` into `$defs` and takes the first branch of a union, a few times at most."""
        for _ in range(MAX_DEPTH):
            if not isinstance(given, dict):
                return {}
            branches = _list(given, "anyOf") or _list(given, "oneOf")
            if "$ref" in given:
                given = self._definitions.get(str(given["$ref"]).rsplit("/", 1)[-1])
            elif branches:
                given = branches[0]
            else:
                return given
        return {}


def kind_of(schema: Json) -> str:
    """The type in lower case; the first of a list of types; an object when only `properties` tells."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    return "object" if "properties" in schema else "string"


def _fits(schema: Json, value: object) -> bool:
    choices = _list(schema, "enum")
    if choices:
        return value in choices
    match kind_of(schema):
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "number" | "integer":
            return isinstance(value, (int, float)) and _between(value, schema, "minimum", "maximum")
        case "array":
            return isinstance(value, list) and _between(len(value), schema, "minItems", "maxItems")
        case kind:
            return kind == "object" and isinstance(value, dict)


def _between(value: float, schema: Json, least: str, most: str) -> bool:
    low, high = _figure(schema, least), _figure(schema, most)
    return (low is None or value >= low) and (high is None or value <= high)


def _number(schema: Json, kind: str) -> float:
    low = _figure(schema, "minimum")
    value = (low if low is not None else _figure(schema, "maximum")) or 0
    return math.ceil(value) if kind == "integer" else value


def _mapping(schema: Json, name: str) -> Json:
    value = schema.get(name)
    return value if isinstance(value, dict) else {}


def _list(schema: Json, name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _figure(schema: Json, name: str) -> float | None:
    """A number; OpenAPI writes counts as decimal strings."""
    value = schema.get(name)
    if isinstance(value, str) and value.isdecimal() and len(value) <= 9:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, (int, float)) else None
