"""Meta's side door: `GET` is the handshake, `POST` takes deliveries. No bearer, no rate limit."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import MediaType, Request, Response, Router, get, post
from litestar.params import QueryParameter

from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, Overloaded
from inbox.entrypoints.http.problems import documented
from inbox.kit.telemetry import Metrics
from inbox.services.intake import Intake

WITHIN_SECONDS: Final = 3.0
"""Meta waits some seconds only; after 3 s it is told to deliver again."""


class Received(msgspec.Struct, frozen=True):
    """The body is committed."""

    status: str = "received"


@get(
    "/webhook/whatsapp",
    media_type=MediaType.TEXT,
    permission=None,
    responses=documented(403, 503),
    security=[],
)
@inject
async def verify(
    intake: FromDishka[Intake],
    mode: Annotated[str | None, QueryParameter(name="hub.mode", schema_extra={"enum": ["subscribe"]})] = None,
    token: Annotated[str | None, QueryParameter(name="hub.verify_token")] = None,
    challenge: Annotated[str | None, QueryParameter(name="hub.challenge")] = None,
) -> Response[str]:
    """Answers Meta's handshake with the challenge, verbatim."""
    try:
        await intake.verify(mode, token)
    except DatabaseTimeout as error:
        raise DatabaseUnavailable(retry_after=1) from error
    return Response(challenge or "", media_type=MediaType.TEXT)


@post(
    "/webhook/whatsapp",
    status_code=200,
    permission=None,
    bodies=(dict[str, Any],),
    responses=documented(400, 401, 413, 500, 503),
    security=[],
)
@inject
async def receive(
    request: Request[Any, Any, Any], intake: FromDishka[Intake], metrics: FromDishka[Metrics]
) -> Received:
    """Takes one delivery: 200 only after its raw body is committed, 503 when it cannot be stored."""
    signatures = [value for name, value in request.scope["headers"] if name == b"x-hub-signature-256"]
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            await intake.accept(signatures, await request.body())
    except (TimeoutError, DatabaseTimeout, DatabaseUnavailable, Overloaded) as error:
        # Whatever keeps it from being stored: Meta has to deliver it again.
        metrics.delivery("not_stored")
        raise DatabaseUnavailable(retry_after=1) from error
    except InboxError:
        metrics.delivery("refused")
        raise
    metrics.delivery("stored")
    return Received()


def webhook_router(max_bytes: int) -> Router:
    """Both routes; a POST above `max_bytes` is 413."""
    return Router("/", route_handlers=[verify, receive], request_max_body_size=max_bytes)
