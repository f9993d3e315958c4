"""Is it alive, is it ready, and what does it count."""

import hmac
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from inbox.domain.errors import InboxError, InvalidToken
from inbox.kit.paging import format_time
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database
from inbox.ports.monitoring import Circuits, CircuitState
from inbox.ports.views import Timestamp
from inbox.services.health import DATABASE, Dependency, Health


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


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is `closed`, `open` or `half_open`."""

    name: str
    state: Annotated[str, Meta(extra_json_schema={"enum": ["closed", "open", "half_open"]})]
    failure_count: int
    success_count: int
    last_failure_time: Timestamp | None
    opened_at: Timestamp | None


class HealthShown(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `ok`, `degraded` or `error`. `supabase` is another name of `database`."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["ok", "degraded", "error"]})]
    timestamp: Timestamp
    dependencies: dict[str, Dependency]
    circuit_breakers: dict[str, Breaker]


class MetricsToken(msgspec.Struct, frozen=True):
    """The bearer token of the metrics page; None is a page on a port of its own, which the network protects."""

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


@get(
    "/health",
    permission=None,
    security=[],
    responses={503: ResponseSpec(HealthShown, description="The database is not there.", generate_examples=False)},
)
@inject
async def health(checks: FromDishka[Health], circuits: FromDishka[Circuits]) -> Response[HealthShown]:
    """Each dependency as it answered in the last two seconds, and the circuit breakers of this process.

    503 without the database; 200 with `degraded` while another dependency is missed.
    """
    report = await checks.report()
    shown = HealthShown(
        status=report.status,
        timestamp=format_time(report.checked_at),
        dependencies=_with_old_name(report.dependencies),
        circuit_breakers=breakers_shown(circuits.inspect()),
    )
    return Response(shown, status_code=503 if report.status == "error" else 200)


async def metrics_page(
    request: Request[Any, Any, Any], metrics: FromDishka[Metrics], token: FromDishka[MetricsToken]
) -> Response[bytes]:
    """Prometheus text."""
    if token.value is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token.value):
            raise InvalidToken
    body, media_type = metrics.render()
    # As a header: to a media type of text the framework would add the charset that it has already.
    return Response(body, headers={"content-type": media_type})


def breakers_shown(circuits: Mapping[str, CircuitState]) -> dict[str, Breaker]:
    """Circuits in the words of the contract."""
    return {name: _breaker(state) for name, state in circuits.items()}


def _breaker(state: CircuitState) -> Breaker:
    return Breaker(
        name=state.name,
        state=state.state,
        failure_count=state.failure_count,
        success_count=state.success_count,
        last_failure_time=None if state.last_failure_time is None else format_time(state.last_failure_time),
        opened_at=None if state.opened_at is None else format_time(state.opened_at),
    )


def _with_old_name(dependencies: Mapping[str, Dependency]) -> dict[str, Dependency]:
    """The previous system reached its database through Supabase and called it so."""
    return {DATABASE: dependencies[DATABASE], "supabase": dependencies[DATABASE], **dependencies}


monitoring_router = Router("/", route_handlers=[root, live, ready, health])
