"""Reading what a request names: ids, limits, cursors."""

from uuid import UUID

from litestar.params import QueryParameter

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import InboxError, Invalid
from inbox.kit.paging import decode_cursor
from inbox.ports.queries import Before

_CANONICAL_LENGTH = 36


def object_id(text: str, missing: type[InboxError]) -> UUID:
    """An id. A malformed one is answered like a missing object."""
    found = uuid_in(text)
    if found is None:
        raise missing
    return found


def managed_id(actor: Actor, text: str, missing: type[InboxError], *codes: Permission) -> UUID:
    """The id in the path of a call that needs `codes` everywhere.

    Whoever lacks them is not even told that a malformed id names nothing. Raises `PermissionDenied`, `missing`.
    """
    actor.require_everywhere(*codes)
    return object_id(text, missing)


def id_in_body(text: str, path: str) -> UUID:
    """The id that a body names at `path`. Raises `Invalid` for a malformed one."""
    found = uuid_in(text)
    if found is None:
        raise Invalid(path, f"an id, in {_CANONICAL_LENGTH} characters")
    return found


def page_limit(*, default: int | None, most: int) -> QueryParameter:
    """How a `limit` is described; `page_size` reads it."""
    extra = {"type": "integer", "minimum": 1, "maximum": most}
    return QueryParameter(schema_extra=extra if default is None else {**extra, "default": default})


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


def uuid_in(text: str) -> UUID | None:
    """None for anything that is not written as an id of ours."""
    if len(text) != _CANONICAL_LENGTH or not text.isascii():
        return None
    try:
        return UUID(text)
    except ValueError:
        return None
