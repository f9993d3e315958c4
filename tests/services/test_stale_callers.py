"""A request may know its caller as they were a second ago. That second is not enough to keep or to win a right."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, execute, until
from inbox.adapters.cache.off import NoCache
from inbox.adapters.identity.links import OneTimeLinks
from inbox.domain.access import Actor, ActorKind, Grant, Permission
from inbox.domain.clock import Clock
from inbox.domain.errors import PermissionDenied
from inbox.domain.ids import UserId
from inbox.ports.database import Database
from inbox.ports.records import RoleChange
from inbox.services.api_keys import ApiKeys
from inbox.services.invitations import Invitations
from inbox.services.rights import Rights
from member_builders import a_local_user, a_role, an_api_key, give_role, remove_own_roles, roles_of, seed_roles
from services.team_scene import an_admin, members, role_id, roles, somebody, team_rows

VIEW = Grant(code=Permission.MESSAGES_VIEW, account_id=None)
USERS, ROLES = Permission.USERS_MANAGE, Permission.ROLES_MANAGE
EMAIL = "lea@atelier.example"


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@pytest.fixture
async def admin(engine: AsyncEngine, database: Database) -> Actor:
    return await an_admin(engine, database)


def invitations(database: Database, clock: Clock, default_role: str | None = None) -> Invitations:
    links = OneTimeLinks("http://inbox", clock=clock)
    return Invitations(database, Rights(database, NoCache()), links, default_role=default_role)


async def every_change(
    engine: AsyncEngine, database: Database, clock: Clock, caller: Actor
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that decides what people and programs may do, about `caller` where it can be."""
    own, admin = await role_id(engine, await a_role(engine)), await role_id(engine, "admin")
    person, (key, _) = await a_local_user(engine), await an_api_key(engine)
    keys = ApiKeys(database, Rights(database, NoCache()), clock)
    return {
        "roles": lambda: members(database).assign_roles(caller, caller.user_id, [(admin, None)]),
        "overrides": lambda: members(database).set_overrides(
            caller, caller.user_id, [Grant(code=ROLES, account_id=None)]
        ),
        "status": lambda: members(database).set_active(caller, caller.user_id, is_active=True),
        "role made": lambda: roles(database).create(
            caller, slug="role-x", name="X", description=None, permissions=[ROLES]
        ),
        "role changed": lambda: roles(database).change(caller, own, RoleChange(permissions=(ROLES,))),
        "role deleted": lambda: roles(database).delete(caller, own),
        "key made": lambda: keys.create(caller, "x", [VIEW], None),
        "key ended": lambda: keys.revoke(caller, key),
        "invitation": lambda: invitations(database, clock).invite(caller, EMAIL, None, []),
        "invitation with roles": lambda: invitations(database, clock).invite(caller, EMAIL, None, [(admin, None)]),
        "reset link": lambda: invitations(database, clock).reset(caller, person),
    }


async def everything(engine: AsyncEngine) -> list[object]:
    tables = ("api_keys", "api_key_grants", "local_users", "one_time_links", "audit_entries")
    found = [await execute(engine, f"select t::text from {table} t order by 1") for table in tables]  # noqa: S608 - ours
    return [await team_rows(engine), *found]


@pytest.mark.parametrize("fall", ["demoted", "disabled", "denied"])
async def test_who_was_just_an_administrator_changes_no_rights_any_more(
    engine: AsyncEngine, database: Database, clock: Clock, admin: Actor, fall: str
) -> None:
    boss = await an_admin(engine, database)
    match fall:
        case "demoted":
            await members(database).assign_roles(boss, admin.user_id, [])
        case "disabled":
            await members(database).set_active(boss, admin.user_id, is_active=False)
        case _:
            denied = [Grant(code=code, account_id=None, is_allowed=False) for code in (USERS, ROLES)]
            await members(database).set_overrides(boss, admin.user_id, denied)
    changes = await every_change(engine, database, clock, admin)
    before = await everything(engine)
    for name, change in changes.items():
        with pytest.raises(PermissionDenied):
            print(name, await change())  # noqa: T201 - says which one passed
    assert await everything(engine) == before


async def test_the_same_changes_are_made_for_an_administrator(
    engine: AsyncEngine, database: Database, clock: Clock, admin: Actor
) -> None:
    await an_admin(engine, database)  # so that `admin` may do to themselves what they like
    for name, change in (await every_change(engine, database, clock, admin)).items():
        before = await everything(engine)
        if name == "overrides":  # makes nobody less of an administrator
            await give_role(engine, admin.user_id, "viewer")
        await change()
        assert await everything(engine) != before, name


async def test_a_program_changes_no_rights_although_it_holds_them(
    engine: AsyncEngine, database: Database, clock: Clock
) -> None:
    key, _ = await an_api_key(engine, (USERS, None), (ROLES, None), (VIEW.code, None))
    grants = tuple(Grant(code=code, account_id=None) for code in (USERS, ROLES, VIEW.code))
    program = Actor(user_id=UserId(key), email=None, is_active=True, grants=grants, kind=ActorKind.API_KEY)
    changes = await every_change(engine, database, clock, program)
    before = await everything(engine)
    for change in changes.values():
        with pytest.raises(PermissionDenied):
            await change()
    assert await everything(engine) == before


async def test_a_link_that_waits_for_a_promotion_is_not_made_for_the_new_administrator(
    engine: AsyncEngine, database: Database, clock: Clock
) -> None:
    helper, person = await somebody(engine, USERS), await a_local_user(engine)
    async with engine.begin() as promotion:
        await promotion.exec_driver_sql("update rights_version set version = version + 1")
        making = asyncio.create_task(invitations(database, clock).reset(helper, person))
        await until(engine, LOCK_WAIT)
        await promotion.exec_driver_sql(
            f"insert into app_user_roles (user_id, role_id) select '{person}', id from app_roles where slug = 'admin'"  # noqa: S608 - ours
        )
    with pytest.raises(PermissionDenied):
        await making
    assert await execute(engine, "select 1 from one_time_links") == []


async def test_nobody_invites_a_puppet_that_holds_more_than_they_do_by_the_default_role(
    engine: AsyncEngine, database: Database, clock: Clock
) -> None:
    service = invitations(database, clock, "viewer")
    helper = await somebody(engine, USERS)
    with pytest.raises(PermissionDenied):
        await service.invite(helper, EMAIL, None, [])
    assert await execute(engine, "select 1 from local_users union all select 1 from one_time_links") == []
    await give_role(engine, helper.user_id, "viewer")
    made = await service.invite(helper, EMAIL, None, [])
    assert await roles_of(engine, made.user_id) == [("viewer", None)]
