"""`POST /messages/send` in narrower shapes, and what a send would cost: calls of a later front end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.content import MAX_TEXT
from inbox.domain.conversations import WINDOW
from inbox.domain.errors import ConversationNotFound, Invalid
from inbox.domain.ids import ConversationId
from inbox.domain.outbound import WINDOW_MARGIN
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import Audio, Document, FileMessage, Image, Sticker, Video, Voice
from inbox.domain.outgoing_interactive import Buttons, Interactive, ListMenu, ListSection, ReplyButton, TextHeader
from inbox.entrypoints.http.expecting import ExpectedLast, last_seen
from inbox.entrypoints.http.messages import QUEUED, SendAnswer, SendWait, outcome_of, sendable, sent_once
from inbox.entrypoints.http.parameters import object_id, uuid_in
from inbox.entrypoints.http.problems import SEND_CONFLICT, SIGNED_IN, documented
from inbox.entrypoints.http.scheduled import SendAt, later
from inbox.kit.paging import format_time
from inbox.ports.records import Window
from inbox.ports.views import Timestamp
from inbox.services.conversations import Conversations
from inbox.services.outbound import Outbound

_ANSWERS: Final = {202: QUEUED, 409: SEND_CONFLICT, **documented(*SIGNED_IN, 400, 404, 413, 422)}
_FRESH: Final = QueryParameter(description="Taken and not needed: the answer is never remembered.")
_NAMES: Final = {
    "body.body": "body.body_text",
    "body.header.text": "body.header_text",
    "body.footer": "body.footer_text",
    "body.button": "body.button_text",
}
"""The paths of our contents in the words of these bodies."""
_OF_MEDIA: Final = {"body.content.upload_id": "body.media_id"}

Name = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Line = Annotated[str, Meta(max_length=MAX_TEXT)]
_WITH_CAPTION: Final[Mapping[str, type[Image | Video | Document]]] = {
    "image": Image,
    "video": Video,
    "document": Document,
}
_BARE: Final[Mapping[str, type[Audio | Voice | Sticker]]] = {"audio": Audio, "voice": Voice, "sticker": Sticker}


class SendMedia(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that WhatsApp has under `media_id`, or an upload of ours: its `id` stands in the same place."""

    conversation_id: Name
    media_type: Literal["image", "video", "audio", "voice", "document", "sticker"]
    media_id: Annotated[str, Meta(max_length=200)]
    caption: Line | None = None
    send_at: SendAt | None = None
    expected_last_message_id: ExpectedLast = UNSET


class SendInteractive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`button` has `buttons`; `list` has `sections`, and `button_text` opens it."""

    conversation_id: Name
    interactive_type: Literal["button", "list"]
    body_text: Line
    header_text: Line | None = None
    footer_text: Line | None = None
    buttons: Annotated[tuple[ReplyButton, ...], Meta(max_length=10)] = ()
    sections: Annotated[tuple[ListSection, ...], Meta(max_length=10)] = ()
    button_text: Line | None = None
    send_at: SendAt | None = None
    expected_last_message_id: ExpectedLast = UNSET


class FreeWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Hours with one digit behind the point; both are null if the customer never wrote."""

    is_free: bool
    last_inbound_time: Timestamp | None
    hours_elapsed: float | None
    hours_remaining: float | None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Answers within the window are free. What a template costs is not known here: its prices are null."""

    is_free: bool
    price_usd: float | None
    price_eur: float | None
    currency: Literal["USD"] = "USD"
    category: Literal["free", "utility", "conversational"]
    last_inbound_time: Timestamp | None
    template_required: bool


@post("/messages/send-media", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS)
@inject
async def send_media(
    data: JSONBody[SendMedia],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Sends a file that WhatsApp has already, or one that was uploaded here."""
    content = sendable(_file(data), at="body")
    try:
        return await _send(actor, data, content, request, outbound, wait)
    except Invalid as error:
        error.errors = [{**one, "path": _OF_MEDIA.get(one["path"], one["path"])} for one in error.errors]
        raise


@post("/messages/send-interactive", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS)
@inject
async def send_interactive(
    data: JSONBody[SendInteractive],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Sends buttons or a list."""
    try:
        content = sendable(_interactive(data), at="body")
    except Invalid as error:
        error.errors = [{**one, "path": _NAMES.get(one["path"], one["path"])} for one in error.errors]
        raise
    return await _send(actor, data, content, request, outbound, wait)


@get(
    "/messages/free-window/{conversation_id:str}",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def free_window(
    conversation_id: FromPath[str],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    fresh: Annotated[str | None, _FRESH] = None,  # noqa: ARG001 - part of the contract
) -> FreeWindow:
    """Whether free text may be sent, and for how long."""
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    window, now = await conversations.window_of(actor, found)
    last, ends = window.last_inbound_at, window.expires_at
    return FreeWindow(
        is_free=_is_free(window, now),
        last_inbound_time=None if last is None else format_time(last),
        hours_elapsed=None if last is None else _hours(last, now),
        hours_remaining=None if last is ends is None else min(_hours(now, ends or now), WINDOW.total_seconds() / 3600),
    )


@get(
    "/messages/price/{conversation_id:str}", permission=Permission.MESSAGES_VIEW, responses=documented(*SIGNED_IN, 404)
)
@inject
async def price(
    conversation_id: FromPath[str],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    fresh: Annotated[str | None, _FRESH] = None,  # noqa: ARG001 - part of the contract
) -> Price:
    """What the next message would cost: nothing within the window, else that of a template."""
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    window, now = await conversations.window_of(actor, found)
    last = window.last_inbound_at
    is_free = _is_free(window, now)
    return Price(
        is_free=is_free,
        price_usd=0.0 if is_free else None,
        price_eur=0.0 if is_free else None,
        category="free" if is_free else "utility",
        last_inbound_time=None if last is None else format_time(last),
        template_required=not is_free,
    )


async def _send(
    actor: Actor,
    data: SendMedia | SendInteractive,
    content: Sendable,
    request: Request[Any, Any, Any],
    outbound: Outbound,
    wait: float,
) -> Response[SendAnswer]:
    found = ConversationId(object_id(data.conversation_id, ConversationNotFound))
    accepted = await outbound.accept(
        actor,
        found,
        content,
        key=sent_once(request),
        send_at=later(data.send_at),
        last_seen=last_seen(data.expected_last_message_id),
    )
    return await outcome_of(accepted, request, outbound, wait)


def _file(data: SendMedia) -> FileMessage:
    upload_id = uuid_in(data.media_id)  # WhatsApp's ids are digits
    media_id = data.media_id if upload_id is None else None
    captioned = _WITH_CAPTION.get(data.media_type)
    if captioned is not None:
        return captioned(media_id=media_id, upload_id=upload_id, caption=data.caption or None)
    if data.caption:
        raise Invalid("body.caption", f"none: {data.media_type} has no caption")
    return _BARE[data.media_type](media_id=media_id, upload_id=upload_id)


def _interactive(data: SendInteractive) -> Interactive:
    header = TextHeader(text=data.header_text) if data.header_text else None
    footer = data.footer_text or None
    if data.interactive_type == "button":
        return Buttons(body=data.body_text, buttons=data.buttons, header=header, footer=footer)
    return ListMenu(
        body=data.body_text, button=data.button_text or "", sections=data.sections, header=header, footer=footer
    )


def _is_free(window: Window, now: datetime) -> bool:
    """As a send is judged: its last minute is too short for one."""
    return window.expires_at is not None and now < window.expires_at - WINDOW_MARGIN


def _hours(since: datetime, until: datetime) -> float:
    return round(max((until - since).total_seconds(), 0) / 3600, 1)


shortcuts_router = Router("/", route_handlers=[send_media, send_interactive, free_window, price])
