"""People and what they may do: who may change it, all or nothing, and never the last administrator."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, an_account, execute, until
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.errors import Invalid, LastAdmin, PermissionDenied, UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.ports.database import Database
from member_builders import a_role, a_user, give_override, give_role, remove_own_roles, roles_of, seed_roles
from services.team_scene import an_admin, members, role_id, somebody, team_rows, the_actor, trail

USERS, ROLES = Permission.USERS_MANAGE, Permission.ROLES_MANAGE


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@pytest.fixture
async def admin(engine: AsyncEngine, database: Database) -> Actor:
    return await an_admin(engine, database)


def deny(code: str, at: AccountId | None = None) -> Grant:
    return Grant(code=code, account_id=at, is_allowed=False)


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_the_list_of_people_needs_both_rights(engine: AsyncEngine, database: Database, admin: Actor) -> None:
    for caller in (await somebody(engine, USERS), await somebody(engine, ROLES), await somebody(engine)):
        with pytest.raises(PermissionDenied):
            await members(database).list_all(caller)
    assert admin.user_id in [user.user_id for user in await members(database).list_all(admin)]


async def test_without_the_right_nothing_is_looked_up(engine: AsyncEngine, database: Database) -> None:
    everything_else = await somebody(engine, *(set(Permission) - {USERS, ROLES}))
    nobody = UserId(uuid7())
    with pytest.raises(PermissionDenied):
        await members(database).set_active(await somebody(engine, ROLES), nobody, is_active=False)
    for caller in (everything_else, await somebody(engine, USERS)):
        with pytest.raises(PermissionDenied):
            await members(database).assign_roles(caller, nobody, [])
        with pytest.raises(PermissionDenied):
            await members(database).set_overrides(caller, nobody, [])


async def test_who_manages_roles_may_give_rights_of_any_kind(engine: AsyncEngine, database: Database) -> None:
    user = await a_user(engine)
    await members(database).set_overrides(
        await somebody(engine, ROLES), user, [Grant(code=Permission.ACCOUNTS_MANAGE, account_id=None)]
    )
    assert (await the_actor(database, user)).holds(Permission.ACCOUNTS_MANAGE)


# --- what it does -----------------------------------------------------------------------------------------------------


async def test_whoever_is_disabled_and_enabled_again_is_told_of_in_the_trail(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    user = await a_user(engine)
    service = members(database)
    await service.set_active(admin, user, is_active=False)
    assert not (await the_actor(database, user)).is_active
    await service.set_active(admin, user, is_active=True)
    assert (await the_actor(database, user)).is_active
    assert [line[:3] for line in await trail(engine)] == [
        ("member.disabled", admin.user_id, str(user)),
        ("member.enabled", admin.user_id, str(user)),
    ]


async def test_a_new_set_of_roles_is_in_the_trail(engine: AsyncEngine, database: Database, admin: Actor) -> None:
    user, account, viewer = await a_user(engine), (await an_account(engine)).account_id, await role_id(engine, "viewer")
    await members(database).assign_roles(admin, user, [(viewer, account), (viewer, None), (viewer, account)])
    assert await roles_of(engine, user) == [("viewer", account), ("viewer", None)]
    ((action, who, target, details),) = await trail(engine)
    assert (action, who, target) == ("member.roles_assigned", admin.user_id, str(user))
    assert msgspec.json.decode(details) == {"roles": [str(viewer), f"{viewer}@{account}"]}


async def test_a_new_set_of_overrides_is_in_the_trail_as_it_counts(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    user, account = await a_user(engine), (await an_account(engine)).account_id
    send = Grant(code="messages.send", account_id=account)
    rows = [send, deny("messages.send", account), Grant(code="messages.view", account_id=None)]
    await members(database).set_overrides(admin, user, rows)
    assert not (await the_actor(database, user)).may(Permission.MESSAGES_SEND, account)
    ((_, _, _, details),) = await trail(engine)
    assert msgspec.json.decode(details) == {"allowed": ["messages.view"], "denied": [f"messages.send@{account}"]}


# --- all or nothing ---------------------------------------------------------------------------------------------------


async def test_one_bad_row_leaves_the_old_set_of_roles_and_is_named(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    user, account, viewer = await a_user(engine), (await an_account(engine)).account_id, await role_id(engine, "viewer")
    await give_role(engine, user, "viewer")
    before = await team_rows(engine)
    for assignments, path in (
        ([(viewer, account), (viewer, None), (uuid7(), None)], "body.assignments[2].role_id"),
        ([(viewer, AccountId(uuid7()))], "body.assignments[0].account_id"),
        ([(viewer, account), (account, None)], "body.assignments[1].role_id"),
    ):
        with pytest.raises(Invalid) as refused:
            await members(database).assign_roles(admin, user, assignments)
        assert refused.value.errors[0]["path"] == path
    assert await team_rows(engine) == before
    assert await trail(engine) == []


async def test_one_bad_row_leaves_the_old_set_of_overrides_and_is_named(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    user = await a_user(engine)
    await give_override(engine, user, "messages.view", is_allowed=True)
    before = await team_rows(engine)
    for rows, path in (
        ([deny("messages.send"), deny("qa.view")], "body.overrides[1].permission_code"),
        ([deny("messages.send", AccountId(uuid7()))], "body.overrides[0].account_id"),
    ):
        with pytest.raises(Invalid) as refused:
            await members(database).set_overrides(admin, user, rows)
        assert refused.value.errors[0]["path"] == path
    assert await team_rows(engine) == before
    assert await trail(engine) == []


async def test_somebody_who_is_not_there_is_missing_whatever_else_is_wrong(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    nobody, service = UserId(uuid7()), members(database)
    for change in (
        service.set_active(admin, nobody, is_active=False),
        service.assign_roles(admin, nobody, [(uuid7(), None)]),
        service.set_overrides(admin, nobody, [deny("qa.view")]),
    ):
        with pytest.raises(UserNotFound):
            await change
    assert await trail(engine) == []


# --- the last administrator -------------------------------------------------------------------------------------------


async def test_the_last_administrator_keeps_what_makes_them_one(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    disabled = await a_user(engine, is_active=False)
    await give_role(engine, disabled, "admin")
    account, role = (await an_account(engine)).account_id, await role_id(engine, "admin")
    before, service = await team_rows(engine), members(database)
    for change in (
        service.set_active(admin, admin.user_id, is_active=False),
        service.assign_roles(admin, admin.user_id, []),
        service.assign_roles(admin, admin.user_id, [(role, account)]),
        service.set_overrides(admin, admin.user_id, [deny(USERS)]),
        service.set_overrides(admin, admin.user_id, [deny(ROLES)]),
    ):
        with pytest.raises(LastAdmin):
            await change
    assert await team_rows(engine) == before
    assert await trail(engine) == []


async def test_the_last_administrator_may_be_changed_in_everything_else(
    engine: AsyncEngine, database: Database, admin: Actor
) -> None:
    account, service = (await an_account(engine)).account_id, members(database)
    await service.set_overrides(admin, admin.user_id, [deny(ROLES, account), deny("messages.send")])
    viewer, role = await role_id(engine, "viewer"), await role_id(engine, "admin")
    await service.assign_roles(admin, admin.user_id, [(viewer, None), (role, None)])
    await service.set_active(admin, admin.user_id, is_active=True)
    assert await roles_of(engine, admin.user_id) == [("admin", None), ("viewer", None)]


async def test_one_of_two_administrators_may_go(engine: AsyncEngine, database: Database, admin: Actor) -> None:
    other = await an_admin(engine, database)
    await members(database).assign_roles(admin, admin.user_id, [])
    with pytest.raises(LastAdmin):
        await members(database).assign_roles(other, other.user_id, [])


async def test_a_team_that_has_no_administrator_can_still_be_changed(engine: AsyncEngine, database: Database) -> None:
    boss, user = await somebody(engine, USERS, ROLES), await a_user(engine)
    slug = await a_role(engine, USERS, ROLES)
    await members(database).assign_roles(boss, user, [(await role_id(engine, slug), None)])
    await members(database).set_active(boss, user, is_active=False)
    assert not (await the_actor(database, user)).is_active


@pytest.mark.parametrize(("whom", "refusal"), [("themselves", LastAdmin), ("each other", PermissionDenied)])
@pytest.mark.parametrize("way", ["status", "roles", "overrides"])
async def test_of_two_administrators_who_remove_themselves_or_each_other_at_once_one_stays(
    engine: AsyncEngine, database: Database, way: str, whom: str, refusal: type[Exception]
) -> None:
    first, second = await an_admin(engine, database), await an_admin(engine, database)
    service = members(database)

    async def remove(actor: Actor, other: Actor) -> None:
        match way:
            case "status":
                await service.set_active(actor, other.user_id, is_active=False)
            case "roles":
                await service.assign_roles(actor, other.user_id, [])
            case _:
                await service.set_overrides(actor, other.user_id, [deny(ROLES)])

    pairs = ((first, first), (second, second)) if whom == "themselves" else ((first, second), (second, first))
    async with engine.begin() as blocker:  # both wait behind it, so that they really come at once
        await blocker.exec_driver_sql("update rights_version set version = version")
        changes = [asyncio.create_task(remove(*pair)) for pair in pairs]
        await until(engine, f"select 1 from ({LOCK_WAIT}) waiting having count(*) = 2")  # noqa: S608 - ours
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(map(type, results), key=str) == sorted([refusal, type(None)], key=str)
    async with database.transaction() as tx:
        assert await tx.members.has_admin()
    assert len(await execute(engine, "select 1 from audit_entries")) == 1
