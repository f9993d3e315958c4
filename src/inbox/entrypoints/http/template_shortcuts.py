"""Templates as a later front end asks for them: by conversation."""

from typing import Annotated, Any, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound, Invalid
from inbox.domain.ids import ConversationId
from inbox.domain.limits_template import MAX_COMPONENTS
from inbox.domain.outgoing_template import Component, TemplateMessage
from inbox.entrypoints.http.bodies import read
from inbox.entrypoints.http.expecting import ExpectedLast, last_seen
from inbox.entrypoints.http.messages import QUEUED, SendAnswer, SendWait, outcome_of, sendable, sent_once
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SEND_CONFLICT, SIGNED_IN, documented
from inbox.entrypoints.http.scheduled import SendAt, later
from inbox.ports.templates import Components, TemplateRow
from inbox.services.outbound import Outbound
from inbox.services.templates import Templates

_NAMES: Final = {"body.content.name": "body.template_name", "body.content.language": "body.language_code"}
"""The paths of our contents in the words of this body."""
_MOST_NAME: Final = 512
_MOST_LANGUAGE: Final = 32
_NOT_SET_UP: Final = "The account has no id of its WhatsApp Business Account, or no access token."


class SendTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`components` are the parameters in Meta's shape."""

    template_name: Annotated[str, Meta(max_length=_MOST_NAME)]
    language_code: Annotated[str, Meta(max_length=_MOST_LANGUAGE)] = "fr"
    components: Annotated[tuple[Component, ...], Meta(max_length=MAX_COMPONENTS)] = ()
    send_at: SendAt | None = None
    expected_last_message_id: ExpectedLast = UNSET


class OfferedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """An approved template. What it costs is not known here. `header_media_url` is WhatsApp's sample of its file."""

    id: str | None
    name: str
    language: str
    category: str | None
    status: str | None
    quality: str | None
    parameter_format: str | None
    components: Components
    price_usd: float | None
    price_eur: float | None
    header_media_url: str | None
    header_media_type: str | None


class OfferedTemplates(msgspec.Struct, frozen=True, kw_only=True):
    """With `account_not_configured` there are none, and `message` says why."""

    templates: list[OfferedTemplate]
    account_not_configured: bool | UnsetType = UNSET
    message: str | UnsetType = UNSET


@get(
    "/messages/templates/{conversation_id:str}",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def offered_templates(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], templates: FromDishka[Templates]
) -> OfferedTemplates:
    """The approved templates for a conversation. A list that was never read is read from WhatsApp now."""
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    rows = await templates.offered(actor, found)
    if rows is None:
        return OfferedTemplates(templates=[], account_not_configured=True, message=_NOT_SET_UP)
    return OfferedTemplates(templates=[_offered(row) for row in rows])


@post(
    "/messages/send-template/{conversation_id:str}",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    bodies=(SendTemplate,),
    responses={202: QUEUED, 409: SEND_CONFLICT, **documented(*SIGNED_IN, 400, 404, 413, 415, 422)},
)
@inject
async def send_template(
    conversation_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Sends a template: 409 with the reason in `detail` if WhatsApp would refuse it, as far as that is known."""
    data = await read(request, SendTemplate)
    content = TemplateMessage(name=data.template_name, language=data.language_code, components=data.components)
    try:
        sendable(content)
        found = ConversationId(object_id(conversation_id, ConversationNotFound))
        accepted = await outbound.accept(
            actor,
            found,
            content,
            key=sent_once(request),
            send_at=later(data.send_at),
            last_seen=last_seen(data.expected_last_message_id),
        )
    except Invalid as error:
        error.errors = [{**one, "path": _path(one["path"])} for one in error.errors]
        raise
    return await outcome_of(accepted, request, outbound, wait)


def _path(of_content: str) -> str:
    """The components stand in the body itself."""
    return _NAMES.get(of_content) or of_content.replace("body.content.", "body.", 1)


class _Example(msgspec.Struct, frozen=True):
    header_handle: tuple[str, ...] = ()


class _Header(msgspec.Struct, frozen=True):
    """A component, as far as headers are concerned."""

    type: str | None = None
    format: str | None = None
    example: _Example | None = None


_FILES: Final = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})
_HEADERS: Final = msgspec.json.Decoder(tuple[_Header, ...])


def _offered(row: TemplateRow) -> OfferedTemplate:
    url, kind = _header_file(row)
    return OfferedTemplate(
        id=row.meta_id,
        name=row.name,
        language=row.language,
        category=row.category,
        status=row.status,
        quality=row.quality,
        parameter_format=row.parameter_format,
        components=row.components,
        price_usd=None,
        price_eur=None,
        header_media_url=url,
        header_media_type=kind,
    )


def _header_file(row: TemplateRow) -> tuple[str | None, str | None]:
    """Address and kind of the sample in the header. What people wrote themselves has a handle instead of an address."""
    try:
        parts = _HEADERS.decode(row.components)
    except msgspec.DecodeError:
        return None, None
    for part in parts:
        kind = (part.format or "").upper()
        if (part.type or "").upper() == "HEADER" and kind in _FILES:
            handles = part.example.header_handle if part.example else ()
            return next((one for one in handles if one.startswith("https://")), None), kind
    return None, None


template_shortcuts_router = Router("/", route_handlers=[offered_templates, send_template])
