"""Message templates of an account: listed, read anew from WhatsApp, written, previewed, taken away."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.domain.limits_template import MAX_COMPONENTS
from inbox.domain.outgoing_template import Component
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit
from inbox.domain.template_errors import TemplateNotFound
from inbox.domain.template_preview import Preview
from inbox.entrypoints.http.answers import page
from inbox.entrypoints.http.bodies import read
from inbox.entrypoints.http.parameters import id_in_body, object_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import format_time
from inbox.ports.templates import TemplateFilter, TemplateRow
from inbox.ports.views import Timestamp
from inbox.services.templates import Templates

_MOST: Final = 1000
_USUAL: Final = 200
_READING: Final = documented(*SIGNED_IN, 404, 422)
_WRITING: Final = documented(*SIGNED_IN, 400, 404, 409, 413, 415, 422)


class Values(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in for the variables, as in a message."""

    components: Annotated[tuple[Component, ...], Meta(max_length=MAX_COMPONENTS)] = ()


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `POST /media/uploads`."""

    upload_id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class SampleHandle(msgspec.Struct, frozen=True):
    """What `example.header_handle` of a header holds."""

    header_handle: str


class TemplatesSynced(msgspec.Struct, frozen=True):
    """How many templates the account has."""

    templates: int
    synced_at: Timestamp
    status: str = "ok"


class TemplateDeleted(msgspec.Struct, frozen=True):
    template_id: UUID
    status: str = "deleted"


@get("/accounts/{account_id:str}/templates", permission=Permission.MESSAGES_VIEW, responses=_READING)
@inject
async def list_templates(  # noqa: PLR0913, PLR0917 - filters
    account_id: FromPath[str],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
    status: Annotated[str | None, QueryParameter(description="A word of Meta's, like `APPROVED`.")] = None,
    category: Annotated[str | None, QueryParameter(description="A word of Meta's, like `UTILITY`.")] = None,
    language: Annotated[str | None, QueryParameter(description="A code of Meta's, like `fr` or `en_US`.")] = None,
    q: Annotated[str | None, QueryParameter(description="A part of the name.")] = None,
    limit: Annotated[str | None, page_limit(default=_USUAL, most=_MOST)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[TemplateRow]]:
    """What is known of the account's templates, those first that became known last.

    WhatsApp's list is read every few hours, and changes of a status are heard at once. `X-Next-Cursor` and `Link` lead
    to the next page.
    """
    size = page_size(limit, default=_USUAL, most=_MOST)
    wanted = TemplateFilter(
        status=status or None, category=category or None, language=language or None, search=q or None
    )
    rows = await templates.list_of(
        actor, _account(account_id), wanted, limit=size + 1, before=position(cursor, "cursor")
    )
    given = {"status": status, "category": category, "language": language, "q": q}
    query = {name: value for name, value in given.items() if value}
    return page(rows, size, lambda row: (row.created_at, row.id), {**query, "limit": str(size)})


@post(
    "/accounts/{account_id:str}/templates",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    bodies=(TemplateDraft,),
    responses=_WRITING,
)
@inject
async def create_template(
    account_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> TemplateRow:
    """Hands a new template to WhatsApp, which looks at it for up to a day: it is `PENDING` until then.

    `components` have Meta's shape, types in capitals. Each variable needs an example.
    """
    return await templates.create(actor, _account(account_id), await read(request, TemplateDraft))


@post(
    "/accounts/{account_id:str}/templates/sync",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404),
)
@inject
async def sync_templates(
    account_id: FromPath[str], actor: NamedDependency[Actor], templates: FromDishka[Templates]
) -> TemplatesSynced:
    """Reads the whole list from WhatsApp now. From then on only a template that is in it can be sent."""
    synced = await templates.sync(actor, _account(account_id))
    return TemplatesSynced(templates=synced.templates, synced_at=format_time(synced.synced_at))


@post(
    "/accounts/{account_id:str}/templates/samples",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=_WRITING,
)
@inject
async def upload_sample(
    account_id: FromPath[str],
    data: JSONBody[Sample],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> SampleHandle:
    """Gives WhatsApp the sample of a header's file: JPEG, PNG, MP4 or PDF of at most 16 MB, uploaded before."""
    account = _account(account_id)
    upload_id = id_in_body(data.upload_id, "body.upload_id")
    return SampleHandle(header_handle=await templates.upload_sample(actor, account, upload_id))


@get("/accounts/{account_id:str}/templates/{template_id:str}", permission=Permission.MESSAGES_VIEW, responses=_READING)
@inject
async def get_template(
    account_id: FromPath[str],
    template_id: FromPath[str],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> TemplateRow:
    """One template."""
    return await templates.get(actor, _account(account_id), object_id(template_id, TemplateNotFound))


@patch(
    "/accounts/{account_id:str}/templates/{template_id:str}",
    permission=Permission.SETTINGS_MANAGE,
    bodies=(TemplateEdit,),
    responses=_WRITING,
)
@inject
async def edit_template(
    account_id: FromPath[str],
    template_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> TemplateRow:
    """Writes category, components, or both anew; WhatsApp looks at the template again, and it cannot be sent meanwhile.

    Only approved, rejected and paused ones take changes; an approved one once a day and ten times in 30 days.
    """
    account, found = _account(account_id), object_id(template_id, TemplateNotFound)
    return await templates.edit(actor, account, found, await read(request, TemplateEdit))


@delete(
    "/accounts/{account_id:str}/templates/{template_id:str}",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404),
)
@inject
async def delete_template(
    account_id: FromPath[str],
    template_id: FromPath[str],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> TemplateDeleted:
    """Takes the template away in its language. WhatsApp keeps the name of an approved one taken for 30 days."""
    account, found = _account(account_id), object_id(template_id, TemplateNotFound)
    await templates.delete(actor, account, found)
    return TemplateDeleted(template_id=found)


@post(
    "/accounts/{account_id:str}/templates/{template_id:str}/preview",
    status_code=200,
    permission=Permission.MESSAGES_VIEW,
    bodies=(Values,),
    responses=documented(*SIGNED_IN, 404, 413, 415, 422),
)
@inject
async def preview_template(
    account_id: FromPath[str],
    template_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    templates: FromDishka[Templates],
) -> Preview:
    """What a customer would read with these values. Nothing is sent, and WhatsApp is not asked."""
    account, found = _account(account_id), object_id(template_id, TemplateNotFound)
    values = await read(request, Values)
    return await templates.preview(actor, account, found, values.components)


def _account(text: str) -> AccountId:
    return AccountId(object_id(text, AccountNotFound))


templates_router = Router(
    "/",
    route_handlers=[
        list_templates,
        create_template,
        sync_templates,
        upload_sample,
        get_template,
        edit_template,
        delete_template,
        preview_template,
    ],
)
