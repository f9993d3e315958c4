"""From bytes to a checked request body with camelCase names, as proto-JSON reads it.

Both spellings of a name are accepted; an unknown name at any depth and a value of the wrong type are refused, all of
them named in one answer.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.gemini.errors import Violation, invalid, violations
from inbox.emulators.gemini.messages import MESSAGES

Body = dict[str, Any]

MAX_DEPTH: Final = 100  # protobuf's own limit for nested messages
MAX_VIOLATIONS: Final = 50
_UNDERSCORE: Final = re.compile(r"(?<=[a-z0-9])_([a-z])")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_CYCLES: Final = 4  # base64 characters come in groups of this many


def decode(raw: bytes, message: str) -> Body:
    """Read one request body as the named message. Raises ApiError 400 for anything that does not fit."""
    try:
        value = msgspec.json.decode(raw) if raw else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise invalid("Invalid JSON payload received. Unable to parse the request body.") from error
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.")
    reader = _Reader()
    body = reader.message(value, message, "", 0)
    if reader.found:
        raise violations(reader.found[:MAX_VIOLATIONS])
    return body


def snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"_{match.group(1).lower()}", name)


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match.group(1).upper(), name)


class _Reader:
    """Walks a body beside its message table and collects what does not fit."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def message(self, value: Mapping[str, Any], message: str, path: str, depth: int) -> Body:
        if depth > MAX_DEPTH:
            raise invalid("Invalid JSON payload received. Message too deep. Max recursion depth reached.")
        fields = MESSAGES[message]
        body: Body = {}
        for name, item in value.items():
            known = name if name in fields else camel(name)
            if known not in fields:
                self._unknown(name, path)
            elif item is not None:  # null is "not set" in proto-JSON
                at = f"{path}.{snake(known)}" if path else snake(known)
                body[known] = self._value(item, fields[known], at, depth + 1)
        return body

    def _value(self, value: object, kind: str, path: str, depth: int) -> object:
        if kind.endswith("[]") and isinstance(value, list):
            return [self._value(item, kind[:-2], f"{path}[{at}]", depth) for at, item in enumerate(value)]
        if kind.startswith("map:") and isinstance(value, dict):
            return {key: self._value(item, kind[4:], f"{path}[{key}]", depth) for key, item in value.items()}
        if kind in MESSAGES and isinstance(value, dict):
            return self.message(value, kind, path, depth)
        if kind.startswith("enum:") and isinstance(value, str):
            return self._enum(value, kind, path)
        if kind not in _SCALARS or not _SCALARS[kind](value):
            self._wrong(path, kind, value)
        return value

    def _enum(self, value: str, kind: str, path: str) -> str:
        """Enum names in any case; an empty list of names means that every name passes."""
        names = kind.removeprefix("enum:")
        if names and value.upper() not in names.split("|"):
            self._wrong(path, kind, value)
        return value.upper() if names else value

    def _unknown(self, name: str, path: str) -> None:
        where = f" at '{path}'" if path else ""
        text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
        self.found.append((path, text))

    def _wrong(self, path: str, kind: str, value: object) -> None:
        shown = f'"{value[:40]}"' if isinstance(value, str) else type(value).__name__
        self.found.append((path, f"Invalid value at '{path}' ({_type_name(kind)}), {shown}"))


def is_base64(value: object) -> bool:
    """Standard or URL-safe alphabet, with or without padding: proto-JSON takes all four."""
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % _CYCLES), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return _is_number(value) and (not isinstance(value, str) or _INTEGER.fullmatch(value) is not None)


_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_INTEGER: Final = re.compile(r"-?\d{1,19}")
_SCALARS: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "bytes": is_base64,
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "number": _is_number,
    "struct": lambda value: isinstance(value, dict),
    "any": lambda _: True,
}


def _type_name(kind: str) -> str:
    return "TYPE_ENUM" if kind.startswith("enum:") else _TYPE_NAMES.get(kind, "TYPE_MESSAGE")


_TYPE_NAMES: Final[Mapping[str, str]] = {
    "string": "TYPE_STRING",
    "bytes": "TYPE_BYTES",
    "bool": "TYPE_BOOL",
    "int": "TYPE_INT32",
    "number": "TYPE_DOUBLE",
}
