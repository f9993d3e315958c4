"""Administration of the team: roles, and what each person may do."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias
from uuid import UUID

from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.errors import IsActiveRequired, RoleNotFound, UserNotFound
from inbox.domain.ids import AccountId, UserId
from inbox.entrypoints.http.answers import Done
from inbox.entrypoints.http.parameters import id_in_body, managed_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.records import RoleChange
from inbox.ports.views import PermissionItem, RoleRow, UserRow
from inbox.services.members import Assignment, Members
from inbox.services.roles import Roles

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Slug: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Description: TypeAlias = Annotated[str, Meta(max_length=2000)]
Code: TypeAlias = Annotated[
    str, Meta(max_length=100, extra_json_schema={"enum": list(Permission)}, examples=["messages.send"])
]
"""Which codes there are is the database's answer: 422 for another."""
Codes: TypeAlias = Annotated[list[Code], Meta(max_length=200)]
NamedId: TypeAlias = Annotated[str, Meta(max_length=100, extra_json_schema={"format": "uuid"})]
"""An id that must name something that is there."""


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    slug: Slug
    description: Description | None = None
    permissions: Codes = []


class RoleEdit(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    permissions: Codes | UnsetType = UNSET


class Activity(Struct, frozen=True, forbid_unknown_fields=True):
    """`is_active` is required; without it the answer is 400 `is_active_required`."""

    is_active: bool | None = None


class AssignedRole(Struct, frozen=True, forbid_unknown_fields=True):
    """A role, for one account or, without `account_id`, for all."""

    role_id: NamedId
    account_id: NamedId | None = None


class AssignedRoles(Struct, frozen=True, forbid_unknown_fields=True):
    """The complete new set."""

    assignments: Annotated[list[AssignedRole], Meta(max_length=2000)] = []


class Override(Struct, frozen=True, forbid_unknown_fields=True):
    """One permission more or less, for one account or, without `account_id`, for all. A deny beats an allow."""

    permission_code: Code
    account_id: NamedId | None = None
    is_allowed: bool = True


class Overrides(Struct, frozen=True, forbid_unknown_fields=True):
    """The complete new set."""

    overrides: Annotated[list[Override], Meta(max_length=2000)] = []


class RoleDeleted(Struct, frozen=True):
    role_id: UUID
    status: str = "deleted"


class ActivitySet(Struct, frozen=True):
    user_id: UUID
    is_active: bool
    status: str = "ok"


@get("/admin/permissions", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_permissions(actor: NamedDependency[Actor], roles: FromDishka[Roles]) -> list[PermissionItem]:
    """Every permission that can be given, by code."""
    return list(await roles.permissions(actor))


@get("/admin/roles", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_roles(actor: NamedDependency[Actor], roles: FromDishka[Roles]) -> list[RoleRow]:
    """Roles by name, the permissions of each sorted."""
    return list(await roles.list_all(actor))


@post(
    "/admin/roles",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 409, 413, 422),
)
@inject
async def create_role(data: JSONBody[NewRole], actor: NamedDependency[Actor], roles: FromDishka[Roles]) -> RoleRow:
    """Makes a role; its permissions come back in the order given. 409 `slug_taken`."""
    return await roles.create(
        actor, slug=data.slug, name=data.name, description=data.description, permissions=data.permissions
    )


@put(
    "/admin/roles/{role_id:str}",
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404, 409, 413, 422),
)
@inject
async def change_role(
    role_id: FromPath[str], data: JSONBody[RoleEdit], actor: NamedDependency[Actor], roles: FromDishka[Roles]
) -> RoleRow:
    """Changes what is named. 409 `slug_taken`; 409 `last_admin` if nobody could administer any more."""
    found = managed_id(actor, role_id, RoleNotFound, Permission.ROLES_MANAGE)
    change = RoleChange(
        slug=data.slug,
        name=data.name,
        description=data.description,
        permissions=data.permissions if data.permissions is UNSET else tuple(data.permissions),
    )
    return await roles.change(actor, found, change)


@delete(
    "/admin/roles/{role_id:str}",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404, 409),
)
@inject
async def delete_role(role_id: FromPath[str], actor: NamedDependency[Actor], roles: FromDishka[Roles]) -> RoleDeleted:
    """Deletes a role and takes it from everybody. 400 `cannot_delete_admin_role`."""
    found = managed_id(actor, role_id, RoleNotFound, Permission.ROLES_MANAGE)
    await roles.delete(actor, found)
    return RoleDeleted(role_id=found)


@get("/admin/users", permission=Permission.USERS_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_users(actor: NamedDependency[Actor], members: FromDishka[Members]) -> list[UserRow]:
    """Everybody with their roles and overrides, oldest first. Needs users.manage and roles.manage."""
    return list(await members.list_all(actor))


@post(
    "/admin/users/{user_id:str}/status",
    status_code=200,
    permission=Permission.USERS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404, 409, 413, 422),
)
@inject
async def set_user_status(
    user_id: FromPath[str], data: JSONBody[Activity], actor: NamedDependency[Actor], members: FromDishka[Members]
) -> ActivitySet:
    """Lets somebody in, or out from their next request on. 409 `last_admin`."""
    found = UserId(managed_id(actor, user_id, UserNotFound, Permission.USERS_MANAGE))
    if data.is_active is None:
        raise IsActiveRequired
    await members.set_active(actor, found, is_active=data.is_active)
    return ActivitySet(user_id=found, is_active=data.is_active)


@put(
    "/admin/users/{user_id:str}/roles",
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404, 409, 413, 422),
)
@inject
async def assign_roles(
    user_id: FromPath[str], data: JSONBody[AssignedRoles], actor: NamedDependency[Actor], members: FromDishka[Members]
) -> Done:
    """Replaces all roles of somebody, or, if anything is wrong, none. 409 `last_admin`."""
    found = UserId(managed_id(actor, user_id, UserNotFound, Permission.ROLES_MANAGE))
    await members.assign_roles(actor, found, assignments(data.assignments))
    return Done()


@put(
    "/admin/users/{user_id:str}/overrides",
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404, 409, 413, 422),
)
@inject
async def set_overrides(
    user_id: FromPath[str], data: JSONBody[Overrides], actor: NamedDependency[Actor], members: FromDishka[Members]
) -> Done:
    """Replaces all overrides of somebody, or, if anything is wrong, none. 409 `last_admin`."""
    found = UserId(managed_id(actor, user_id, UserNotFound, Permission.ROLES_MANAGE))
    grants = [
        Grant(
            code=given.permission_code,
            account_id=_account(given.account_id, f"body.overrides[{place}]"),
            is_allowed=given.is_allowed,
        )
        for place, given in enumerate(data.overrides)
    ]
    await members.set_overrides(actor, found, grants)
    return Done()


def assignments(given: Sequence[AssignedRole]) -> list[Assignment]:
    """What the `assignments` of a body say. Raises `Invalid` for what is no id."""
    paths = [f"body.assignments[{place}]" for place in range(len(given))]
    return [
        (id_in_body(row.role_id, f"{path}.role_id"), _account(row.account_id, path))
        for row, path in zip(given, paths, strict=True)
    ]


def _account(text: str | None, path: str) -> AccountId | None:
    return None if text is None else AccountId(id_in_body(text, f"{path}.account_id"))


admin_router = Router(
    "/",
    route_handlers=[
        list_permissions,
        list_roles,
        create_role,
        change_role,
        delete_role,
        list_users,
        set_user_status,
        assign_roles,
        set_overrides,
    ],
)
