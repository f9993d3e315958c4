"""Meta's side door: `GET` is the handshake, `POST` takes deliveries. No bearer, no rate limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import MediaType, Request, Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, Overloaded
from inbox.entrypoints.http.problems import documented
from inbox.kit.telemetry import Metrics
from inbox.services.intake import Intake

PATH: Final = "/webhook/whatsapp"
REFUSED: Final = "refused_delivery"
"""In the state of a request: the error for which the door did not take it."""
_ANSWERING: Final = 0.1
"""Seconds of the time for a delivery that are left for its answer."""


class Received(msgspec.Struct, frozen=True):
    """The body is committed."""

    status: str = "received"


@get(
    PATH,
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
    PATH,
    status_code=200,
    permission=None,
    bodies=(dict[str, Any],),
    responses=documented(400, 401, 408, 413, 500, 503),
    security=[],
)
@inject
async def receive(
    request: Request[Any, Any, Any], intake: FromDishka[Intake], metrics: FromDishka[Metrics]
) -> Received:
    """Takes one delivery: 200 only after its raw body is committed, 503 when it cannot be stored."""
    refused = request.scope.get("state", {}).get(REFUSED)
    if refused is not None:
        raise refused  # at the door, `webhook_door.py`
    signatures = [value for name, value in request.scope["headers"] if name == b"x-hub-signature-256"]
    await take(intake, metrics, signatures, request.body)
    return Received()


async def take(
    intake: Intake, metrics: Metrics, signatures: Sequence[bytes], read: Callable[[], Awaitable[bytes | None]]
) -> bool:
    """Stores one delivery. False if `read` gives None, because the client left before its body was whole.

    Raises `DatabaseUnavailable` for whatever keeps it from being stored, what `Intake.accept` raises, and 408 for a
    body that takes so long that no time is left.
    """
    limit, begun = intake.within - _ANSWERING, time.monotonic()
    waited = limit
    try:
        async with asyncio.timeout(limit):
            body = await read()
            if body is None:
                return False
            waited = time.monotonic() - begun
            await intake.accept(signatures, body)
    except (TimeoutError, DatabaseTimeout, DatabaseUnavailable, Overloaded) as error:
        if isinstance(error, TimeoutError) and waited > limit / 2:
            # Anybody can be slow: it must not raise an alarm that stands for a failure of ours.
            metrics.delivery("refused")
            raise HTTPException(status_code=408) from error
        # Whatever else keeps it from being stored: Meta has to deliver it again.
        metrics.delivery("not_stored")
        raise DatabaseUnavailable(retry_after=1) from error
    except InboxError:
        metrics.delivery("refused")
        raise
    metrics.delivery("stored")
    return True


def webhook_router(max_bytes: int) -> Router:
    """Both routes; a POST above `max_bytes` is 413."""
    return Router("/", route_handlers=[verify, receive], request_max_body_size=max_bytes)
