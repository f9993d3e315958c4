"""Invitations and forgotten passwords: for administrators, where people sign in at this service itself."""

from typing import Annotated
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import UserId
from inbox.entrypoints.http.admin import AssignedRole, assignments
from inbox.entrypoints.http.parameters import managed_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import format_time
from inbox.ports.views import Timestamp
from inbox.services.invitations import Invitations


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=3, max_length=254, extra_json_schema={"format": "email"})]
    full_name: Annotated[str, Meta(max_length=200)] | None = None
    assignments: Annotated[list[AssignedRole], Meta(max_length=200)] = []


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """`link` is shown this once: pass it on to nobody but the person. It works once, until `expires_at`."""

    status: str = "invited"
    user_id: UUID
    link: str
    expires_at: Timestamp


class ResetLink(msgspec.Struct, frozen=True, kw_only=True):
    """`link` is shown this once: pass it on to nobody but the person. It works once, until `expires_at`."""

    status: str = "ok"
    user_id: UUID
    link: str
    expires_at: Timestamp


@post(
    "/admin/invitations",
    status_code=200,
    permission=Permission.USERS_MANAGE,
    responses=documented(*SIGNED_IN, 409, 413, 415, 422),
)
@inject
async def invite(
    data: JSONBody[Invitation], actor: NamedDependency[Actor], invitations: FromDishka[Invitations]
) -> Invited:
    """Makes a person and the link with which they set their password. No mail is sent.

    Roles in `assignments` need `roles.manage` as well. Who has not set a password yet may be invited again: the earlier
    link is no more, and roles are replaced if some are given. 409 `email_taken` for anybody else with the address.
    """
    actor.require_everywhere(Permission.USERS_MANAGE)
    handed = await invitations.invite(actor, data.email, data.full_name, assignments(data.assignments))
    return Invited(user_id=handed.user_id, link=handed.url, expires_at=format_time(handed.expires_at))


@post(
    "/admin/users/{user_id:str}/reset-link",
    status_code=200,
    permission=Permission.USERS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def make_reset_link(
    user_id: FromPath[str], actor: NamedDependency[Actor], invitations: FromDishka[Invitations]
) -> ResetLink:
    """Makes a link with which a person sets a new password; the old one stays good until then. No mail is sent.

    403 for a person who holds a right that the caller lacks, unless the caller holds `roles.manage`.
    """
    found = UserId(managed_id(actor, user_id, UserNotFound, Permission.USERS_MANAGE))
    handed = await invitations.reset(actor, found)
    return ResetLink(user_id=handed.user_id, link=handed.url, expires_at=format_time(handed.expires_at))


invitations_router = Router("/", route_handlers=[invite, make_reset_link])
