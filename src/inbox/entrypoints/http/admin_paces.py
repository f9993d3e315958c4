"""How fast each number sends: for administrators."""

from typing import Literal
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import format_time
from inbox.ports.views import Timestamp
from inbox.services.monitoring import Monitoring


class PaceShown(msgspec.Struct, frozen=True, kw_only=True):
    """In messages a second: `ceiling` is what WhatsApp allows, `rate` what the number may do now.

    `rate` is lower for some minutes after `slowed_at`, when WhatsApp said that it was too fast. `sent` counts what took
    its turn since the number began. A customer gets `pair_burst` messages at once, then one every `pair_seconds`.
    """

    account_id: UUID
    name: str
    phone_number_id: str
    ceiling: float
    rate: float
    slowed_at: Timestamp | None
    sent: int
    pair_seconds: float
    pair_burst: int


class NewCeiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """20 for a number of the WhatsApp Business app, 80 for any other, 1000 once WhatsApp upgraded it."""

    ceiling: Literal[20, 80, 1000]


class CeilingSet(msgspec.Struct, frozen=True, kw_only=True):
    account_id: UUID
    ceiling: Literal[20, 80, 1000]
    status: Literal["ok"] = "ok"


@get("/admin/paces", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_paces(actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]) -> list[PaceShown]:
    """How fast each number may send, by the name of its account; the first 1,000."""
    return [
        PaceShown(
            account_id=pace.account_id,
            name=pace.name,
            phone_number_id=pace.phone_number_id,
            ceiling=pace.ceiling,
            rate=round(pace.rate, 3),
            slowed_at=format_time(pace.slowed_at) if pace.slowed_at else None,
            sent=pace.sent,
            pair_seconds=pace.pair_seconds,
            pair_burst=pace.pair_burst,
        )
        for pace in await monitoring.paces(actor)
    ]


@post(
    "/admin/paces/{account_id:str}",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404, 413, 422),
)
@inject
async def set_ceiling(
    account_id: FromPath[str],
    data: JSONBody[NewCeiling],
    actor: NamedDependency[Actor],
    monitoring: FromDishka[Monitoring],
) -> CeilingSet:
    """Says what WhatsApp allows the number; what it has learned is forgotten. Kept in the audit trail.

    WhatsApp's own word counts after that as before: an upgrade raises it, a message from the WhatsApp Business app
    lowers it.
    """
    found = AccountId(object_id(account_id, AccountNotFound))
    await monitoring.set_ceiling(actor, found, data.ceiling)
    return CeilingSet(account_id=found, ceiling=data.ceiling)


admin_paces_router = Router("/", route_handlers=[list_paces, set_ceiling], tags=["administration"])
