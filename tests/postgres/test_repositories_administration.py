"""Members as administrators change them, and who counts as an administrator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.adapters.database.postgres.members import PostgresMembers
from inbox.domain.access import Grant, Permission
from inbox.domain.errors import AccountNotFound, RoleNotFound, UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from member_builders import (
    a_role,
    a_subject,
    a_user,
    give_override,
    give_role,
    remove_own_roles,
    roles_of,
    seed_roles,
)


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


async def an_admin(engine: AsyncEngine) -> UserId:
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    return user


@asynccontextmanager
async def members_of(engine: AsyncEngine) -> AsyncIterator[PostgresMembers]:
    """The repository; what the block does commits."""
    async with engine.begin() as connection:
        yield PostgresMembers(connection)


async def role_id(engine: AsyncEngine, slug: str) -> UUID:
    (row,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    found: UUID = row.id
    return found


async def overrides_of(engine: AsyncEngine, user: UserId) -> list[tuple[str, UUID | None, bool]]:
    rows = await execute(
        engine,
        """select permission_code, account_id, is_allowed from app_user_overrides where user_id = :user
           order by permission_code, account_id nulls first""",
        user=user,
    )
    return [tuple(row) for row in rows]


async def test_somebody_can_be_entered_before_their_first_sign_in_and_stays_as_they_are(engine: AsyncEngine) -> None:
    lea = a_subject(email="lea@atelier.example", display_name="Léa")
    async with members_of(engine) as members:
        await members.add(lea)
        await members.set_active(lea.user_id, is_active=False)
        await members.add(msgspec.structs.replace(lea, display_name="Autre"))
    (row,) = await execute(engine, "select email, display_name, is_active from app_users")
    assert tuple(row) == ("lea@atelier.example", "Léa", False)


async def test_roles_are_replaced_as_a_set_and_rows_that_stay_keep_their_ids(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    user, other, slug = await a_user(engine), await a_user(engine), await a_role(engine)
    kept = await give_role(engine, user, "viewer", account)
    await give_role(engine, user, "viewer")
    await give_role(engine, other, "viewer")
    viewer, own = await role_id(engine, "viewer"), await role_id(engine, slug)
    async with members_of(engine) as members:
        await members.replace_roles(user, [(own, None), (viewer, account), (own, None), (own, account)])
    assert await roles_of(engine, user) == [(slug, account), (slug, None), ("viewer", account)]
    assert kept in [row.id for row in await execute(engine, "select id from app_user_roles")]
    async with members_of(engine) as members:
        await members.replace_roles(user, [])
    assert await roles_of(engine, user) == []
    assert await roles_of(engine, other) == [("viewer", None)]


async def test_overrides_are_replaced_as_a_set_and_of_contradicting_ones_the_deny_stays(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    user, other = await a_user(engine), await a_user(engine)
    kept = await give_override(engine, user, Permission.MESSAGES_SEND, account, is_allowed=True)
    await give_override(engine, user, Permission.CONTACTS_VIEW, is_allowed=True)
    await give_override(engine, other, Permission.CONTACTS_VIEW, is_allowed=True)

    def override(code: str, at: AccountId | None, *, is_allowed: bool) -> Grant:
        return Grant(code=code, account_id=at, is_allowed=is_allowed)

    async with members_of(engine) as members:
        await members.replace_overrides(
            user,
            [
                override("messages.send", account, is_allowed=False),
                override("messages.view", None, is_allowed=False),
                override("messages.view", None, is_allowed=True),
                override("messages.view", account, is_allowed=True),
                override("messages.view", account, is_allowed=True),
            ],
        )
    assert await overrides_of(engine, user) == [
        ("messages.send", account, False),
        ("messages.view", None, False),
        ("messages.view", account, True),
    ]
    assert kept in [row.id for row in await execute(engine, "select id from app_user_overrides")]
    async with members_of(engine) as members:
        await members.replace_overrides(user, [])
    assert await overrides_of(engine, user) == []
    assert await overrides_of(engine, other) == [("contacts.view", None, True)]


async def test_nobody_who_is_not_there_can_be_changed(engine: AsyncEngine) -> None:
    nobody = UserId(uuid7())
    async with members_of(engine) as members:
        for change in (
            members.lock(nobody),
            members.set_active(nobody, is_active=True),
            members.replace_roles(nobody, []),
            members.replace_overrides(nobody, []),
        ):
            with pytest.raises(UserNotFound):
                await change


async def test_a_set_that_names_what_is_not_there_is_refused(engine: AsyncEngine) -> None:
    user, viewer = await a_user(engine), await role_id(engine, "viewer")
    nowhere = AccountId(uuid7())
    with pytest.raises(RoleNotFound):
        async with members_of(engine) as members:
            await members.replace_roles(user, [(viewer, None), (uuid7(), None)])
    with pytest.raises(AccountNotFound):
        async with members_of(engine) as members:
            await members.replace_roles(user, [(viewer, nowhere)])
    with pytest.raises(AccountNotFound):
        async with members_of(engine) as members:
            await members.replace_overrides(user, [Grant(code="messages.view", account_id=nowhere)])
    assert await roles_of(engine, user) == []


# --- who counts as an administrator -----------------------------------------------------------------------------------


async def has_admin(engine: AsyncEngine) -> bool:
    async with members_of(engine) as members:
        return await members.has_admin()


async def test_an_active_person_with_the_role_everywhere_is_an_administrator(engine: AsyncEngine) -> None:
    assert not await has_admin(engine)
    await a_user(engine)
    assert not await has_admin(engine)
    await an_admin(engine)
    assert await has_admin(engine)


@pytest.mark.parametrize("code", [Permission.USERS_MANAGE, Permission.ROLES_MANAGE])
async def test_a_deny_of_what_administrators_must_do_takes_administration_away(engine: AsyncEngine, code) -> None:
    user, account = await an_admin(engine), (await an_account(engine)).account_id
    await give_override(engine, user, code, account, is_allowed=False)
    assert await has_admin(engine)  # at one account it has no effect
    await give_override(engine, user, code, is_allowed=False)
    assert not await has_admin(engine)
    await an_admin(engine)
    assert await has_admin(engine)


async def test_the_permissions_may_come_from_the_role_from_another_one_or_from_overrides(engine: AsyncEngine) -> None:
    user = await an_admin(engine)
    async with engine.connect() as connection:  # rolled back
        await connection.execute(text("delete from role_permissions"))
        members = PostgresMembers(connection)
        assert not await members.has_admin()
        row = "insert into app_user_overrides (user_id, permission_code, is_allowed) values (:user, :code, true)"
        await connection.execute(text(row), {"user": user, "code": Permission.USERS_MANAGE})
        assert not await members.has_admin()
        await connection.execute(text(row), {"user": user, "code": Permission.ROLES_MANAGE})
        assert await members.has_admin()


@pytest.mark.parametrize("weakness", ["disabled", "of one account", "of another role"])
async def test_others_do_not_count(engine: AsyncEngine, weakness) -> None:
    user = await a_user(engine, is_active=weakness != "disabled")
    await give_role(engine, user, await a_role(engine, *Permission))
    if weakness != "of another role":
        account = (await an_account(engine)).account_id
        await give_role(engine, user, "admin", account if weakness == "of one account" else None)
    assert not await has_admin(engine)
