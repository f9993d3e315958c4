"""The shapes of answers, compared exactly: every key that is named, no other, and each of its type."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Check: TypeAlias = Callable[[Any], bool]

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")


def uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def time(value: object) -> bool:
    """RFC 3339, UTC, `Z`, six digits."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def text(value: object) -> bool:
    return isinstance(value, str)


def number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value: object) -> bool:
    return isinstance(value, bool)


def mapping(value: object) -> bool:
    return isinstance(value, dict)


def nullable(check: Check) -> Check:
    return lambda value: value is None or check(value)


def differences(value: Any, shape: Any, path: str = "$") -> list[str]:  # noqa: ANN401 - any JSON
    """What differs, one line each. A shape is a check, a constant, a dict of shapes, or a list of one shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        found = [f"{path}.{name} is missing" for name in shape if name not in value]
        found += [f"{path}.{name} is not in the contract" for name in value if name not in shape]
        return found + [
            line for name in shape if name in value for line in differences(value[name], shape[name], f"{path}.{name}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is no array"]
        return [line for place, item in enumerate(value) for line in differences(item, shape[0], f"{path}[{place}]")]
    is_right = shape(value) if callable(shape) else value == shape
    return [] if is_right else [f"{path} is {value!r}"]
