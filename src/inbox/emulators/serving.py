"""Serves an emulator over real HTTP in the running event loop, and can break a connection as a real network does.

granian answers 500 when an application gives up (measured with 2.8.7: raise, return and cancel alike), so no ASGI
application under it can drop a connection. aiohttp's low-level server hands over the transport. It costs no thread
and no second hop, and the same function serves tests, the demo and `inbox emulator`.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from litestar import Litestar
from litestar.types import (
    ASGIApp,
    HTTPDisconnectEvent,
    HTTPRequestEvent,
    HTTPScope,
    LifeSpanReceiveMessage,
    LifeSpanSendMessage,
    LifeSpanShutdownEvent,
    LifeSpanStartupEvent,
    Message,
    ReceiveMessage,
    Scope,
    Send,
)
from msgspec import Struct

ABORT_EXTENSION: Final = "inbox.emulators.abort"
SHUTDOWN_SECONDS: Final = 2.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close sends RST
_BACKLOG: Final = 1024
_LONGEST_LINE: Final = 65_536
"""Bytes of a URL or a header: more than a text of 1,000 characters, each of twelve bytes, in a query."""


class Served(Struct, frozen=True):
    """Where an emulator listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def abort_connection(scope: Scope) -> None:
    """Reset the client's TCP connection now; whatever the application answers afterwards goes nowhere.

    Raises RuntimeError under a server that cannot do it.
    """
    extensions: dict[str, Any] = scope.get("extensions") or {}
    abort: Callable[[], None] | None = extensions.get(ABORT_EXTENSION, {}).get("abort")
    if abort is None:
        raise RuntimeError("this server cannot abort a connection; serve the emulator with inbox.emulators.serving")
    abort()


@asynccontextmanager
async def serve(app: Litestar, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Served]:
    """Run the app in this event loop, its start-up and shut-down hooks included, until the block ends.

    Port 0 takes a free one. Raises OSError if the port is taken, RuntimeError if a start-up hook failed.
    """
    async with _running(app):
        server = _Server(app)
        listener = await asyncio.get_running_loop().create_server(server, host, port, backlog=_BACKLOG)
        try:
            yield Served(host, listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
            await server.shutdown(SHUTDOWN_SECONDS)


@asynccontextmanager
async def _running(app: Litestar) -> AsyncIterator[None]:
    """The ASGI lifespan in a task of its own: `app.lifespan()` would wrap whatever the block raises into groups."""
    orders: asyncio.Queue[LifeSpanReceiveMessage] = asyncio.Queue(maxsize=2)
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()  # empty, or what went wrong

    async def send(message: LifeSpanSendMessage) -> None:  # ASGI wants a coroutine
        if not started.done():
            started.set_result(message.get("message", "") if message["type"] == "lifespan.startup.failed" else "")

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.get_running_loop().create_task(app(scope, orders.get, cast("Send", send)))
    orders.put_nowait(LifeSpanStartupEvent(type="lifespan.startup"))
    either: tuple[asyncio.Future[Any], ...] = (life, started)
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if life.done() or started.result():
            await asyncio.gather(life, return_exceptions=True)
            raise RuntimeError(f"the emulator did not start: {started.result() if started.done() else life}")
        yield
    finally:
        if not life.done():
            orders.put_nowait(LifeSpanShutdownEvent(type="lifespan.shutdown"))
            await life


class _Server(web.Server):
    """aiohttp requests in, ASGI calls out. HTTP only: no emulator speaks WebSocket."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(self._answer, access_log=None, max_line_size=_LONGEST_LINE)
        self._app = app
        self._exchanges: dict[RequestHandler, _Exchange] = {}  # at most one per connection

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = self._exchanges[request.protocol] = _Exchange(request)
        try:
            await self._app(exchange.scope(), exchange.receive, exchange.send)
        finally:
            del self._exchanges[request.protocol]
        return exchange.response()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if handler in self._exchanges:
            self._exchanges[handler].end()


class _Exchange:
    """One request and its response."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._over = asyncio.Event()  # answered, or the client went away
        self._body_ended = False
        self._aborted = False
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._response: web.StreamResponse | None = None

    def scope(self) -> HTTPScope:
        request = self._request
        raw_path, _, query = request.raw_path.partition("?")
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
            "client": (request.remote or "", 0),
            "server": None,
            "extensions": {ABORT_EXTENSION: {"abort": self.abort}},
            "state": {},
        }
        return cast("HTTPScope", scope)  # the router fills in the keys that litestar's type adds to ASGI's

    async def receive(self) -> ReceiveMessage:
        if self._body_ended:
            await self._over.wait()
            return HTTPDisconnectEvent(type="http.disconnect")
        content = self._request.content
        try:
            chunk = await content.readany()
        except (OSError, web.RequestPayloadError):  # the client went away in the middle of its request
            self._body_ended = True
            return HTTPDisconnectEvent(type="http.disconnect")
        self._body_ended = content.at_eof()
        return HTTPRequestEvent(type="http.request", body=chunk, more_body=not self._body_ended)

    async def send(self, message: Message) -> None:
        if self._aborted:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            await self._send_body(message["body"], more=message["more_body"])

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        if not more:
            self.end()
        if self._response is None and not more:
            self._response = web.Response(status=self._status, headers=self._headers, body=body)
            return
        if self._response is None:
            self._response = web.StreamResponse(status=self._status, headers=self._headers)
            await self._response.prepare(self._request)
        await self._response.write(body)

    def response(self) -> web.StreamResponse:
        """What the application answered; nothing at all is a fault of the emulator itself."""
        if self._response is None and not self._aborted:
            raise RuntimeError(f"{self._request.method} {self._request.path} was left without an answer")
        return self._response or web.Response(status=self._status)

    def end(self) -> None:
        """From now on `receive` says that the client is gone, as ASGI wants it after the last byte too."""
        self._over.set()

    def abort(self) -> None:
        self._aborted = True
        self.end()
        transport = self._request.transport
        if transport is None:
            return
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
