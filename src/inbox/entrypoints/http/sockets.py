"""What our WebSockets have in common: what clients may say, how long they may take, and how they end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from inbox.domain.errors import InboxError, Kind
from inbox.entrypoints.taps import Closing
from inbox.kit.client_address import origin_of

SEND_WITHIN: Final = 20.0
"""Seconds that a listener may take for one piece. Who is slower comes back with its cursor."""
CLOSE_WITHIN: Final = 5.0
"""Seconds for the last word: who lost a right, or holds up a process that ends, is not waited for any longer."""
_LONGEST: Final = 65_536
"""Characters of a message from a client. The server below has no limit of its own and hands over whole messages."""
_MOST_MESSAGES, _IN_SECONDS = 100, 10.0
IDLE: Final = "subscribe_first"
"""A connection on which nothing is subscribed or joined ends."""
CODES: Final[Mapping[str, int]] = {
    Kind.UNAUTHENTICATED: 4401,
    Kind.FORBIDDEN: 4403,
    Kind.THROTTLED: 4429,
    Kind.MALFORMED: 4400,
    Kind.NOT_FOUND: 4404,
    Closing.RIGHTS: 4403,
    Closing.LIFETIME: 4401,
    Closing.SLOW: 4408,
    IDLE: 4408,
    Closing.RESET: 4410,
    Closing.STOPPING: 1012,
}
"""Of the end of a connection: 4000 and the HTTP status that says the same; 1012 is "service restart" (RFC 6455's
registry), 1013 "try again later"."""
TRY_AGAIN: Final = 1013
_NOT_TEXT: Final = 1003
FULL: Final = "too_many_connections"
TOO_MANY: Final = "too_many_messages"


class Ended(Exception):
    """Why a connection ends, in a word and a code of RFC 6455."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def ended(error: InboxError) -> Ended:
    return Ended(error.code, CODES.get(error.kind, TRY_AGAIN))


def address_of(socket: WebSocket[Any, Any, Any]) -> str:
    """Where the client comes from, also behind proxies of ours; all who have no address share one."""
    return origin_of(socket.client.host if socket.client else None)


@asynccontextmanager
async def within(seconds: float, reason: str) -> AsyncIterator[None]:
    """Raises `Ended` after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Ended(reason, CODES.get(reason, CODES[Kind.MALFORMED])) from None


async def texts(socket: WebSocket[Any, Any, Any], *, silent_for: float | None = None) -> AsyncIterator[str]:
    """What the client says. Raises `Ended` if it says too much, bytes, or nothing for so many seconds.

    Raises `WebSocketDisconnect` when it is gone.

    Not to be cancelled by anything but the end of the connection.
    """
    begun, count = time.monotonic(), 0
    while True:
        try:
            async with asyncio.timeout(silent_for):
                event = await socket.receive()
        except TimeoutError:
            raise Ended("silent", TRY_AGAIN) from None
        if event["type"] != "websocket.receive":
            raise WebSocketDisconnect(detail="gone")
        text = event.get("text")
        if not isinstance(text, str):
            raise Ended("not_text", _NOT_TEXT)
        if len(text) > _LONGEST:
            raise Ended("message_too_long", 1009)
        if time.monotonic() - begun > _IN_SECONDS:
            begun, count = time.monotonic(), 0
        count += 1
        if count > _MOST_MESSAGES:
            raise Ended(TOO_MANY, CODES[Kind.THROTTLED])
        yield text


async def finish(ends: Sequence[BaseException | None], tell: Callable[[Ended], Awaitable[None]]) -> None:
    """Says why a connection ends, if there is somebody to say it to; with nothing among `ends` this process does.

    `ends` are what its tasks raised, the first one counts. Raises a bug.
    """
    for end in (*ends, Ended(Closing.STOPPING, CODES[Closing.STOPPING])):
        match end:
            case WebSocketDisconnect():
                return
            case Ended():
                await tell(end)
                return
            case None | asyncio.CancelledError():
                pass
            case BaseException():
                await tell(Ended("internal_error", TRY_AGAIN))
                raise end


async def close(socket: WebSocket[Any, Any, Any], end: Ended, *, said: str | None = None) -> None:
    """Ends the connection; `said` goes before, because not every client shows the reason of a close frame."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN):
            if said is not None:
                await socket.send_text(said)
            await socket.close(code=end.code, reason=end.reason)
