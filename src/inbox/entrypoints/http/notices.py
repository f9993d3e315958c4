"""What Meta said about WABAs, numbers and templates: of one account, and of all."""

from typing import Annotated

from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.entrypoints.http.answers import page
from inbox.entrypoints.http.parameters import object_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import NoticeItem
from inbox.services.notices import Notices


@get(
    "/accounts/{account_id:str}/notices",
    permission=Permission.ACCOUNTS_VIEW,
    responses=documented(*SIGNED_IN, 404, 422),
)
@inject
async def list_account_notices(
    account_id: FromPath[str],
    actor: NamedDependency[Actor],
    notices: FromDishka[Notices],
    limit: Annotated[str | None, page_limit(default=50, most=200)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[NoticeItem]]:
    """What Meta said about this account, newest first: restrictions, quality, templates, errors.

    `X-Next-Cursor` and `Link` lead to the next page.
    """
    account = AccountId(object_id(account_id, AccountNotFound))
    size = page_size(limit, default=50, most=200)
    rows = await notices.of_account(actor, account, limit=size + 1, before=position(cursor, "cursor"))
    return page(rows, size, lambda row: (row.occurred_at, row.id), {"limit": str(size)})


@get("/admin/notices", permission=Permission.SETTINGS_MANAGE, responses=documented(*SIGNED_IN, 422))
@inject
async def list_notices(
    actor: NamedDependency[Actor],
    notices: FromDishka[Notices],
    limit: Annotated[str | None, page_limit(default=50, most=200)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[NoticeItem]]:
    """The same of all accounts, and what is about none that is connected: `account_id` is null then."""
    actor.require_everywhere(Permission.SETTINGS_MANAGE)
    size = page_size(limit, default=50, most=200)
    rows = await notices.of_all(actor, limit=size + 1, before=position(cursor, "cursor"))
    return page(rows, size, lambda row: (row.occurred_at, row.id), {"limit": str(size)})


notices_router = Router("/", route_handlers=[list_account_notices, list_notices])
