"""What every request passes: an id, safe headers, metrics; and how a bearer token becomes the caller."""

import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from dishka import AsyncContainer
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from inbox.domain.access import Actor
from inbox.domain.errors import MissingToken
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.http.origins import Origins, require_own_page
from inbox.kit import tracing
from inbox.kit.client_address import Network, client_address
from inbox.kit.telemetry import Metrics
from inbox.ports.identity import Identity
from inbox.services.members import Members
from inbox.services.tickets import EventTickets

_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SAFE: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
"""Headers of every answer, unless it has its own by these names."""
BEGUN: Final = "begun"
"""In the state of a request: when it was begun, if that was before the middleware."""
_REFUSED: Final = 400
_LOOKS: Final = ("/health", "/health/live", "/health/ready")
"""Pages that machines look at every few seconds, as at the metrics: told at debug while all is well."""

_log = structlog.stdlib.get_logger("inbox.requests")


def request_id(scope: Scope) -> str:
    """The id of this request: the caller's `X-Request-ID` if it is harmless, else one of ours."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if "request_id" not in state:
        given = _header(scope, b"x-request-id")
        state["request_id"] = given if _ID.fullmatch(given) else _some_hex(8)
    return str(state["request_id"])


def _some_hex(size: int) -> str:
    """So many bytes for people to look for: no secret, so the system need not be asked, which costs far more."""
    return random.randbytes(size).hex()  # noqa: S311


def _header(scope: Scope, name: bytes) -> str:
    """The last one of this name, or an empty text."""
    return dict(scope["headers"]).get(name, b"").decode("latin-1")


async def add_headers(message: Message, scope: Scope) -> None:
    """On every answer, errors included (a `before_send` hook)."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["x-request-id"] = request_id(scope)
    for name, value in SAFE.items():
        headers.setdefault(name, value)
    if scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS" and "allow" in headers:
        headers["allow"] = _allowed(scope)


async def tell_strays(message: Message, scope: Scope) -> None:
    """The line of a request that reached no route, so that `measured` never saw it (a `before_send` hook)."""
    if message["type"] != "http.response.start" or scope.get("path_template") is not None:
        return
    _log.info(
        "request",
        handler="none",
        method=_verb(scope),
        status=message["status"],
        actor="none",
        request_id=request_id(scope),
        trace_id=_trace_id(scope),
    )


def _allowed(scope: Scope) -> str:
    """All methods of the path: the framework's own answer names only those of the first handler."""
    routes = (route for route in scope["litestar_app"].routes if isinstance(route, HTTPRoute))
    found = {method for route in routes if route.path_format == scope["path_template"] for method in route.methods}
    return ", ".join(sorted(found))


def behind(proxies: Sequence[Network]) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware that puts the client's address where that of the connection stood, if one of `proxies` connected."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
            client = scope.get("client")
            if client is not None:
                forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
                scope["client"] = (client_address(client[0], forwarded, proxies) or client[0], client[1])
            await app(scope, receive, send)

        return middleware

    return wrap


def measured(
    metrics: Metrics, prefix: str = "", clock: Callable[[], float] = time.perf_counter
) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware that counts, logs and traces requests by route template, never by URL.

    A route has one name, whether it was asked for below `prefix` or not.
    """

    def wrap(app: ASGIApp) -> ASGIApp:
        async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            if not metrics.spans.is_on:
                with structlog.contextvars.bound_contextvars(request_id=request_id(scope), trace_id=_trace_id(scope)):
                    await _measure(app, scope, receive, send)
                return
            given = _header(scope, b"traceparent")
            with (
                structlog.contextvars.bound_contextvars(request_id=request_id(scope)),
                metrics.spans.span(f"{_verb(scope)} {_template(scope, prefix)}", given) as span,
            ):
                span.note("status", await _measure(app, scope, receive, send))

        async def _measure(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> int:
            begun, answer = scope.get("state", {}).get(BEGUN) or clock(), _Answer(send)
            handler, method = _template(scope, prefix), str(scope.get("method", ""))
            received = int(_header(scope, b"content-length") or 0)
            with metrics.in_progress(handler, method):
                try:
                    await app(scope, receive, answer)
                finally:
                    took = clock() - begun
                    metrics.request(handler, method, answer.status, took, (received, answer.sent))
                    is_look = handler in _LOOKS or handler == metrics.page
                    _tell(scope, handler, answer.status, took, is_look=is_look)
            return answer.status

        return middleware

    return wrap


class _Answer:
    """Sends an answer on and notes its status and size; 500 until it has begun."""

    def __init__(self, send: Send) -> None:
        self.status = 500
        self.sent = 0
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.sent += len(message["body"])
        await self._send(message)


def _template(scope: Scope, prefix: str) -> str:
    """The route without the prefix, like `/messages/{conversation_id}`; empty if there is none."""
    template = str(scope.get("path_template", ""))
    if prefix and f"{template}/".startswith(f"{prefix}/"):
        return template.removeprefix(prefix) or "/"
    return template


def _trace_id(scope: Scope) -> str:
    """That of whoever called, or one of its own: the lines of the log have an id also while nothing is traced."""
    return tracing.trace_id(_header(scope, b"traceparent")) or _some_hex(16)


def _verb(scope: Scope) -> str:
    method = str(scope.get("method", ""))
    return method if method in _METHODS else "OTHER"


def _tell(scope: Scope, handler: str, status: int, took: float, *, is_look: bool) -> None:
    """The line of a request: who asked is told by kind alone, what was asked by the route alone."""
    actor = scope.get("state", {}).get("actor")
    log = _log.debug if status < _REFUSED and is_look else _log.info
    log(
        "request",
        handler=handler,
        method=_verb(scope),
        status=status,
        ms=round(took * 1000, 1),
        actor=actor.kind.value if isinstance(actor, Actor) else "none",
    )


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """A guard: runs before a byte of the body is read, so that strangers cannot make us read.

    The caller comes from `Authorization: Bearer`. Raises `MissingToken`, and what identity and members raise.
    """
    if route.opt.get("permission") is None:
        return
    connection.state.actor = await caller_of(connection, ticket=bool(route.opt.get("ticket")))


async def caller_of(connection: ASGIConnection[Any, Any, Any, Any], *, ticket: bool) -> Actor:
    """Whom the bearer token speaks for; with `ticket` also who is behind the one in the query.

    Raises what `authenticate` raises, and `OriginRefused` for a ticket in the hands of another site's page.
    """
    container: AsyncContainer = connection.app.state.dishka_container
    if not ticket:
        return await _caller(connection, container)
    feed: Feed = await container.get(Feed)
    async with feed.opening():
        return await _caller(connection, container, ticket=True)


async def _caller(
    connection: ASGIConnection[Any, Any, Any, Any], container: AsyncContainer, *, ticket: bool = False
) -> Actor:
    members: Members = await container.get(Members)
    given = connection.headers.getall("authorization", [])
    tickets = connection.query_params.getall("ticket", []) if ticket else []
    if not given and len(tickets) == 1:
        require_own_page(connection, await container.get(Origins))
        return await members.sign_in(await (await container.get(EventTickets)).use(tickets[0]))
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise MissingToken
    identity: Identity = await container.get(Identity)
    return await members.sign_in(await identity.authenticate(token))


async def signed_in(request: Request[Any, Any, Any]) -> Actor:
    """The caller that `authenticate` found."""
    actor: Actor = request.state.actor
    return actor
