"""Reading what a request names: ids, limits, cursors; and the headers of the next page."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias
from urllib.parse import urlencode
from uuid import UUID

from inbox.domain.errors import InboxError, Invalid
from inbox.kit.paging import decode_cursor, encode_cursor

Before: TypeAlias = tuple[datetime, UUID | None]

_CANONICAL_LENGTH = 36


def object_id(text: str, missing: type[InboxError]) -> UUID:
    """An id. A malformed one is answered like a missing object."""
    if len(text) != _CANONICAL_LENGTH or not text.isascii():
        raise missing
    try:
        return UUID(text)
    except ValueError:
        raise missing from None


def page_size(text: str | None, *, default: int, most: int) -> int:
    """A `limit` within 1 and `most`."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise Invalid("query.limit", f"a whole number from 1 to {most}")
    return int(text)


def position(text: str | None, name: str) -> Before | None:
    """A cursor of ours or a bare timestamp."""
    if not text:
        return None
    found = decode_cursor(text, name=f"query.{name}")
    return found.at, found.id


def next_page(at: datetime, row_id: UUID, query: Mapping[str, str], name: str) -> dict[str, str]:
    """The headers that lead to the next page; the link is relative, so that it stays right behind a proxy."""
    cursor = encode_cursor(at, row_id)
    return {"X-Next-Cursor": cursor, "Link": f'<?{urlencode({**query, name: cursor})}>; rel="next"'}
