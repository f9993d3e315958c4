"""Conditional requests (RFC 9110, section 13): front ends that poll get 304 as long as nothing has changed.

A validator is a place in the event log, noted before the rows were read: every change of what lists and threads show
writes an event in its own transaction, so they are unchanged if the log has no later event of theirs. (The two moments
in which a send is `claimed` and on the `wire` have none: its `delivery_state` may stay the one before.) One small
statement answers that, whatever the size of the list. Whoever asks is authorised as for the rows themselves.
"""

import hashlib
import re
from typing import Any, Final, TypeVar

from litestar import Request, Response
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec

from inbox.domain.access import Actor
from inbox.domain.feed import Cursor
from inbox.domain.feed_errors import CursorExpired
from inbox.entrypoints.feed import Feed

T = TypeVar("T")

NOT_MODIFIED: Final = {
    304: ResponseSpec(data_container=None, description="Nothing has changed since", generate_examples=False)
}
"""What a route declares that answers conditional requests."""
_TAG: Final = re.compile(r'(?:W/)?"([0-9a-f]{12}-[0-9]{1,18})-([0-9a-f]{16})"', re.ASCII)
_OLDEST: Final = 10_000
"""Events; with an older validator the rows are read rather than so much of the log."""


class Validator:
    """Of one request. `since` is the place up to which the caller knows everything; None if it has to read."""

    def __init__(self, request: Request[Any, Any, Any], actor: Actor, head: Cursor | None, shapes: str) -> None:
        """`head` is the end of the log; `shapes` changes whenever the same rows may be shown in another way."""
        asked = f"{shapes} {actor.user_id} {request.url.path}?".encode() + request.scope["query_string"]
        self._of = hashlib.sha256(asked).hexdigest()[:16]
        self._given = request.headers.get("if-none-match", "")
        self._head = head
        self.since = None if head is None else self._known(head)

    def _known(self, head: Cursor) -> int | None:
        found = _TAG.fullmatch(self._given)
        if found is None or found[2] != self._of:
            return None
        try:
            cursor = Cursor.parse(found[1])
        except CursorExpired:
            return None
        is_near = cursor.generation == head.generation and head.id - _OLDEST <= cursor.id <= head.id
        return cursor.id if is_near else None

    def unchanged(self) -> Response[Any]:
        """304, for who has the rows already."""
        return Response(None, status_code=304, headers={"ETag": self._given, **_KEPT})

    def mark(self, response: Response[T]) -> Response[T]:
        """The rows, with what to ask with the next time; without it while the log cannot be read."""
        if self._head is not None:
            response.headers |= {"ETag": f'W/"{self._head}-{self._of}"', **_KEPT}
        return response


_KEPT: Final = {"Cache-Control": "private, no-cache"}
"""A browser may keep the rows for this person alone, and asks each time whether they are still true."""


class Validators:
    """Makes them."""

    def __init__(self, feed: Feed, shapes: str) -> None:
        self._feed = feed
        self._shapes = shapes

    def of(self, request: Request[Any, Any, Any], actor: Actor) -> Validator:
        return Validator(request, actor, self._feed.mark(), self._shapes)


async def validator(request: Request[Any, Any, Any], actor: NamedDependency[Actor]) -> Validator:
    """A dependency of the routes that answer conditional requests."""
    validators: Validators = await request.app.state.dishka_container.get(Validators)
    return validators.of(request, actor)


CONDITIONAL: Final = {"validator": Provide(validator)}
