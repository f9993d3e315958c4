"""Keyset paging: a page ends at (time, id), and the next one begins strictly after it.

The cursor is opaque to clients. A bare RFC 3339 timestamp is accepted too, because the existing front ends send the
`updated_at` of their last row.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.errors import Invalid

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_VERSION: Final = b"\x01"
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_-]{34}")  # version byte, 8 bytes of microseconds, 16 bytes of id
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+\- ])([0-9]{2}):([0-9]{2}))?"
)


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The last row that the client has. `id` is None when only a time is known."""

    at: datetime
    id: UUID | None = None


def encode_cursor(at: datetime, row_id: UUID) -> str:
    """An opaque, URL-safe cursor for the row (`at`, `row_id`). `at` is aware."""
    microseconds = (at - _EPOCH) // _MICROSECOND
    packed = _VERSION + microseconds.to_bytes(8, signed=True) + row_id.bytes
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(text: str, *, name: str = "cursor") -> Position:
    """Read a cursor of ours or a bare timestamp. `name` is the parameter, for the error. Raises Invalid."""
    position = _opaque(text) if _OPAQUE.fullmatch(text) else _timestamp(text)
    if position is None:
        raise Invalid(name, "is neither a cursor of this service nor an RFC 3339 timestamp")
    return position


def parse_time(text: str, *, name: str) -> datetime:
    """Read an RFC 3339 timestamp as aware UTC.

    Without offset it is UTC; a space stands for the `+` that URL decoding took. Raises Invalid.
    """
    position = _timestamp(text)
    if position is None:
        raise Invalid(name, "is not an RFC 3339 timestamp")
    return position.at


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC with `Z` and always six digits. Front ends sort these strings. ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError("a time without offset cannot be shown")
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _opaque(text: str) -> Position | None:
    try:
        packed = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    if packed[:1] != _VERSION:
        return None
    try:
        at = _EPOCH + int.from_bytes(packed[1:9], signed=True) * _MICROSECOND
    except OverflowError:
        return None
    return Position(at=at, id=UUID(bytes=packed[9:]))


def _timestamp(text: str) -> Position | None:
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, _, sign, hours, minutes = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:<06}+00:00")
        if sign is not None:
            offset = timedelta(hours=int(hours), minutes=_minutes(minutes))
            at = at + offset if sign == "-" else at - offset
    except (ValueError, OverflowError):
        return None
    return Position(at=at)


def _minutes(text: str) -> int:
    if (minutes := int(text)) > 59:  # noqa: PLR2004 - an hour
        raise ValueError("minutes")
    return minutes
