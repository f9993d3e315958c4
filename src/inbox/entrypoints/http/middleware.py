"""What every request passes: an id, safe headers, metrics; and how a bearer token becomes the caller."""

import re
import time
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import structlog
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from inbox.domain.access import Actor
from inbox.domain.errors import MissingToken
from inbox.kit.telemetry import Metrics
from inbox.ports.identity import Identity
from inbox.services.members import Members

_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id(scope: Scope) -> str:
    """The id of this request: the caller's `X-Request-ID` if it is harmless, else one of ours."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if "request_id" not in state:
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        state["request_id"] = given if _ID.fullmatch(given) else uuid4().hex[:16]
    return str(state["request_id"])


async def add_headers(message: Message, scope: Scope) -> None:
    """On every answer, errors included (a `before_send` hook)."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["x-request-id"] = request_id(scope)
    headers.setdefault("x-content-type-options", "nosniff")
    headers.setdefault("cache-control", "no-store")


def measured(metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware that counts requests by route template, never by URL."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            with structlog.contextvars.bound_contextvars(request_id=request_id(scope)):
                await _measure(app, scope, receive, send)

        async def _measure(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
            begun, status, sent = clock(), 500, 0

            async def counting(message: Message) -> None:
                nonlocal status, sent
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif message["type"] == "http.response.body":
                    sent += len(message["body"])
                await send(message)

            handler, method = str(scope.get("path_template", "")), str(scope.get("method", ""))
            received = int(dict(scope["headers"]).get(b"content-length", b"0") or 0)
            with metrics.in_progress(handler, method):
                try:
                    await app(scope, receive, counting)
                finally:
                    metrics.request(handler, method, status, clock() - begun, (received, sent))

        return middleware

    return wrap


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """A guard: runs before a byte of the body is read, so that strangers cannot make us read.

    The caller comes from `Authorization: Bearer`. Raises `MissingToken`, and what identity and members raise.
    """
    if route.opt.get("permission") is None:
        return
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise MissingToken
    container = connection.app.state.dishka_container
    identity: Identity = await container.get(Identity)
    members: Members = await container.get(Members)
    connection.state.actor = await members.sign_in(await identity.authenticate(token))


async def signed_in(request: Request[Any, Any, Any]) -> Actor:
    """The caller that `authenticate` found."""
    actor: Actor = request.state.actor
    return actor
