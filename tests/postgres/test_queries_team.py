"""The caller with all their rights, from rows to verdict; and the lists that administrators read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, an_account, execute
from inbox.adapters.database.postgres import queries_team
from inbox.adapters.database.postgres.queries_team import PostgresTeam
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.access import Actor, Permission, Subject
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.kit.paging import format_time
from inbox.ports.views import OverrideItem, PermissionItem, ProfileRow, RoleItem, UserOverride, UserRow
from member_builders import a_role, a_user, give_override, give_role, remove_own_roles, seed_roles
from statement_counts import counting


@pytest.fixture(autouse=True)
async def _own_roles(engine: AsyncEngine) -> AsyncIterator[None]:
    yield
    await remove_own_roles(engine)


@pytest.fixture
def team(engine: AsyncEngine) -> PostgresTeam:
    return PostgresTeam(Reader(engine))


async def the_actor(team: PostgresTeam, user: UserId) -> Actor:
    actor = await team.actor(Subject(user_id=user))
    assert actor is not None
    return actor


async def test_somebody_without_a_row_is_nobody(team: PostgresTeam) -> None:
    assert await team.actor(Subject(user_id=UserId(uuid7()))) is None


async def test_a_member_without_rights_has_none(engine: AsyncEngine, team: PostgresTeam) -> None:
    user = await a_user(engine, email="lea@atelier.example")
    expected = Actor(user_id=user, email="lea@atelier.example", is_active=True, grants=())
    assert await team.actor(Subject(user_id=user)) == expected


async def test_a_disabled_member_is_known_and_not_active(engine: AsyncEngine, team: PostgresTeam) -> None:
    assert not (await the_actor(team, await a_user(engine, is_active=False))).is_active


async def test_a_member_whose_activity_is_unknown_counts_as_disabled(engine: AsyncEngine) -> None:
    user = await a_user(engine)
    async with engine.connect() as connection:
        await connection.execute(text("alter table app_users alter column is_active drop not null"))
        await connection.execute(text("update app_users set is_active = null"))
        row = (await connection.execute(queries_team.ACTOR, {"user_id": user})).one()
    assert not queries_team.actor_of(row).is_active


@pytest.mark.parametrize(
    ("granted_by", "allowed_at", "denied_at", "here_and_elsewhere"),
    [
        ("role", "global", "global", (False, False)),
        ("role", "global", "here", (False, True)),
        ("role", "here", "here", (False, False)),
        ("role", "here", "global", (True, False)),
        # The schema knows one override of a code at a scope, so these two speak of different ones.
        ("override", "global", "here", (False, True)),
        ("override", "here", "global", (True, False)),
    ],
)
async def test_the_table_of_the_contract_holds_from_rows_to_verdict(
    engine: AsyncEngine,
    team: PostgresTeam,
    granted_by: str,
    allowed_at: str,
    denied_at: str,
    here_and_elsewhere: tuple[bool, bool],
) -> None:
    code = Permission.MESSAGES_SEND
    account, other = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    scopes: dict[str, AccountId | None] = {"global": None, "here": account}
    user = await a_user(engine)
    if granted_by == "role":
        await give_role(engine, user, await a_role(engine, code), scopes[allowed_at])
    else:
        await a_role(engine, code)
        await give_override(engine, user, code, scopes[allowed_at], is_allowed=True)
    await give_override(engine, user, code, scopes[denied_at], is_allowed=False)
    actor = await the_actor(team, user)
    assert (actor.may(code, account), actor.may(code, other)) == here_and_elsewhere


@pytest.mark.parametrize(("role_at", "override_at"), list(product([None, "here"], [None, "here", "there"])))
async def test_front_ends_see_what_the_server_decides(
    engine: AsyncEngine, team: PostgresTeam, role_at: str | None, override_at: str | None
) -> None:
    here, there = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    scopes: dict[str | None, AccountId | None] = {None: None, "here": here, "there": there}
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, *Permission), scopes[role_at])
    await give_override(engine, user, Permission.MESSAGES_SEND, scopes[override_at], is_allowed=False)
    actor = await the_actor(team, user)
    shown = (await team.me(actor)).permissions
    for account in (here, there):
        for code in (Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW):
            listed = code in shown.everywhere or code in shown.accounts.get(str(account), [])
            assert listed is actor.may(code, account)


async def test_rights_of_another_member_are_not_mine(engine: AsyncEngine, team: PostgresTeam) -> None:
    other, me = await a_user(engine), await a_user(engine)
    await give_role(engine, other, await a_role(engine, Permission.MESSAGES_VIEW))
    await give_override(engine, other, Permission.MESSAGES_VIEW, is_allowed=True)
    actor = await the_actor(team, me)
    assert actor.grants == ()
    shown = await team.me(actor)
    assert (shown.roles, shown.overrides) == ([], [])


async def test_a_code_that_does_not_exist_is_never_granted(engine: AsyncEngine, team: PostgresTeam) -> None:
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, "permissions.view"))
    actor = await the_actor(team, user)
    assert not any(actor.holds(code) for code in Permission)
    assert (await team.me(actor)).permissions.everywhere == []


async def test_the_caller_sees_their_row_their_roles_and_their_overrides(
    engine: AsyncEngine, team: PostgresTeam
) -> None:
    await seed_roles(engine)
    account = (await an_account(engine)).account_id
    await an_account(engine, is_active=False)
    user = await a_user(engine, email="lea@atelier.example", display_name="Léa Martin")
    given = await give_role(engine, user, "viewer")
    override = await give_override(engine, user, Permission.MESSAGES_SEND, account, is_allowed=True)
    roles = await execute(engine, "select id, name from app_roles where slug = 'viewer'")
    me = await team.me(await the_actor(team, user))
    assert me.id == user
    assert me.email == "lea@atelier.example"
    assert me.profile == ProfileRow(
        user_id=user,
        email="lea@atelier.example",
        display_name="Léa Martin",
        is_active=True,
        created_at=me.profile.created_at,
    )
    assert me.roles == [
        RoleItem(id=given, role_id=roles[0].id, role_slug="viewer", role_name=roles[0].name, account_id=None)
    ]
    assert me.overrides == [
        OverrideItem(id=override, permission_code="messages.send", account_id=account, is_allowed=True)
    ]
    assert msgspec.to_builtins(me.permissions)["accounts"] == {str(account): ["messages.send"]}


async def test_a_missing_time_of_an_old_row_does_not_fail(engine: AsyncEngine, team: PostgresTeam) -> None:
    user = await a_user(engine)
    await execute(engine, "update app_users set created_at = null where user_id = :id", id=user)
    me = await team.me(await the_actor(team, user))
    assert me.profile.created_at == "1970-01-01T00:00:00.000000Z"


async def test_a_member_who_went_away_is_not_found(team: PostgresTeam) -> None:
    with pytest.raises(UserNotFound):
        await team.me(Actor(user_id=UserId(UUID(int=5)), email=None, is_active=True))


# --- lists of administrators ------------------------------------------------------------------------------------------


async def test_permissions_come_by_code_with_what_they_are_called(engine: AsyncEngine, team: PostgresTeam) -> None:
    await seed_roles(engine)
    await a_role(engine, "Zeta.view", "aaa.view")
    found = await team.permissions()
    assert [item.code for item in found] == sorted(["Zeta.view", "aaa.view", *Permission])
    assert found[-1] == PermissionItem("users.manage", found[-1].label, found[-1].description)
    assert PermissionItem("aaa.view", None, None) in found


async def test_roles_come_by_name_with_their_permissions_sorted(engine: AsyncEngine, team: PostgresTeam) -> None:
    await seed_roles(engine)
    slug = await a_role(engine, Permission.SETTINGS_MANAGE, Permission.ACCOUNTS_VIEW)
    await execute(
        engine,
        "update app_roles set name = 'AAA', created_at = :noon, description = 'x' where slug = :slug",
        noon=NOON,
        slug=slug,
    )
    await execute(engine, "update app_roles set created_at = null where slug = 'viewer'")
    first, *rest = await team.roles()
    assert (first.slug, first.name, first.description, first.created_at) == (slug, "AAA", "x", format_time(NOON))
    assert first.permissions == ["accounts.view", "settings.manage"]
    assert [role.name for role in rest] == sorted(role.name for role in rest)
    (viewer,) = (role for role in rest if role.slug == "viewer")
    assert viewer.created_at == "1970-01-01T00:00:00.000000Z"


async def test_users_come_oldest_first_each_with_their_own_roles_and_overrides(
    engine: AsyncEngine, team: PostgresTeam
) -> None:
    await seed_roles(engine)
    account = (await an_account(engine)).account_id
    late, lea = await a_user(engine, is_active=False), await a_user(engine, email="lea@a.example", display_name="Léa")
    for user, at in ((lea, NOON), (late, NOON + timedelta(hours=1))):
        await execute(engine, "update app_users set created_at = :at where user_id = :id", at=at, id=user)
    same = sorted([await a_user(engine), await a_user(engine)])
    await execute(engine, "update app_users set created_at = null where user_id = any(:ids)", ids=same)
    given = await give_role(engine, lea, "viewer", account)
    override = await give_override(engine, lea, Permission.MESSAGES_SEND, account, is_allowed=False)
    (viewer,) = await execute(engine, "select id, name from app_roles where slug = 'viewer'")
    found = await team.users()
    assert [user.user_id for user in found] == [*same, lea, late]
    assert found[2] == UserRow(
        user_id=lea,
        email="lea@a.example",
        display_name="Léa",
        is_active=True,
        created_at=format_time(NOON),
        roles=[
            RoleItem(id=given, role_id=viewer.id, role_slug="viewer", role_name=viewer.name, account_id=account),
        ],
        overrides=[
            UserOverride(
                id=override, user_id=lea, permission_code="messages.send", account_id=account, is_allowed=False
            )
        ],
    )
    assert (found[3].is_active, found[3].roles, found[3].overrides) == (False, [], [])


async def test_each_read_is_one_statement_however_many_rows_it_has(engine: AsyncEngine, team: PostgresTeam) -> None:
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, *Permission))
    for _ in range(3):
        await give_override(engine, await a_user(engine), Permission.MESSAGES_SEND, is_allowed=True)
    with counting(engine) as statements:
        actor = await the_actor(team, user)
        assert len(statements) == 1
        for read in (team.me(actor), team.permissions(), team.roles(), team.users(), team.rights_version()):
            statements.clear()
            await read
            assert len(statements) <= 1, statements
