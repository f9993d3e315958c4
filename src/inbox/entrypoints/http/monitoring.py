"""Is it alive, is it ready, and what does it count."""

import hmac
from typing import Any

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec

from inbox.domain.errors import InboxError, InvalidToken
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database


class Root(msgspec.Struct, frozen=True):
    status: str = "ok"
    message: str = "WhatsApp Inbox API running"


class Alive(msgspec.Struct, frozen=True):
    status: str = "alive"


class Reason(msgspec.Struct, frozen=True):
    error: str
    status: str = "error"


class Readiness(msgspec.Struct, frozen=True, omit_defaults=False):
    """`reason` says what kind of failure it is, never more: the page is public."""

    status: str
    reason: Reason | msgspec.UnsetType = msgspec.UNSET


class MetricsToken(msgspec.Struct, frozen=True):
    """The bearer token of the metrics page; None leaves it to the network."""

    value: bytes | None


class Lifecycle:
    """Whether the process is on its way out; then it is not ready any more."""

    is_stopping = False


@get("/", permission=None, security=[])
async def root() -> Root:
    """A word for who opens the address in a browser."""
    return Root()


@get("/health/live", permission=None, security=[])
async def live() -> Alive:
    """The process answers."""
    return Alive()


@get(
    "/health/ready",
    permission=None,
    security=[],
    responses={503: ResponseSpec(Readiness, description="Not ready.", generate_examples=False)},
)
@inject
async def ready(database: FromDishka[Database], lifecycle: FromDishka[Lifecycle]) -> Response[Readiness]:
    """200 while requests can be served: the database answers and the process is not stopping."""
    if lifecycle.is_stopping:
        return Response(Readiness("not_ready", Reason("stopping")), status_code=503)
    try:
        await database.queries.ping()
    except InboxError as error:
        return Response(Readiness("not_ready", Reason(error.code)), status_code=503)
    return Response(Readiness("ready"))


async def metrics_page(
    request: Request[Any, Any, Any], metrics: FromDishka[Metrics], token: FromDishka[MetricsToken]
) -> Response[bytes]:
    """Prometheus text."""
    if token.value is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token.value):
            raise InvalidToken
    body, media_type = metrics.render()
    return Response(body, media_type=media_type)


monitoring_router = Router("/", route_handlers=[root, live, ready])
