"""The WhatsApp accounts that the caller may see."""

from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get
from litestar.di import NamedDependency

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import NoAccountAccess
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.database import Database
from inbox.ports.views import AccountItem


@get("/accounts", permission=Permission.ACCOUNTS_VIEW, responses=documented(*SIGNED_IN))
@inject
async def list_accounts(actor: NamedDependency[Actor], database: FromDishka[Database]) -> list[AccountItem]:
    """Active accounts, by name. 403 `no_account_access` for who may view none."""
    if not actor.may_anywhere(Permission.ACCOUNTS_VIEW):
        raise NoAccountAccess
    return await database.queries.accounts(actor)


accounts_router = Router("/", route_handlers=[list_accounts])
