"""The caller with all their rights: one statement, and the evaluation of the contract from rows to verdict."""

from collections.abc import AsyncIterator
from itertools import product
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.queries_members import ACTOR, actor_of
from inbox.domain.access import Actor, Permission
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.ports.views import OverrideItem, ProfileRow, RoleItem
from member_builders import a_role, a_user, give_override, give_role, remove_own_roles, seed_roles
from statement_counts import counting


@pytest.fixture(autouse=True)
async def _own_roles(engine: AsyncEngine) -> AsyncIterator[None]:
    yield
    await remove_own_roles(engine)


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(engine, SEALER)


async def the_actor(queries: PostgresQueries, user: UserId) -> Actor:
    actor = await queries.actor(user)
    assert actor is not None
    return actor


async def test_somebody_without_a_row_is_nobody(queries: PostgresQueries) -> None:
    assert await queries.actor(UserId(uuid7())) is None


async def test_a_member_without_rights_has_none(engine: AsyncEngine, queries: PostgresQueries) -> None:
    user = await a_user(engine, email="lea@atelier.example")
    expected = Actor(user_id=user, email="lea@atelier.example", is_active=True, grants=())
    assert await queries.actor(user) == expected


async def test_a_disabled_member_is_known_and_not_active(engine: AsyncEngine, queries: PostgresQueries) -> None:
    assert not (await the_actor(queries, await a_user(engine, is_active=False))).is_active


async def test_a_member_whose_activity_is_unknown_counts_as_disabled(engine: AsyncEngine) -> None:
    user = await a_user(engine)
    async with engine.connect() as connection:
        await connection.execute(text("alter table app_users alter column is_active drop not null"))
        await connection.execute(text("update app_users set is_active = null"))
        row = (await connection.execute(ACTOR, {"user_id": user})).one()
    assert not actor_of(row).is_active


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
    queries: PostgresQueries,
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
    actor = await the_actor(queries, user)
    assert (actor.may(code, account), actor.may(code, other)) == here_and_elsewhere


@pytest.mark.parametrize(("role_at", "override_at"), list(product([None, "here"], [None, "here", "there"])))
async def test_front_ends_see_what_the_server_decides(
    engine: AsyncEngine, queries: PostgresQueries, role_at: str | None, override_at: str | None
) -> None:
    here, there = (await an_account(engine)).account_id, (await an_account(engine)).account_id
    scopes: dict[str | None, AccountId | None] = {None: None, "here": here, "there": there}
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, *Permission), scopes[role_at])
    await give_override(engine, user, Permission.MESSAGES_SEND, scopes[override_at], is_allowed=False)
    actor = await the_actor(queries, user)
    shown = (await queries.me(actor)).permissions
    for account in (here, there):
        for code in (Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW):
            listed = code in shown.everywhere or code in shown.accounts.get(str(account), [])
            assert listed is actor.may(code, account)


async def test_rights_of_another_member_are_not_mine(engine: AsyncEngine, queries: PostgresQueries) -> None:
    other, me = await a_user(engine), await a_user(engine)
    await give_role(engine, other, await a_role(engine, Permission.MESSAGES_VIEW))
    await give_override(engine, other, Permission.MESSAGES_VIEW, is_allowed=True)
    actor = await the_actor(queries, me)
    assert actor.grants == ()
    shown = await queries.me(actor)
    assert (shown.roles, shown.overrides) == ([], [])


async def test_a_code_that_does_not_exist_is_never_granted(engine: AsyncEngine, queries: PostgresQueries) -> None:
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, "permissions.view"))
    actor = await the_actor(queries, user)
    assert not any(actor.holds(code) for code in Permission)
    assert (await queries.me(actor)).permissions.everywhere == []


async def test_the_caller_sees_their_row_their_roles_and_their_overrides(
    engine: AsyncEngine, queries: PostgresQueries
) -> None:
    await seed_roles(engine)
    account = (await an_account(engine)).account_id
    await an_account(engine, is_active=False)
    user = await a_user(engine, email="lea@atelier.example", display_name="Léa Martin")
    given = await give_role(engine, user, "viewer")
    override = await give_override(engine, user, Permission.MESSAGES_SEND, account, is_allowed=True)
    roles = await execute(engine, "select id, name from app_roles where slug = 'viewer'")
    me = await queries.me(await the_actor(queries, user))
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


async def test_a_missing_time_of_an_old_row_does_not_fail(engine: AsyncEngine, queries: PostgresQueries) -> None:
    user = await a_user(engine)
    await execute(engine, "update app_users set created_at = null where user_id = :id", id=user)
    me = await queries.me(await the_actor(queries, user))
    assert me.profile.created_at == "1970-01-01T00:00:00.000000Z"


async def test_a_member_who_went_away_is_not_found(queries: PostgresQueries) -> None:
    with pytest.raises(UserNotFound):
        await queries.me(Actor(user_id=UserId(UUID(int=5)), email=None, is_active=True))


async def test_the_caller_is_one_statement_and_so_is_their_page(engine: AsyncEngine, queries: PostgresQueries) -> None:
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, *Permission))
    with counting(engine) as statements:
        actor = await the_actor(queries, user)
        assert len(statements) == 1
        await queries.me(actor)
        assert len(statements) == 2
