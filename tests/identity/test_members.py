"""From whom a token speaks for to somebody with rights."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.cache.off import NoCache
from inbox.domain.access import ActorKind, Permission, Subject
from inbox.domain.errors import InvalidToken, UserDisabled
from inbox.domain.ids import UserId, uuid7
from inbox.ports.database import Database
from inbox.services.members import Members
from inbox.services.rights import Rights
from member_builders import a_subject, a_user, give_role, roles_of, seed_roles
from statement_counts import counting

BOSS = "boss@faro.example"


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> None:
    await seed_roles(engine)


def members(database: Database, *, bootstrap: str | None = None, default_role: str | None = None) -> Members:
    rights = Rights(database, NoCache())
    return Members(database, rights, bootstrap_email=bootstrap, default_role=default_role)


def the_boss(*, is_verified: bool = True) -> Subject:
    return a_subject(email=BOSS, is_email_verified=is_verified)


async def test_the_first_sign_in_makes_a_member(database: Database, engine: AsyncEngine) -> None:
    await give_role(engine, await a_user(engine), "admin")
    subject = a_subject(email="ana@faro.example", display_name="Ana Ruiz")
    actor = await members(database).sign_in(subject)
    assert (actor.user_id, actor.email, actor.grants) == (subject.user_id, "ana@faro.example", ())
    me = await database.team.me(actor)
    assert (me.profile.display_name, me.permissions.everywhere, me.roles) == ("Ana Ruiz", [], [])


async def test_a_known_member_costs_one_statement(database: Database, engine: AsyncEngine) -> None:
    subject = a_subject()
    await members(database).sign_in(subject)
    with counting(engine) as statements:
        await members(database, bootstrap=BOSS).sign_in(subject)
    assert len(statements) == 1


async def test_the_default_role_is_given_once_and_never_back(database: Database, engine: AsyncEngine) -> None:
    await give_role(engine, await a_user(engine), "admin")
    subject = a_subject()
    service = members(database, default_role="viewer")
    actor = await service.sign_in(subject)
    assert actor.holds(Permission.CONVERSATIONS_VIEW)
    await execute(engine, "delete from app_user_roles where user_id = :user", user=subject.user_id)
    assert (await service.sign_in(subject)).grants == ()


async def test_joining_and_the_first_administration_leave_a_trail_once(database: Database, engine: AsyncEngine) -> None:
    first, second = a_subject(), a_subject()
    for subject in (first, first, second, second):
        await members(database).sign_in(subject)
    trail = await execute(engine, "select action, target, actor_id from audit_entries order by at, id")
    assert [(row.action, row.target, row.actor_id) for row in trail] == [
        ("member.joined", str(first.user_id), first.user_id),
        ("member.admin_made", str(first.user_id), first.user_id),
        ("member.joined", str(second.user_id), second.user_id),
    ]


async def test_many_first_requests_at_once_make_one_member_and_one_administrator(
    database: Database, engine: AsyncEngine
) -> None:
    subjects = [a_subject(), a_subject()]
    service = members(database)
    actors = await asyncio.gather(*(service.sign_in(subject) for subject in subjects * 4))
    admins = {actor.user_id for actor in actors if actor.holds(Permission.USERS_MANAGE)}
    assert len(admins) == 1
    rows = await execute(engine, "select user_id from app_users")
    assert len(rows) == 2


async def test_a_disabled_member_is_refused_and_stays_disabled(database: Database, engine: AsyncEngine) -> None:
    subject = a_subject()
    service = members(database)
    await service.sign_in(subject)
    await execute(engine, "update app_users set is_active = false")
    for _ in range(2):
        with pytest.raises(UserDisabled):
            await service.sign_in(subject)


async def test_the_verified_bootstrap_address_administers_and_others_do_not(
    database: Database, engine: AsyncEngine
) -> None:
    service = members(database, bootstrap=f" {BOSS.upper()} ")
    assert not (await service.sign_in(a_subject())).holds(Permission.ROLES_MANAGE)
    assert not (await service.sign_in(the_boss(is_verified=False))).holds(Permission.ROLES_MANAGE)
    boss = the_boss()
    assert (await service.sign_in(boss)).holds(Permission.ROLES_MANAGE)
    assert await roles_of(engine, boss.user_id) == [("admin", None)]


async def test_the_bootstrap_address_may_be_configured_after_its_first_sign_in(
    database: Database, engine: AsyncEngine
) -> None:
    boss = the_boss()
    await execute(
        engine,
        "insert into app_users (user_id, email, is_active) values (:id, :email, true)",
        id=boss.user_id,
        email=BOSS,
    )
    assert (await members(database).sign_in(boss)).grants == ()
    assert (await members(database, bootstrap=BOSS).sign_in(boss)).holds(Permission.ROLES_MANAGE)


async def test_the_bootstrap_address_gets_nothing_while_there_is_an_administrator(
    database: Database, engine: AsyncEngine
) -> None:
    await give_role(engine, await a_user(engine), "admin")
    boss = the_boss()
    await members(database, bootstrap=BOSS).sign_in(boss)
    version = await database.team.rights_version()
    assert (await members(database, bootstrap=BOSS).sign_in(boss)).grants == ()
    assert await database.team.rights_version() == version


async def test_a_key_without_a_row_is_no_key_and_makes_no_member(database: Database, engine: AsyncEngine) -> None:
    with pytest.raises(InvalidToken):
        await members(database).sign_in(Subject(user_id=UserId(uuid7()), kind=ActorKind.API_KEY))
    assert await execute(engine, "select 1 from app_users") == []
