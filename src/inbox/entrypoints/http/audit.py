"""The audit trail: for administrators, read only."""

import re
from typing import Annotated, Final

from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import Invalid
from inbox.entrypoints.http.answers import page
from inbox.entrypoints.http.parameters import page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.database import Database
from inbox.ports.views import AuditItem

_WORD: Final = re.compile(r"[a-z_]{1,64}(\.[a-z_]{1,64})?")


@get("/admin/audit", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN, 422))
@inject
async def list_entries(
    actor: NamedDependency[Actor],
    database: FromDishka[Database],
    limit: Annotated[str | None, page_limit(default=100, most=500)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
    action: Annotated[str | None, QueryParameter(schema_extra={"pattern": f"^{_WORD.pattern}$"})] = None,
) -> Response[list[AuditItem]]:
    """Who changed what, newest first. `action` is one word (`role.created`), or what stands before the dot (`role`).

    `X-Next-Cursor` and `Link` lead to the next page.
    """
    actor.require_everywhere(Permission.ROLES_MANAGE)
    size = page_size(limit, default=100, most=500)
    if action is not None and _WORD.fullmatch(action) is None:
        raise Invalid("query.action", "a word of the trail, or what stands before its dot")
    rows = await database.team.audit(limit=size + 1, before=position(cursor, "cursor"), action=action)
    query = {"limit": str(size), **({} if action is None else {"action": action})}
    return page(rows, size, lambda row: (row.at, row.id), query)


audit_router = Router("/", route_handlers=[list_entries], tags=["administration"])
