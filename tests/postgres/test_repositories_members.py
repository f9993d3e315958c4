"""Members: one row each, one first administrator, and roles that are given once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.adapters.database.postgres.members import PostgresMembers
from inbox.domain.access import Subject
from inbox.domain.errors import AccountNotFound, RoleNotFound, UserNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from member_builders import a_role, a_subject, a_user, give_role, remove_own_roles, roles_of, seed_roles
from statement_counts import counting

ADMIN: list[tuple[str, UUID | None]] = [("admin", None)]
BOSS = "patron@atelier.example"


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


async def sign_in(
    engine: AsyncEngine, subject: Subject, *, bootstrap_email: str | None = None, default_role: str | None = None
) -> None:
    async with engine.begin() as connection:
        await PostgresMembers(connection).sign_in(subject, bootstrap_email=bootstrap_email, default_role=default_role)


async def an_admin(engine: AsyncEngine) -> UserId:
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    return user


async def test_the_first_sign_in_makes_the_row_of_the_member(engine: AsyncEngine) -> None:
    await an_admin(engine)
    lea = a_subject(email="lea@atelier.example", display_name="Léa Martin")
    await sign_in(engine, lea)
    await sign_in(engine, msgspec.structs.replace(lea, display_name="Autre"))
    (row,) = await execute(engine, "select * from app_users where user_id = :id", id=lea.user_id)
    assert (row.email, row.display_name, row.is_active) == ("lea@atelier.example", "Léa Martin", True)
    assert await roles_of(engine, lea.user_id) == []


async def test_without_a_bootstrap_address_the_very_first_member_administers(engine: AsyncEngine) -> None:
    first, second = a_subject(), a_subject()
    await sign_in(engine, first, default_role="viewer")
    await sign_in(engine, second, default_role="viewer")
    assert await roles_of(engine, first.user_id) == ADMIN
    assert await roles_of(engine, second.user_id) == [("viewer", None)]


async def test_many_first_sign_ins_at_once_make_one_administrator(engine: AsyncEngine) -> None:
    subjects = [a_subject() for _ in range(8)]
    await asyncio.gather(*(sign_in(engine, subject, default_role="viewer") for subject in subjects))
    given = [await roles_of(engine, subject.user_id) for subject in subjects]
    assert given.count(ADMIN) == 1
    assert given.count([("viewer", None)]) == 7


async def test_many_sign_ins_of_one_member_make_one_row_with_one_role(engine: AsyncEngine) -> None:
    await an_admin(engine)
    lea = a_subject()
    await asyncio.gather(*(sign_in(engine, lea, default_role="viewer") for _ in range(8)))
    assert len(await execute(engine, "select 1 from app_users where user_id = :id", id=lea.user_id)) == 1
    assert await roles_of(engine, lea.user_id) == [("viewer", None)]


async def test_with_a_bootstrap_address_only_its_verified_owner_administers(engine: AsyncEngine) -> None:
    stranger = a_subject(email="autre@atelier.example", is_email_verified=True)
    impostor = a_subject(email=BOSS, is_email_verified=False)
    boss = a_subject(email="Patron@Atelier.example", is_email_verified=True)
    for subject in (stranger, impostor, boss):
        await sign_in(engine, subject, bootstrap_email=BOSS)
    assert await roles_of(engine, stranger.user_id) == []
    assert await roles_of(engine, impostor.user_id) == []
    assert await roles_of(engine, boss.user_id) == ADMIN


async def test_the_owner_of_the_bootstrap_address_may_have_signed_in_before(engine: AsyncEngine) -> None:
    boss = a_subject(email=BOSS, is_email_verified=True)
    await sign_in(engine, a_subject())
    await execute(engine, "delete from app_user_roles")
    await sign_in(engine, boss)
    await sign_in(engine, boss, bootstrap_email=BOSS)
    assert await roles_of(engine, boss.user_id) == ADMIN


async def test_there_is_no_second_bootstrap_while_an_administrator_is_active(engine: AsyncEngine) -> None:
    await an_admin(engine)
    boss = a_subject(email=BOSS, is_email_verified=True)
    await sign_in(engine, boss, bootstrap_email=BOSS, default_role="viewer")
    assert await roles_of(engine, boss.user_id) == [("viewer", None)]


@pytest.mark.parametrize("weakness", ["disabled", "scoped"])
async def test_an_administrator_who_is_disabled_or_of_one_account_does_not_count(
    engine: AsyncEngine, weakness: str
) -> None:
    scope = (await an_account(engine)).account_id if weakness == "scoped" else None
    user = await a_user(engine, is_active=weakness != "disabled")
    await give_role(engine, user, "admin", scope)
    boss = a_subject(email=BOSS, is_email_verified=True)
    await sign_in(engine, boss, bootstrap_email=BOSS)
    assert await roles_of(engine, boss.user_id) == ADMIN


async def test_a_disabled_member_does_not_become_administrator(engine: AsyncEngine) -> None:
    user = await a_user(engine, email=BOSS, is_active=False)
    boss = msgspec.structs.replace(a_subject(email=BOSS, is_email_verified=True), user_id=user)
    await sign_in(engine, boss, bootstrap_email=BOSS)
    assert await roles_of(engine, user) == []


async def test_emptying_the_roles_hands_administration_to_nobody(engine: AsyncEngine) -> None:
    first, second = a_subject(), a_subject()
    await sign_in(engine, first)
    await execute(engine, "delete from app_user_roles")
    await sign_in(engine, first, default_role="viewer")
    await sign_in(engine, second)
    assert await roles_of(engine, first.user_id) == []
    assert await roles_of(engine, second.user_id) == []


async def test_a_default_role_that_was_taken_away_does_not_come_back(engine: AsyncEngine) -> None:
    await an_admin(engine)
    lea = a_subject()
    await sign_in(engine, lea, default_role="viewer")
    await execute(engine, "delete from app_user_roles where user_id = :id", id=lea.user_id)
    await sign_in(engine, lea, default_role="viewer")
    assert await roles_of(engine, lea.user_id) == []


async def test_a_default_role_that_does_not_exist_gives_nothing(engine: AsyncEngine) -> None:
    await an_admin(engine)
    lea = a_subject()
    await sign_in(engine, lea, default_role="gone")
    assert await roles_of(engine, lea.user_id) == []


async def test_the_owner_of_the_bootstrap_address_changes_nothing_while_there_is_an_administrator(
    engine: AsyncEngine,
) -> None:
    await an_admin(engine)
    boss = a_subject(email=BOSS, is_email_verified=True)
    await sign_in(engine, boss, bootstrap_email=BOSS)
    with counting(engine) as statements:
        await sign_in(engine, boss, bootstrap_email=BOSS)
    assert len(statements) == 1  # in particular, other processes need not read rights anew


async def test_a_known_member_costs_one_statement(engine: AsyncEngine) -> None:
    lea = a_subject()
    await sign_in(engine, lea)
    with counting(engine) as statements:
        await sign_in(engine, lea, bootstrap_email=BOSS)
    assert len(statements) == 1


# --- by hand ----------------------------------------------------------------------------------------------------------


async def make_admin(engine: AsyncEngine, subject: Subject) -> None:
    async with engine.begin() as connection:
        await PostgresMembers(connection).make_admin(subject)


async def assign(engine: AsyncEngine, user: UserId, slug: str, account: AccountId | None) -> None:
    async with engine.begin() as connection:
        await PostgresMembers(connection).assign(user, slug, account)


async def test_an_administrator_can_be_made_again_and_again(engine: AsyncEngine) -> None:
    boss = a_subject(email=BOSS)
    await make_admin(engine, boss)
    await make_admin(engine, boss)
    assert await roles_of(engine, boss.user_id) == ADMIN


async def test_a_disabled_member_who_is_made_administrator_is_active_again(engine: AsyncEngine) -> None:
    user = await a_user(engine, is_active=False, display_name="Léa")
    subject = msgspec.structs.replace(a_subject(email=BOSS, display_name="Autre"), user_id=user)
    await make_admin(engine, subject)
    (row,) = await execute(engine, "select email, display_name, is_active from app_users")
    assert tuple(row) == (BOSS, "Léa", True)


async def test_a_role_is_given_once_for_each_scope(engine: AsyncEngine) -> None:
    account = (await an_account(engine)).account_id
    user, slug = await a_user(engine), await a_role(engine)
    for scope in (None, account, None, account):
        await assign(engine, user, slug, scope)
    assert await roles_of(engine, user) == [(slug, account), (slug, None)]


async def test_what_does_not_exist_cannot_be_assigned(engine: AsyncEngine) -> None:
    user = await a_user(engine)
    with pytest.raises(RoleNotFound):
        await assign(engine, user, "gone", None)
    with pytest.raises(UserNotFound):
        await assign(engine, UserId(uuid7()), "viewer", None)
    with pytest.raises(AccountNotFound):
        await assign(engine, user, "viewer", AccountId(uuid7()))
