"""HTTP calls to other services: the only importer of httpx and aiohttp.

httpx's requests over the transport of aiohttp: httpx's own one collapses under concurrency, but can be chosen instead;
its client costs more than the rest of a call. That transport names every broken connection `ConnectTimeout`, also one
that broke after the request was processed. So what a failure means is never read from its type, only from the steps
that `Exchange` wrote down. The contract test is the table of faults in `tests/kit/test_http_faults.py`.

No cookies, no redirects, no repetition, no proxy from the environment. Deadlines of whole calls are Guard's.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Final, Literal, TypeAlias

import aiohttp
import httpx
import httpx_aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from inbox.kit.exchange import CallFailed, Exchange, Fence, Progress, Reach
from inbox.kit.gauges import Connections

__all__ = [
    "ApiClient",
    "CallFailed",
    "Fence",
    "Limits",
    "Progress",
    "Reach",
    "Reply",
    "StreamedReply",
    "Timeouts",
]

Content: TypeAlias = bytes | AsyncIterator[bytes] | None

_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "whatsapp-inbox"}
_BREAKS_A_HEADER: Final = re.compile(r"[\r\n\0]")
_TRANSPORT_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "dns"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timeout"),
    (httpx.TimeoutException, "timeout"),
    (ConnectionResetError, "reset"),
    (BrokenPipeError, "reset"),
    (aiohttp.ServerDisconnectedError, "closed"),
)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `pool` caps waiting for a connection and connecting together, so it is above `connect`.

    `write` has no effect with the aiohttp transport; the total deadline covers it. `fence`: from the start of the fence
    until writing begins; later nothing is written, because others may believe by then that the send is over.
    """

    connect: float = 3.0
    read: float = 7.0
    write: float = 3.0
    pool: float = 4.0
    fence: float = 2.0

    def __post_init__(self) -> None:
        if self.pool <= self.connect:
            raise ValueError("the pool timeout covers connecting too and must be above the connect timeout")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Connections at most and idle ones among them, seconds that an idle one is kept, and bytes that `call` reads."""

    connections: int = 100
    kept_alive: int = 20
    keepalive_for: float = 30.0
    body: int = 4 << 20


class Reply(msgspec.Struct, frozen=True):
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedReply(msgspec.Struct, frozen=True):
    """`chunks` raises CallFailed(ANSWERED) if the body breaks off, stalls, or exceeds the limit."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


_current: ContextVar[Exchange] = ContextVar("inbox_http_exchange")


class _Connector(aiohttp.TCPConnector):
    """Runs the fence when a connection, new or kept, stands and nothing is written yet.

    Here rather than in aiohttp's signals, which lose the connection when they raise: a refused call gives it back
    unused. Should aiohttp stop calling this method, the fence still runs before the first byte (`Exchange.writing`).

    It also closes what comes back while `kept_alive` connections are idle: aiohttp itself has no such limit.
    """

    def __init__(self, *, limit: int, kept_alive: int, keepalive_timeout: float, ssl: ssl.SSLContext) -> None:
        super().__init__(limit=limit, keepalive_timeout=keepalive_timeout, ssl=ssl)
        self._kept_alive = kept_alive

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        is_full = sum(map(len, self._conns.values())) >= self._kept_alive
        super()._release(key, protocol, should_close=should_close or is_full)

    def usage(self) -> Connections:
        waiting = sum(map(len, self._waiters.values()))
        return Connections(len(self._acquired), sum(map(len, self._conns.values())), waiting, self.limit)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        exchange = _current.get()
        try:
            await exchange.connected()
            _must_be_open(connection, exchange)
        except BaseException:
            connection.release()
            raise
        return connection


def _must_be_open(connection: Connection, exchange: Exchange) -> None:
    """The peer may have closed it while the fence ran: proof that nothing was sent, lost as soon as writing begins."""
    if connection.protocol is None or not connection.protocol.is_connected():
        raise exchange.stopped("closed")


def _tracing() -> aiohttp.TraceConfig:
    async def queued(*_: object) -> None:
        _current.get().is_queued = True

    async def dequeued(*_: object) -> None:
        _current.get().is_queued = False

    async def writing(*_: object) -> None:
        await _current.get().writing()

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_queued_start.append(queued)
    tracing.on_connection_queued_end.append(dequeued)
    tracing.on_request_headers_sent.append(writing)  # headers are only buffered by then
    tracing.on_request_chunk_sent.append(writing)  # awaited before the write
    return tracing


async def _on_httpcore(exchange: Exchange, event: str, _: Mapping[str, object]) -> None:
    """The `trace` extension of httpcore, awaited at each step."""
    if event == "http11.send_request_headers.started":
        await exchange.connected()
        await exchange.writing()


class ApiClient:
    """One client per purpose, for the life of the process; connects when first used, in the loop of that use."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        origins: frozenset[str] = frozenset(),
        transport: Literal["aiohttp", "httpx"] = "aiohttp",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`origins`, like `https://lookaside.fbsbx.com`, may be named by an absolute `path`, beside that of base_url.

        `tls` replaces the context with the system's authorities.
        """
        self.name = name
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or Limits()
        self._tls = tls or ssl.create_default_context()
        self._kind: Literal["aiohttp", "httpx"] = transport
        self._origins = origins | {_origin(httpx.URL(base_url))}
        self._connector: _Connector | None = None
        self._times = {name: getattr(self._timeouts, name) for name in ("connect", "read", "write", "pool")}
        self._base = httpx.URL(base_url)
        self._address = lru_cache(maxsize=256)(self._allowed)
        self._transport = self._made()

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        params: Mapping[str, str] | None = None,
        fence: Fence | None = None,
        progress: Progress | None = None,
    ) -> Reply:
        """One attempt; the whole answer in memory. Raises CallFailed, or what the fence raised."""
        exchange = Exchange(fence, self._timeouts.fence, progress)
        request = self._request(method, path, headers, content, params)
        async with self._opened(request, exchange) as response:
            chunks = _capped(response, exchange, self._limits.body, idle=None)
            body = b"".join([chunk async for chunk in chunks])
            return Reply(response.status_code, _lower(response), body)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        params: Mapping[str, str] | None = None,
        idle: float | None = None,
    ) -> AsyncIterator[StreamedReply]:
        """The answer in pieces: `limit` bytes at most, `idle` seconds between two pieces (default: timeouts.read).

        Leaving the block early closes the connection. Raises CallFailed when opening fails.
        """
        exchange = Exchange(None, self._timeouts.fence, None)
        request = self._request(method, path, headers, content, params)
        async with self._opened(request, exchange) as response:
            chunks = _capped(response, exchange, limit, idle=idle or self._timeouts.read)
            async with aclosing(chunks):
                yield StreamedReply(response.status_code, _lower(response), chunks)

    def pointed_at(self, base_url: str) -> "ApiClient":
        """Another client with the same transport, times and limits."""
        return ApiClient(self.name, base_url, timeouts=self._timeouts, limits=self._limits, transport=self._kind)

    def connections(self) -> Connections:
        """What the pool of aiohttp's transport holds at this moment."""
        return self._connector.usage() if self._connector else Connections(0, 0, 0, self._limits.connections)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _made(self) -> httpx.AsyncBaseTransport:
        if self._kind == "httpx":
            return httpx.AsyncHTTPTransport(
                verify=self._tls,
                trust_env=False,
                retries=0,
                limits=httpx.Limits(
                    max_connections=self._limits.connections,
                    max_keepalive_connections=self._limits.kept_alive,
                    keepalive_expiry=self._limits.keepalive_for,
                ),
            )
        return httpx_aiohttp.AiohttpTransport(verify=self._tls, client=self._session)

    def _session(self) -> aiohttp.ClientSession:
        self._connector = _Connector(
            limit=self._limits.connections,
            kept_alive=self._limits.kept_alive,
            keepalive_timeout=self._limits.keepalive_for,
            ssl=self._tls,
        )
        session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_tracing()],
        )
        # aiohttp repeats GET, PUT and DELETE once on a broken connection; there is no public switch, its own test
        # client sets this one. A test counts the requests that the peer gets.
        session._retry_connection = False  # noqa: SLF001
        return session

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        content: Content,
        params: Mapping[str, str] | None,
    ) -> httpx.Request:
        if any(_BREAKS_A_HEADER.search(value) for value in (headers or {}).values()):
            raise CallFailed(Reach.NOTHING, "invalid_request")
        try:
            return httpx.Request(
                method,
                self._address(path),
                params=params or None,
                headers={**_HEADERS, **(headers or {})},
                content=content,
                extensions={"timeout": self._times},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise CallFailed(Reach.NOTHING, "invalid_request") from error

    def _allowed(self, path: str) -> httpx.URL:
        """The whole address; a path is appended to that of the base."""
        url = httpx.URL(path)
        if url.is_relative_url:
            url = self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + b"/" + url.raw_path.lstrip(b"/"))
        if _origin(url) not in self._origins or url.userinfo:
            raise CallFailed(Reach.NOTHING, "not_allowed")
        return url

    @asynccontextmanager
    async def _opened(self, request: httpx.Request, exchange: Exchange) -> AsyncIterator[httpx.Response]:
        request.extensions["trace"] = partial(_on_httpcore, exchange)
        token = _current.set(exchange)
        try:
            response = await self._transport.handle_async_request(request)
        except _TRANSPORT_ERRORS as error:
            raise exchange.failed(_reason(error, exchange)) from error
        finally:
            _current.reset(token)
        exchange.progress.status = response.status_code
        if response.headers.get("content-encoding", "identity") != "identity":
            # Nobody asked for it, and few packed bytes can be many: the limits below count unpacked ones too late.
            await _discard(response)
            raise exchange.failed("encoded")
        try:
            yield response
        finally:
            await _discard(response)


async def _discard(response: httpx.Response) -> None:
    """The answer is complete, or its error is under way already; how closing went changes nothing."""
    with suppress(*_TRANSPORT_ERRORS):
        await response.aclose()


async def _capped(
    response: httpx.Response, exchange: Exchange, limit: int, *, idle: float | None
) -> AsyncGenerator[bytes, None]:
    """The body in pieces, at most `limit` bytes, `idle` seconds between two pieces."""
    size = 0
    pieces = response.aiter_bytes()
    while (piece := await _next(pieces, exchange, idle)) is not None:
        size += len(piece)
        if size > limit:
            raise exchange.failed("too_large")
        yield piece


async def _next(pieces: AsyncIterator[bytes], exchange: Exchange, idle: float | None) -> bytes | None:
    try:
        async with asyncio.timeout(idle):
            return await anext(pieces, None)
    except _TRANSPORT_ERRORS as error:
        raise exchange.failed(_reason(error, exchange)) from error


def _reason(error: BaseException, exchange: Exchange) -> str:
    """One word, from the root of the chain of causes."""
    is_nothing = exchange.progress.reach is Reach.NOTHING
    known = (reason for cause in _root_first(error) for kind, reason in _REASONS if isinstance(cause, kind))
    reason = next(known, "connect_failed" if is_nothing else "broken")
    if reason != "timeout":
        return reason
    if not is_nothing:
        return "read_timeout"
    is_queued = exchange.is_queued or isinstance(error, httpx.PoolTimeout)
    return "pool_timeout" if is_queued else "connect_timeout"


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _lower(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _root_first(error: BaseException) -> list[BaseException]:
    """The chain of causes; httpcore keeps its cause as the first argument."""
    chain: list[BaseException] = []
    cause: object = error
    while isinstance(cause, BaseException) and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or next(iter(cause.args), None)
    return chain[::-1]
