"""Roles: their rows, their permissions, and what a change may refer to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.adapters.database.postgres.roles import PostgresRoles
from inbox.domain.access import Permission
from inbox.domain.errors import RoleNotFound, SlugTaken
from inbox.domain.ids import uuid7
from inbox.ports.records import Missing, Role, RoleChange
from member_builders import a_role, a_user, give_role, remove_own_roles, roles_of, seed_roles

SEND, VIEW = Permission.MESSAGES_SEND.value, Permission.MESSAGES_VIEW.value


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@asynccontextmanager
async def roles_in(engine: AsyncEngine) -> AsyncIterator[PostgresRoles]:
    """The repository; what the block does commits."""
    async with engine.begin() as connection:
        yield PostgresRoles(connection)


def new_role(slug: str = "role-accueil", *codes: str, description: str | None = "Le comptoir") -> Role:
    return Role(id=uuid7(), slug=slug, name="Accueil", description=description, permissions=codes)


async def stored(engine: AsyncEngine, slug: str) -> UUID:
    (row,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    found: UUID = row.id
    return found


async def test_a_role_is_stored_as_given_and_read_with_its_permissions_sorted(engine: AsyncEngine) -> None:
    role = new_role("role-accueil", VIEW, SEND)
    async with roles_in(engine) as roles:
        added = await roles.add(role)
    assert (added.id, added.slug, added.name, added.description) == (role.id, "role-accueil", "Accueil", "Le comptoir")
    assert added.permissions == [SEND, VIEW]
    async with roles_in(engine) as roles:
        assert await roles.get(role.id) == added
        assert await roles.get(uuid7()) is None


async def test_only_what_is_named_is_written(engine: AsyncEngine) -> None:
    role = new_role("role-accueil", VIEW, SEND)
    async with roles_in(engine) as roles:
        added = await roles.add(role)
        named = await roles.change(role.id, RoleChange(name="Comptoir", description=None))
        assert (named.name, named.description, named.slug) == ("Comptoir", None, "role-accueil")
        assert (named.permissions, named.created_at) == (added.permissions, added.created_at)
        assert (await roles.change(role.id, RoleChange(slug="role-c"))).slug == "role-c"
        assert (await roles.change(role.id, RoleChange(permissions=(VIEW,)))).permissions == [VIEW]
        assert (await roles.change(role.id, RoleChange(permissions=()))).permissions == []
        assert (await roles.change(role.id, RoleChange())).name == "Comptoir"


async def test_permissions_that_stay_keep_the_time_when_they_were_given(engine: AsyncEngine) -> None:
    slug = await a_role(engine, VIEW, SEND)
    await execute(engine, "update role_permissions set created_at = '2020-01-01Z' where permission_code = :c", c=VIEW)
    async with roles_in(engine) as roles:
        await roles.change(await stored(engine, slug), RoleChange(permissions=("contacts.view", VIEW)))
    rows = await execute(
        engine,
        """select permission_code, p.created_at < '2021-01-01Z' as is_old from role_permissions p
           join app_roles r on r.id = p.role_id where r.slug = :slug order by 1""",
        slug=slug,
    )
    assert [tuple(row) for row in rows] == [("contacts.view", False), (VIEW, True)]


async def test_a_slug_belongs_to_one_role(engine: AsyncEngine) -> None:
    slug = await a_role(engine)
    with pytest.raises(SlugTaken):
        async with roles_in(engine) as roles:
            await roles.add(new_role(slug))
    with pytest.raises(SlugTaken):
        async with roles_in(engine) as roles:
            await roles.change(await stored(engine, slug), RoleChange(slug="viewer"))


async def test_a_role_goes_with_its_assignments(engine: AsyncEngine) -> None:
    user, slug = await a_user(engine), await a_role(engine, VIEW)
    await give_role(engine, user, slug)
    await give_role(engine, user, "viewer")
    role = await stored(engine, slug)
    async with roles_in(engine) as roles:
        await roles.remove(role)
        assert await roles.get(role) is None
    assert await roles_of(engine, user) == [("viewer", None)]


async def test_a_role_that_is_not_there_can_neither_be_changed_nor_removed(engine: AsyncEngine) -> None:
    async with roles_in(engine) as roles:
        with pytest.raises(RoleNotFound):
            await roles.change(uuid7(), RoleChange(name="x"))
        with pytest.raises(RoleNotFound):
            await roles.remove(uuid7())


async def test_what_does_not_exist_is_found_out_by_kind(engine: AsyncEngine) -> None:
    account, viewer = (await an_account(engine)).account_id, await stored(engine, "viewer")
    inactive = (await an_account(engine, is_active=False)).account_id
    nothing = uuid7()
    async with roles_in(engine) as roles:
        found = await roles.missing(
            roles=[viewer, account, nothing], accounts=[account, inactive, viewer], codes=[VIEW, "qa.view"]
        )
        assert found == Missing(
            roles=frozenset({account, nothing}), accounts=frozenset({viewer}), codes=frozenset({"qa.view"})
        )
        assert await roles.missing() == Missing(roles=frozenset(), accounts=frozenset(), codes=frozenset())
