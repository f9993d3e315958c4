"""Messages of a conversation: read them, send one."""

from typing import Annotated, Any, Final, NewType

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.content import MAX_TEXT, checked_text
from inbox.domain.errors import (
    ConversationIdRequired,
    ConversationNotFound,
    InboxError,
    Invalid,
    InvalidPayload,
    WhatsAppNotConfigured,
    WindowClosed,
)
from inbox.domain.ids import ConversationId
from inbox.domain.messages import Status
from inbox.domain.outbound import PUBLIC, State
from inbox.domain.upstream_errors import Refused, WhatsAppError, WhatsAppUnavailable
from inbox.entrypoints.http.answers import next_page
from inbox.entrypoints.http.parameters import object_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import parse_time
from inbox.ports.views import MessageItem, Outcome
from inbox.services.conversations import Conversations
from inbox.services.outbound import Outbound

SendWait = NewType("SendWait", float)
"""Seconds that a send waits for its outcome."""
MAX_KEY: Final = 200


class SendText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`client_id` is the idempotency key of front ends that set no header. Messages cannot quote others yet."""

    conversation_id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})] | None = None
    content: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT})] | None = None
    client_id: Annotated[str, Meta(max_length=MAX_KEY)] | None = None
    reply_to_message_id: None = None


class SendAnswer(msgspec.Struct, frozen=True):
    """`message_id` is the wamid, `id` the row."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["sent", "queued"]})]
    message_id: str | None
    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


@get(
    "/messages/{conversation_id:str}",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404, 422),
)
@inject
async def list_messages(
    conversation_id: FromPath[str],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    limit: Annotated[str | None, page_limit(default=100, most=500)] = None,
    before: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[MessageItem]]:
    """The newest messages, returned oldest to newest; `X-Next-Cursor` leads to older ones."""
    size = page_size(limit, default=100, most=500)
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    rows = list(await conversations.messages_of(actor, found, limit=size + 1, before=position(before, "before")))
    headers = {}
    if len(rows) > size:
        rows = rows[-size:]
        at = parse_time(rows[0].timestamp, name="timestamp")
        headers = next_page(at, rows[0].id, {"limit": str(size)}, "before")
    return Response(rows, headers=headers)


@post(
    "/messages/send",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses={
        202: ResponseSpec(SendAnswer, description="Stored and on its way.", generate_examples=False),
        **documented(*SIGNED_IN, 400, 404, 409, 413, 422),
    },
)
@inject
async def send(
    data: JSONBody[SendText],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Sends a text: 200 when WhatsApp took it within the wait, 202 while it is on its way."""
    if not data.conversation_id:
        raise ConversationIdRequired
    if data.content is None:
        raise InvalidPayload
    content = checked_text(data.content)
    found = ConversationId(object_id(data.conversation_id, ConversationNotFound))
    is_async = "respond-async" in request.headers.get("prefer", "")
    account_id, message_id = await outbound.accept(actor, found, content, key=_key(request, data))
    answer = _answer(await outbound.outcome(account_id, message_id, within=0 if is_async else wait))
    if is_async:
        answer.headers["Preference-Applied"] = "respond-async"
    return answer


def _key(request: Request[Any, Any, Any], data: SendText) -> str | None:
    """The idempotency key; an empty one is none."""
    header = request.headers.get("idempotency-key")
    key = header or data.client_id or None
    if key is not None and (len(key) > MAX_KEY or not key.isprintable()):
        path = "header.idempotency-key" if header else "body.client_id"
        raise Invalid(path, f"at most {MAX_KEY} printable characters")
    return key


def _answer(outcome: Outcome) -> Response[SendAnswer]:
    public = PUBLIC[State(outcome.state)]
    if public is Status.PENDING:
        return Response(SendAnswer("queued", None, str(outcome.id)), status_code=202)
    if public is Status.FAILED:
        raise _failure(outcome)
    return Response(SendAnswer("sent", outcome.wamid, str(outcome.id)))


def _failure(outcome: Outcome) -> InboxError:
    """The final word as an error of the contract; the row stays visible as failed."""
    if outcome.error_code == WindowClosed.graph_code or outcome.reason == WindowClosed.code:
        error: InboxError = WindowClosed()
    elif outcome.reason == WhatsAppNotConfigured.code:
        error = WhatsAppNotConfigured()
    elif outcome.reason == Refused.code:
        error = Refused(graph_code=outcome.error_code)
    elif outcome.state in (State.EXPIRED, State.CANCELLED):
        error = WhatsAppUnavailable()
    else:
        error = WhatsAppError()
    error.row_id = str(outcome.id)
    return error


messages_router = Router("/", route_handlers=[list_messages, send])
