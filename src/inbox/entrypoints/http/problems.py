"""Errors as answers: the one table from a failure to a status, in the shape of RFC 9457.

`detail` is one machine word of the REST contract; the body never holds a token or a number, and of the texts of
dependencies only what WhatsApp says for people, scrubbed and bounded.
"""

import http
import math
from collections.abc import Awaitable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from inbox.domain.errors import InboxError, Invalid, Kind
from inbox.domain.failure_texts import explain
from inbox.domain.sending_errors import ConversationMoved, InvalidPayload
from inbox.entrypoints.http.languages import preferred
from inbox.entrypoints.http.middleware import request_id
from inbox.kit.redaction import scrub
from inbox.ports.views import MessageItem

T = TypeVar("T")

STATUS: Final[Mapping[Kind, int]] = {
    Kind.MALFORMED: 422,
    Kind.REFUSED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.TOO_LARGE: 413,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.THROTTLED: 429,
    Kind.MISCONFIGURED: 500,
    Kind.UPSTREAM: 502,
    Kind.UNAVAILABLE: 503,
    Kind.TIMEOUT: 504,
    Kind.UNCERTAIN: 504,
}
MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final[Mapping[int, str]] = {status.value: status.phrase for status in http.HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""The standard phrases: RFC 9110's, which Python has since 3.13."""
SIGNED_IN: Final = (401, 403, 500, 502, 503, 504)
"""What every call of a signed-in person may answer."""
_DEFAULT_RETRY_AFTER: Final = 1.0
_MOST_WORDS: Final = 300
_CODES: Final[Mapping[int, str]] = {
    400: "validation_error",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "payload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "validation_error",
}

_WHERE: Final = msgspec.Meta(extra_json_schema={"required": ["path", "message"]})

_log = structlog.stdlib.get_logger("inbox.http")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`application/problem+json`. `id` is that of the stored row, where the contract names one.

    `message` and `next_step` are for people, where a person sees the failure: in English or French (`Accept-Language`).
    Words of WhatsApp that say more stand at the end of `message`, in parentheses and in its language.
    """

    title: str
    status: int
    detail: str
    request_id: str
    type: str = "about:blank"
    errors: list[Annotated[dict[str, str], _WHERE]] | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    next_step: str | msgspec.UnsetType = msgspec.UNSET


class SendProblem(Problem, frozen=True, kw_only=True):
    """Of a send. With `conversation_moved` the newest 20 `messages` of those that others added, oldest first.

    Whoever may not read messages is shown none of them; `has_more` says that there are more than are shown.
    """

    messages: list[MessageItem] | msgspec.UnsetType = msgspec.UNSET
    has_more: bool | msgspec.UnsetType = msgspec.UNSET


SEND_CONFLICT: Final = ResponseSpec(
    SendProblem,
    description="Contradicts what is stored; `conversation_moved` shows what the sender has not seen.",
    media_type=MEDIA_TYPE,
    generate_examples=False,
)


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """What a route declares about its failures, for the OpenAPI description."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=TITLES[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def answer(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    error: InboxError | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[Problem]:
    """The answer for a failure. `error` may say more than `detail`: WhatsApp's code and words, the case, the row."""
    language = preferred(request.headers.get("accept-language"))
    error = error or InboxError(detail)
    said = explain(detail, error.graph_code, error.case)
    more = f" ({scrub(error.words)[:_MOST_WORDS]})" if error.words else ""
    problem = Problem(
        title=TITLES[status],
        status=status,
        detail=detail,
        request_id=request_id(request.scope),
        errors=errors if errors is not None else msgspec.UNSET,
        id=error.row_id if error.row_id is not None else msgspec.UNSET,
        message=said.what.said_in(language) + more if said else msgspec.UNSET,
        next_step=said.next.said_in(language) if said and said.next else msgspec.UNSET,
    )
    told = {"Content-Language": language.value} if said else {}
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers={**told, **(headers or {})})


def inbox_error(request: Request[Any, Any, Any], error: InboxError) -> Response[Problem]:
    """A failure that the service can name."""
    status = STATUS[error.kind]
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or _DEFAULT_RETRY_AFTER)))
    if status >= 500:  # noqa: PLR2004
        told = {} if error.graph_code is None else {"graph_code": error.graph_code}
        _log.warning("request_failed", code=error.code, status=status, **told)
    response = answer(
        request,
        status,
        error.code,
        errors=error.errors if isinstance(error, Invalid | InvalidPayload) else None,
        error=error,
        headers=headers,
    )
    if isinstance(error, ConversationMoved):
        added = [one for one in error.added if isinstance(one, MessageItem)]
        response.content = SendProblem(
            **msgspec.structs.asdict(response.content), messages=added, has_more=error.has_more
        )
    return response


def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """A failure that the framework found: unknown route, wrong method, bad body."""
    status = 422 if isinstance(error, ValidationException) or error.status_code == 400 else error.status_code  # noqa: PLR2004
    detail = _CODES.get(status, "internal_error" if status >= 500 else "bad_request")  # noqa: PLR2004
    headers = dict(error.headers or {}) if status in (405, 416) else {}
    return answer(request, status, detail, errors=_details(error) if status == 422 else None, headers=headers)  # noqa: PLR2004


def _details(error: HTTPException) -> list[dict[str, str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        {"path": ".".join(filter(None, (str(e.get("source", "body")), str(e.get("key", ""))))), "message": e["message"]}
        for e in extra
        if isinstance(e, dict) and "message" in e
    ]
    return found or [{"path": "body", "message": "not readable as JSON of the declared shape"}]


def unreadable(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """JSON nested too deep, or text that is no UTF-8: the fault of the body."""
    message = "nested too deep" if isinstance(error, RecursionError) else "not UTF-8"
    return answer(request, 422, "validation_error", errors=[{"path": "body", "message": message}])


async def caught(work: Awaitable[T]) -> T | Exception:
    """What `work` gives, or the error that it raised: for whoever hands errors on to be answered here."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - the boundary: it is raised again where a request is answered
        return error


def bug(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Anything else is ours to mend: logged with its traceback, answered without a word of it."""
    _log.error("internal_error", exc_info=error)
    return answer(request, 500, "internal_error")


HANDLERS: Final[ExceptionHandlersMap] = {
    InboxError: inbox_error,
    HTTPException: http_error,
    RecursionError: unreadable,
    UnicodeDecodeError: unreadable,
    Exception: bug,
}
