"""What may leave in logs: no secret, no text of a customer, no whole phone number.

Two nets: names of fields, and patterns inside every string, also in messages of foreign libraries and in tracebacks.
Redacting happens once, last before rendering. A value that is not plain data is shown by its type only, because the
`repr` of an object may hold anything.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Final, TypeAlias
from uuid import UUID

from inbox.domain.errors import InboxError

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

HIDDEN: Final = "***"
_DEPTH: Final = 6
_ITEMS: Final = 50
_CHARACTERS: Final = 16_000
_LONGEST_COUNT: Final = 10**9  # a larger number may be that of a phone

# Parts of field names; a number under such a name (`prompt_tokens`) is a count and stays.
_SECRET_NAMES: Final = re.compile(
    r"token|authorization|passw|secret|api[_-]?key|cookie|signature|credential|jwt|bearer", re.IGNORECASE
)
# Whole field names whose value is what somebody wrote, or who somebody is.
_PERSONAL_NAMES: Final = frozenset(
    {
        *("text", "body", "content", "caption", "preview", "prompt", "answer", "suggestion", "summary", "payload"),
        *("display_name", "profile_name", "email", "address", "latitude", "longitude", "vcard", "raw"),
    }
)
# Digits of these are an identifier of Meta's or ours, and needed to find things again.
_ID_NAMES: Final = frozenset(
    {"phone_number_id", "waba_id", "account_id", "conversation_id", "request_id", "timestamp", "trace_id", "span_id"}
)

_LINE_ENDS: Final = {0x85: " ", 0x2028: " ", 0x2029: " "}

_Replacement: TypeAlias = "str | Callable[[re.Match[str]], str]"


def _last_four(match: re.Match[str]) -> str:
    """Leave what only looks like a phone number: UUIDs and ISO times; of the others, the last four digits."""
    if match.lastgroup is not None:
        return match[0]
    return HIDDEN + re.sub(r"\D", "", match[0])[-4:]


_SECRETS: Final[tuple[tuple[re.Pattern[str], _Replacement], ...]] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),  # JWT
    (re.compile(r"AIza[\w-]{16,}|AQ\.[\w-]{16,}"), HIDDEN),  # keys of Google
    (re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{16,}"), HIDDEN),  # keys of OpenAI and those who do as it does
    (re.compile(r"EAA[A-Za-z0-9]{12,}"), HIDDEN),  # access tokens of Meta
    (re.compile(r"sha256=[0-9A-Fa-f]{16,}"), f"sha256={HIDDEN}"),
    (re.compile(r"://[^/\s@]+@"), f"://{HIDDEN}@"),
    (
        re.compile(
            r"(?i)((?:\b|_)(?:token|secret|passw\w*|api[_-]?key|appsecret_proof)|\b(?:key|sig|hash))=[^&\s\"']+"
        ),
        rf"\1={HIDDEN}",
    ),
    (
        re.compile(
            r"""(?i)(["'](?:[\w-]*(?:token|secret|password|api[_-]?key|authorization|cookie)[\w-]*"""
            r"""|text|body|content|caption|name|email)["']\s*[:=]\s*)(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'"""
            r"""|\{[^{}]*\})"""
        ),
        rf'\1"{HIDDEN}"',
    ),
    (re.compile(r"\[parameters: .*"), f"[parameters: {HIDDEN}]"),  # SQLAlchemy
    (re.compile(r"(?m)^DETAIL: .*$"), f"DETAIL: {HIDDEN}"),  # PostgreSQL quotes rows here
    (re.compile(r"wamid\.[\w+/=-]*?([\w+/=-]{6})(?![\w+/=-])"), rf"wamid.{HIDDEN}\1"),  # its base64 holds the number
)
_PHONES: Final = re.compile(
    r"(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<time>\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?)?)"
    r"|\+?\d(?:[ .()/-]{0,2}\d){6,18}"
)


# One look that spares most strings the long way: nothing below matches without one of these.
_SUSPICIOUS: Final = re.compile(
    r"[=@\[]|[\"']\s*:|\d(?:\D{0,2}\d){6}|bearer|basic|DETAIL|eyJ|AIza|AQ\.|sk-|EAA|wamid", re.IGNORECASE
)
_HARMLESS: Final = re.compile(
    r"[A-Za-z_.-]{0,14}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # words, and UUIDs
)


def scrub(text: str) -> str:
    """`text` without secrets and whole phone numbers. Also for what is kept or shown elsewhere than in logs."""
    if (_HARMLESS.fullmatch(text) and "eyJ" not in text) or not _SUSPICIOUS.search(text):
        return text
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _PHONES.sub(_last_four, text)


def redacted(fields: Mapping[str, object]) -> dict[str, Plain]:
    """The fields as plain data that is safe to write. Cuts long, deep and wide values."""
    return {scrub(_clean(str(name))): _field(str(name), value, _DEPTH) for name, value in list(fields.items())[:_ITEMS]}


def _field(name: str, value: object, depth: int) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    is_number = isinstance(value, int | float)
    if _SECRET_NAMES.search(name) and not is_number:
        return HIDDEN
    if name.lower() in _PERSONAL_NAMES:
        return HIDDEN
    if name in _ID_NAMES and isinstance(value, str):
        return _clean(value[:_CHARACTERS])
    return _value(value, depth)


def _value(value: object, depth: int) -> Plain:
    match value:
        case Enum():
            return _value(value.value, depth)
        case int() if abs(value) >= _LONGEST_COUNT:
            return scrub(str(value))
        case None | bool() | float() | int():
            return value
        case str():
            return scrub(_clean(value[:_CHARACTERS]))
        case UUID() | datetime() | date():
            return str(value)
        case _:
            return _container(value, depth)


def _container(value: object, depth: int) -> Plain:
    if isinstance(value, InboxError):
        return f"{type(value).__name__}: {scrub(_clean(str(value)))}"
    if isinstance(value, Mapping) and depth:
        shown = list(value.items())[:_ITEMS]
        return {scrub(_clean(str(name))): _field(str(name), inner, depth - 1) for name, inner in shown}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_value(inner, depth - 1) for inner in list(value)[:_ITEMS]]
    return f"<{type(value).__name__}>"


def _clean(text: str) -> str:
    """Lone surrogates cannot be written as UTF-8; some viewers begin a line at Unicode's own line ends."""
    return text if text.isascii() else text.translate(_LINE_ENDS).encode("utf-8", "replace").decode()
