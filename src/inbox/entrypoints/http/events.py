"""What changed: page by page, or as Server-Sent Events on the same path; and tickets for browsers.

Server-Sent Events are described by the HTML Standard, section 9.2: `id` is the cursor, an event without `event` is one
of the log, and those with a name (`reset`, `presence`, `closing`) have no place in it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from inbox.domain.access import Actor
from inbox.domain.errors import AccountNotFound, ConversationNotFound, InboxError, Invalid
from inbox.domain.feed import Cursor, Interest
from inbox.domain.ids import AccountId, ConversationId, UserId
from inbox.domain.presence import GOOD_FOR, Presence
from inbox.domain.signals import ColleagueSeen
from inbox.entrypoints.connections import Connections
from inbox.entrypoints.feed import Feed, Page
from inbox.entrypoints.http.interests import permitted
from inbox.entrypoints.http.parameters import object_id, page_limit, page_size
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.entrypoints.http.sockets import CLOSE_WITHIN, SEND_WITHIN
from inbox.entrypoints.taps import Closing, Taken, Tap, TapClosed
from inbox.services.rights import Rights
from inbox.services.tickets import GOOD_FOR as TICKET_SECONDS
from inbox.services.tickets import EventTickets

STREAM: Final = "text/event-stream"
HEARTBEAT: Final = 15.0
"""Seconds after which something is sent in any case: proxies close what is silent, and the cursor goes on."""
_PIECE: Final = 65_536
"""Bytes after which a piece is sent: before the next one it is asked again whether the listener may hear it."""
_RETRY: Final = b"retry: 2000\n\n"
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

_encode: Final = msgspec.json.Encoder().encode


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody of the team does; true for `good_for` seconds, unless it is said again."""

    account_id: AccountId
    conversation_id: ConversationId
    user_id: UserId
    display_name: str | None
    state: Presence
    good_for: float

    @classmethod
    def of(cls, seen: ColleagueSeen) -> "Colleague":
        return cls(
            account_id=seen.account_id,
            conversation_id=seen.conversation_id,
            user_id=seen.user_id,
            display_name=seen.display_name,
            state=seen.state,
            good_for=GOOD_FOR[seen.state],
        )


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """`ticket` goes into the query of one connection, within `expires_in` seconds."""

    ticket: str
    expires_in: float


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin, and what is left of what the caller may see."""

    after: str | None
    last_event_id: str | None
    account_id: str | None
    conversation_id: str | None
    presence: bool


async def asked(
    after: Annotated[str | None, QueryParameter()] = None,
    account_id: Annotated[str | None, QueryParameter()] = None,
    conversation_id: Annotated[str | None, QueryParameter()] = None,
    presence: Annotated[str | None, QueryParameter(schema_extra={"enum": ["true", "false"]})] = None,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Asked:
    """Reads the query. Raises `Invalid`."""
    if presence not in (None, "true", "false"):
        raise Invalid("query.presence", "true or false")
    return Asked(
        after=after,
        last_event_id=last_event_id,
        account_id=account_id,
        conversation_id=conversation_id,
        presence=presence == "true",
    )


@get(
    "/events",
    permission="signed in",
    ticket=True,
    dependencies={"asked": Provide(asked)},
    responses=documented(*SIGNED_IN, 404, 410, 422, 429),
)
@inject
async def read_events(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    feed: FromDishka[Feed],
    connections: FromDishka[Connections],
    rights: FromDishka[Rights],
    asked: NamedDependency[Asked],
    limit: Annotated[str | None, page_limit(default=100, most=500)] = None,
) -> Response[Page]:
    """Changes after a cursor, oldest first, of everything that the caller may see or of what the filters leave.

    Without `after` the answer is empty, and its cursor is where to begin: ask for it before lists are read, and nothing
    is missed. 410 means that the cursor is too old: read the lists anew and begin without one. With
    `Accept: text/event-stream` the same events come as they happen, from `Last-Event-ID` or `after` on; there a `reset`
    takes the place of 410, and `presence=true` adds what colleagues do. A browser's EventSource passes a `ticket`
    (`POST /events/tickets`) instead of a header.
    """
    size = page_size(limit, default=100, most=500)
    interest = await _interest(actor, rights, asked)
    if STREAM in request.headers.get("accept", ""):
        return EventStream(feed, connections, actor, interest, asked.last_event_id or asked.after)
    cursor = None if asked.after is None else Cursor.parse(asked.after)
    return Response(await feed.page(actor, interest, cursor, size))


async def _interest(actor: Actor, rights: Rights, asked: Asked) -> Interest:
    """Raises `AccountNotFound` and `ConversationNotFound` for what the caller may not know of."""
    accounts, conversations = None, None
    if asked.account_id is not None:
        accounts = [AccountId(object_id(asked.account_id, AccountNotFound))]
    if asked.conversation_id is not None:
        conversations = [ConversationId(object_id(asked.conversation_id, ConversationNotFound))]
    return await permitted(rights, actor, accounts, conversations, presence=asked.presence)


class EventStream(Response[Any]):
    """Answers with Server-Sent Events until the client is gone or its tap is closed."""

    def __init__(
        self, feed: Feed, connections: Connections, actor: Actor, interest: Interest, after: str | None
    ) -> None:
        super().__init__(None, media_type=STREAM)
        self._streaming = _Streaming(feed, connections, actor, interest, after)

    def to_asgi_response(self, *_: object, **__: object) -> ASGIResponse:
        return self._streaming


class _Streaming(ASGIResponse):
    def __init__(
        self, feed: Feed, connections: Connections, actor: Actor, interest: Interest, after: str | None
    ) -> None:
        super().__init__(media_type=STREAM)
        self._connections = connections
        self._listening = feed.listening(actor, interest, after)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Raises, before anything is sent, what `Feed.listening` raises."""
        with self._connections.held():
            async with self._listening as tap:
                await self._hold(tap, receive, send)

    async def _hold(self, tap: Tap, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(tap, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        if sending.done() and not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send_all(self, tap: Tap, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _body(send, _RETRY + _place(tap.cursor))
        try:
            while True:
                for piece in _pieces(_frames(await tap.take(HEARTBEAT * tap.pace), tap)):
                    tap.check()
                    await _body(send, piece)
        except TapClosed as closed:
            reason = closed.reason
        except TimeoutError:
            return  # too slow: it comes back with the last cursor that it got
        except InboxError:
            reason = Closing.STOPPING
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await _body(send, _named("closing", {"reason": reason}))
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(send: Send, piece: bytes) -> None:
    """Raises TimeoutError for a client that does not read."""
    async with asyncio.timeout(SEND_WITHIN):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _frames(taken: Taken, tap: Tap) -> Iterator[bytes]:
    if taken.is_reset:
        yield _named("reset", {"reason": "cursor_expired"})
    for item in taken.items:
        yield b"id: %s\ndata: %s\n\n" % (item.cursor, item.json)
    for seen in taken.whispers:
        yield _named("presence", Colleague.of(seen))
    if not taken.items:
        yield _place(tap.cursor)


def _pieces(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Whole frames, as many as make a piece."""
    piece, size = [], 0
    for frame in frames:
        piece.append(frame)
        size += len(frame)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


def _place(cursor: Cursor) -> bytes:
    """An event without data is no event; the browser keeps its id all the same."""
    return b"id: %s\n\n" % str(cursor).encode()


def _named(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


@post("/events/tickets", status_code=200, permission="signed in", responses=documented(*SIGNED_IN))
@inject
async def issue_ticket(actor: NamedDependency[Actor], tickets: FromDishka[EventTickets]) -> Ticket:
    """A ticket for one connection to `/events` or `/events/ws`, which goes into the URL: tokens never do."""
    return Ticket(ticket=await tickets.issue(actor), expires_in=TICKET_SECONDS)


events_router = Router("/", route_handlers=[read_events, issue_ticket])
