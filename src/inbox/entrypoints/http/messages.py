"""Messages of a conversation: read them, send one."""

from typing import Annotated, Any, Final, NewType

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.content import MAX_TEXT, checked_text
from inbox.domain.errors import ConversationNotFound, InboxError, Invalid, WhatsAppNotConfigured, WindowClosed
from inbox.domain.graph_errors import words_in
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.limits import checked
from inbox.domain.messages import Status
from inbox.domain.outbound import PUBLIC, State
from inbox.domain.outgoing import Sendable
from inbox.domain.sending_errors import ConversationIdRequired, InvalidPayload, MessageCancelled
from inbox.domain.upstream_errors import Refused, WhatsAppError, WhatsAppUnavailable
from inbox.entrypoints.http.answers import next_page
from inbox.entrypoints.http.bodies import read
from inbox.entrypoints.http.decisions import cancel
from inbox.entrypoints.http.expecting import ExpectedLast, last_seen
from inbox.entrypoints.http.parameters import id_in_body, object_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SEND_CONFLICT, SIGNED_IN, documented
from inbox.entrypoints.http.scheduled import SendAt, later
from inbox.entrypoints.http.unchanged import CONDITIONAL, NOT_MODIFIED, Validator
from inbox.kit.paging import parse_time
from inbox.ports.views import MessageItem, Outcome
from inbox.services.conversations import Conversations
from inbox.services.outbound import Accepted, Outbound

SendWait = NewType("SendWait", float)
"""Seconds that a send waits for its outcome."""
MAX_KEY: Final = 200


class SendMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`content` is a text, or any content by its `type`. `reply_to_message_id` is the message that it quotes.

    `client_id` is the idempotency key of front ends that set no header. `send_at` is a time in the next 28 days.
    `expected_last_message_id` is the newest message of the thread that the sender saw, null for none: 409
    `conversation_moved` if somebody else added another one behind it.
    """

    conversation_id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})] | None = None
    content: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT})] | Sendable | None = None
    client_id: Annotated[str, Meta(max_length=MAX_KEY)] | None = None
    reply_to_message_id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})] | None = None
    send_at: SendAt | None = None
    expected_last_message_id: ExpectedLast = UNSET


class SendAnswer(msgspec.Struct, frozen=True):
    """`message_id` is the wamid, `id` the row."""

    status: Annotated[str, Meta(extra_json_schema={"enum": ["sent", "queued"]})]
    message_id: str | None
    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


QUEUED: Final = ResponseSpec(SendAnswer, description="Stored and on its way.", generate_examples=False)


@get(
    "/messages/{conversation_id:str}",
    permission=Permission.MESSAGES_VIEW,
    dependencies=CONDITIONAL,
    responses={**NOT_MODIFIED, **documented(*SIGNED_IN, 404, 422)},
)
@inject
async def list_messages(
    conversation_id: FromPath[str],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    validator: NamedDependency[Validator],
    limit: Annotated[str | None, page_limit(default=100, most=500)] = None,
    before: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[MessageItem]]:
    """The newest messages, returned oldest to newest; `X-Next-Cursor` leads to older ones."""
    size = page_size(limit, default=100, most=500)
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    if validator.since is not None and await conversations.is_thread_unchanged(actor, found, validator.since):
        return validator.unchanged()
    rows = list(await conversations.messages_of(actor, found, limit=size + 1, before=position(before, "before")))
    headers = {}
    if len(rows) > size:
        rows = rows[-size:]
        at = parse_time(rows[0].timestamp, name="timestamp")
        headers = next_page(at, rows[0].id, {"limit": str(size)}, "before")
    return validator.mark(Response(rows, headers=headers))


@post(
    "/messages/send",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    bodies=(SendMessage,),
    responses={
        202: QUEUED,
        409: SEND_CONFLICT,
        **documented(*SIGNED_IN, 400, 404, 413, 422),
    },
)
@inject
async def send(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Sends a message: 200 when WhatsApp took it within the wait, 202 while it is on its way.

    Outside of the customer service window only a template can be sent. With `send_at` the message waits until then:
    202 at once, whatever the window is now; at its time it needs an open one, and it counts as written then.

    `expected_last_message_id` keeps two people from answering past each other. What counts is what `GET /messages`
    shows, in its order, from anybody but the caller: the customer, colleagues, programs, the assistant; no reactions.
    What WhatsApp delivers late and with an earlier time stands above the message that is named, and does not count.
    After 409 `conversation_moved` nothing is stored and the idempotency key is as unused as before.
    """
    data = await read(request, SendMessage)
    if not data.conversation_id:
        raise ConversationIdRequired
    if data.content is None:
        raise InvalidPayload("body.content", "required")
    content = _content(data.content, reply_at=data.reply_to_message_id and "body.reply_to_message_id")
    found = ConversationId(object_id(data.conversation_id, ConversationNotFound))
    reply_to = None
    if data.reply_to_message_id is not None:
        reply_to = MessageId(id_in_body(data.reply_to_message_id, "body.reply_to_message_id"))
    accepted = await outbound.accept(
        actor,
        found,
        content,
        key=sent_once(request, data.client_id),
        reply_to=reply_to,
        send_at=later(data.send_at),
        last_seen=last_seen(data.expected_last_message_id),
    )
    return await outcome_of(accepted, request, outbound, wait)


def _content(content: str | Sendable, *, reply_at: str | None) -> Sendable:
    """Raises `InvalidPayload` for a plain text, `Invalid` with all faults for any other content."""
    return checked_text(content) if isinstance(content, str) else sendable(content, reply_at=reply_at)


def sendable(content: Sendable, *, at: str = "body.content", reply_at: str | None = None) -> Sendable:
    """The content, if it can be sent. Raises `Invalid` with all faults; `at` is where it stands."""
    return checked(content, at=at, reply_at=reply_at)


async def outcome_of(
    accepted: Accepted, request: Request[Any, Any, Any], outbound: Outbound, wait: float
) -> Response[SendAnswer]:
    """What became of a message within the wait, if the caller waits at all. Raises its failure."""
    is_async = "respond-async" in request.headers.get("prefer", "").lower()  # RFC 7240: tokens have no case
    account_id, message_id, is_prompt = accepted
    within = 0 if is_async else wait
    answer = _answer(await outbound.outcome(account_id, message_id, within=within, is_prompt=is_prompt))
    if is_async:
        answer.headers["Preference-Applied"] = "respond-async"
    return answer


def sent_once(request: Request[Any, Any, Any], client_id: str | None = None) -> str | None:
    """The idempotency key; an empty one is none."""
    header = request.headers.get("idempotency-key")
    key = header or client_id or None
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
        error.words = words_in(outcome.error_code, outcome.error_message or "")
    elif outcome.state == State.CANCELLED:
        error = MessageCancelled()
    elif outcome.state == State.EXPIRED:
        error = WhatsAppUnavailable()
    else:
        error = WhatsAppError()
    error.row_id = str(outcome.id)
    return error


messages_router = Router("/", route_handlers=[list_messages, send, cancel])
