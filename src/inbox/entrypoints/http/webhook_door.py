"""The short way of a delivery: one that is stored is answered here, before the framework looks at it.

Meta sends a thousand a second, and the framework costs more than the storing (figures in docs/benchmarks.md).

There is one place that says no, and it is not this one. What was refused goes on to the route with its error, and what
is unusual goes there as it came: another method, a browser, no length or too much of it, a traced process.
"""

import logging
import time
from collections.abc import Collection
from typing import Final

import structlog
from dishka import AsyncContainer
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Receive, Scope, Send

from inbox.entrypoints.http.middleware import BEGUN, SAFE, request_id
from inbox.entrypoints.http.problems import caught
from inbox.entrypoints.http.webhook import PATH, REFUSED, take
from inbox.kit.telemetry import Metrics
from inbox.services.intake import Intake

_RECEIVED: Final = b'{"status":"received"}'
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_RECEIVED)).encode()),
    *((name.encode(), value.encode()) for name, value in SAFE.items()),
)

_log = structlog.stdlib.get_logger("inbox.requests")


class WebhookDoor:
    """Around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        container: AsyncContainer,
        metrics: Metrics,
        *,
        paths: Collection[str],
        max_bytes: int,
    ) -> None:
        """Deliveries come to one of `paths`, and have at most `max_bytes`."""
        self._app = app
        self._container = container
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._max_bytes = max_bytes
        self._intake: Intake | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] not in self._paths or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        length = self._plain_length(scope)
        if length is None or self._metrics.spans.is_on:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        with self._metrics.in_progress(PATH, "POST"):
            is_there = await caught(self._take(scope, receive))
        if isinstance(is_there, Exception):
            # The route raises it again, where errors become answers.
            scope.setdefault("state", {}).update({REFUSED: is_there, BEGUN: begun})
            await self._app(scope, receive, send)
        elif is_there:
            await self._answer(scope, send, length, begun)

    async def _take(self, scope: HTTPScope, receive: Receive) -> bool:
        if self._intake is None:
            self._intake = await self._container.get(Intake)
        signatures = [value for name, value in scope["headers"] if name == b"x-hub-signature-256"]
        return await take(self._intake, self._metrics, signatures, lambda: _body(receive))

    def _plain_length(self, scope: HTTPScope) -> int | None:
        """Bytes of the body; None if the request is not one that Meta would send, or too large."""
        length = None
        for name, value in scope["headers"]:
            if name in (b"origin", b"transfer-encoding") or (name == b"content-length" and not value.isdigit()):
                return None
            if name == b"content-length":
                length = int(value)
        return length if length is not None and length <= self._max_bytes else None

    async def _answer(self, scope: HTTPScope, send: Send, length: int, begun: float) -> None:
        headers = [*_HEADERS, (b"x-request-id", request_id(scope).encode())]
        start: HTTPResponseStartEvent = {"type": "http.response.start", "status": 200, "headers": headers}
        body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": _RECEIVED, "more_body": False}
        await send(start)
        await send(body)
        took = time.perf_counter() - begun
        self._metrics.request(PATH, "POST", 200, took, (length, len(_RECEIVED)))
        # Counted and stored it is already: a thousand lines a second would be a fifth of what the process does.
        if _log.is_enabled_for(logging.DEBUG):
            _log.debug("request", handler=PATH, method="POST", status=200, request_id=request_id(scope))


async def _body(receive: Receive) -> bytes | None:
    """None if the client left before the end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)
