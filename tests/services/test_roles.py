"""Roles: who may change them, what is refused, and what is left behind."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.domain.access import Actor, Permission
from inbox.domain.errors import (
    CannotDeleteAdminRole,
    Invalid,
    LastAdmin,
    PermissionDenied,
    RoleNotFound,
    SlugTaken,
)
from inbox.domain.ids import uuid7
from inbox.ports.database import Database
from inbox.ports.records import RoleChange
from member_builders import a_role, a_user, give_override, give_role, remove_own_roles, roles_of, seed_roles
from services.team_scene import an_admin, role_id, roles, somebody, team_rows, the_actor, trail

SEND, VIEW = Permission.MESSAGES_SEND.value, Permission.MESSAGES_VIEW.value


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@pytest.fixture
async def admin(engine: AsyncEngine, database: Database) -> Actor:
    return await an_admin(engine, database)


async def test_roles_are_for_those_who_manage_them(engine: AsyncEngine, database: Database) -> None:
    caller, service = await somebody(engine, *(set(Permission) - {Permission.ROLES_MANAGE})), roles(database)
    for call in (
        service.permissions(caller),
        service.list_all(caller),
        service.create(caller, slug="role-x", name="X", description=None, permissions=[]),
        service.change(caller, uuid7(), RoleChange()),
        service.delete(caller, uuid7()),
    ):
        with pytest.raises(PermissionDenied):
            await call


async def test_a_new_role_comes_back_with_its_permissions_as_given(database: Database, admin: Actor) -> None:
    row = await roles(database).create(
        admin, slug="role-x", name="Accueil", description="", permissions=[VIEW, SEND, VIEW]
    )
    assert (row.slug, row.name, row.description, row.permissions) == ("role-x", "Accueil", "", [VIEW, SEND])
    (listed,) = (role for role in await roles(database).list_all(admin) if role.slug == "role-x")
    assert listed == msgspec.structs.replace(row, permissions=[SEND, VIEW])


async def test_a_change_comes_back_with_permissions_as_given_or_sorted_as_stored(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    role = await role_id(engine, await a_role(engine))
    service = roles(database)
    assert (await service.change(admin, role, RoleChange(permissions=(VIEW, SEND, VIEW)))).permissions == [VIEW, SEND]
    assert (await service.change(admin, role, RoleChange(name="Y"))).permissions == [SEND, VIEW]


async def test_a_change_of_a_role_is_a_change_for_all_who_hold_it(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    slug, user = await a_role(engine, VIEW), await a_user(engine)
    await give_role(engine, user, slug)
    role = await role_id(engine, slug)
    await roles(database).change(admin, role, RoleChange(permissions=(SEND,)))
    actor = await the_actor(database, user)
    assert (actor.holds(Permission.MESSAGES_SEND), actor.holds(Permission.MESSAGES_VIEW)) == (True, False)
    await roles(database).delete(admin, role)
    assert (await the_actor(database, user)).grants == ()
    assert await roles_of(engine, user) == []


async def test_what_was_done_to_roles_is_in_the_trail(engine: AsyncEngine, database: Database, admin: Actor) -> None:
    service = roles(database)
    row = await service.create(admin, slug="role-x", name="X", description="a", permissions=[VIEW])
    await service.change(admin, row.id, RoleChange(name="Y", slug="role-x", description=None, permissions=(SEND,)))
    await service.delete(admin, row.id)
    lines = await trail(engine)
    assert {(who, target) for _, who, target, _ in lines} == {(admin.user_id, str(row.id))}
    assert [(action, msgspec.json.decode(details)) for action, _, _, details in lines] == [
        ("role.created", {"slug": "role-x", "name": "X", "permissions": [VIEW]}),
        ("role.changed", {"name": "Y", "description": None, "given": [SEND], "taken": [VIEW]}),
        ("role.deleted", {"slug": "role-x", "name": "Y"}),
    ]


async def test_what_is_refused_changes_nothing(engine: AsyncEngine, database: Database, admin: Actor) -> None:
    service, viewer = roles(database), await role_id(engine, "viewer")
    before = await team_rows(engine)
    with pytest.raises(SlugTaken):
        await service.create(admin, slug="viewer", name="X", description=None, permissions=[VIEW])
    with pytest.raises(SlugTaken):
        await service.change(admin, viewer, RoleChange(permissions=(), slug="admin"))
    with pytest.raises(RoleNotFound):
        await service.change(admin, uuid7(), RoleChange(permissions=("qa.view",)))
    with pytest.raises(RoleNotFound):
        await service.delete(admin, uuid7())
    with pytest.raises(CannotDeleteAdminRole):
        await service.delete(admin, await role_id(engine, "admin"))
    for call in (
        service.create(admin, slug="role-x", name="X", description=None, permissions=[VIEW, VIEW, "qa.view"]),
        service.change(admin, viewer, RoleChange(permissions=(VIEW, VIEW, "qa.view"))),
    ):
        with pytest.raises(Invalid) as refused:
            await call
        assert refused.value.errors[0]["path"] == "body.permissions[2]"
    assert await team_rows(engine) == before
    assert await trail(engine) == []


async def test_the_role_of_administrators_keeps_what_makes_them_administrators(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    role, before = await role_id(engine, "admin"), await team_rows(engine)
    for change in (
        RoleChange(permissions=()),
        RoleChange(permissions=tuple(set(Permission) - {Permission.USERS_MANAGE})),
        RoleChange(permissions=tuple(set(Permission) - {Permission.ROLES_MANAGE})),
        RoleChange(slug="role-x"),
    ):
        with pytest.raises(LastAdmin):
            await roles(database).change(admin, role, change)
    assert await team_rows(engine) == before


async def test_a_role_that_gives_the_last_administrator_their_rights_cannot_go(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    slug = await a_role(engine, Permission.USERS_MANAGE)
    await give_role(engine, admin.user_id, slug)
    service, seeded = roles(database), await role_id(engine, "admin")
    only_roles = [code.value for code in Permission if code is not Permission.USERS_MANAGE]
    try:
        await service.change(admin, seeded, RoleChange(permissions=tuple(only_roles)))
        with pytest.raises(LastAdmin):
            await service.delete(admin, await role_id(engine, slug))
        await give_override(engine, admin.user_id, Permission.USERS_MANAGE, is_allowed=True)
        await service.delete(admin, await role_id(engine, slug))
    finally:  # what migrations seed outlives a test
        await execute(
            engine,
            "insert into role_permissions (role_id, permission_code) values (:role, :code) on conflict do nothing",
            role=seeded,
            code=Permission.USERS_MANAGE,
        )
