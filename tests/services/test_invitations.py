"""Invitations: what a newcomer begins with."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.cache.off import NoCache
from inbox.adapters.identity.links import OneTimeLinks
from inbox.domain.access import Actor
from inbox.domain.clock import Clock
from inbox.domain.errors import EmailTaken, LastAdmin
from inbox.domain.ids import UserId
from inbox.main.administrators import OPERATOR
from inbox.ports.database import Database
from inbox.services.invitations import Handed, Invitations
from inbox.services.rights import Rights
from member_builders import roles_of, seed_roles
from services.team_scene import an_admin, members, role_id

EMAIL = "lea@atelier.example"


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> None:
    await seed_roles(engine)


@pytest.fixture
def actor() -> Actor:
    return OPERATOR


def invitations(database: Database, clock: Clock, default_role: str | None = None) -> Invitations:
    links = OneTimeLinks("http://inbox", clock=clock)
    return Invitations(database, Rights(database, NoCache()), links, default_role=default_role)


@pytest.mark.parametrize(
    ("default_role", "roles"), [("viewer", [("viewer", None)]), (None, []), ("not-there-any-more", [])]
)
async def test_who_is_invited_without_roles_gets_the_default_role_once(
    database: Database, engine: AsyncEngine, clock: Clock, actor: Actor, default_role: str | None, roles: list[object]
) -> None:
    service = invitations(database, clock, default_role)
    person = (await service.invite(actor, EMAIL, None, [])).user_id
    assert await roles_of(engine, person) == roles
    await execute(engine, "delete from app_user_roles")
    await service.invite(actor, EMAIL, None, [])
    assert await roles_of(engine, person) == []


async def test_roles_that_are_given_stand_in_for_the_default_role(
    database: Database, engine: AsyncEngine, clock: Clock, actor: Actor
) -> None:
    (admin,) = await execute(engine, "select id from app_roles where slug = 'admin'")
    handed = await invitations(database, clock, "viewer").invite(actor, EMAIL, None, [(admin.id, None)])
    assert await roles_of(engine, handed.user_id) == [("admin", None)]


async def test_an_invitation_takes_no_last_administrator_away(
    database: Database, engine: AsyncEngine, clock: Clock, actor: Actor
) -> None:
    service = invitations(database, clock)
    roles = {row.slug: row.id for row in await execute(engine, "select slug, id from app_roles")}
    person = (await service.invite(actor, EMAIL, None, [(roles["admin"], None)])).user_id
    with pytest.raises(LastAdmin):
        await service.invite(actor, EMAIL, None, [(roles["viewer"], None)])
    assert await roles_of(engine, person) == [("admin", None)]


async def test_of_two_first_invitations_at_once_one_is_told_that_the_address_is_taken(
    database: Database, engine: AsyncEngine, clock: Clock, actor: Actor
) -> None:
    service = invitations(database, clock)
    answers = await asyncio.gather(*(service.invite(actor, EMAIL, None, []) for _ in range(4)), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, Handed)]
    assert all(isinstance(answer, Handed | EmailTaken) for answer in answers)
    assert {answer.user_id for answer in made} == {
        UserId(row.id) for row in await execute(engine, "select id from local_users")
    }
    assert len(await execute(engine, "select 1 from one_time_links")) == 1


@pytest.mark.parametrize("is_own", [True, False])
async def test_a_link_that_somebody_else_made_ends_when_the_persons_rights_change(
    database: Database, engine: AsyncEngine, clock: Clock, *, is_own: bool
) -> None:
    maker, giver = await an_admin(engine, database), await an_admin(engine, database)
    person = (await invitations(database, clock).invite(maker, EMAIL, None, [])).user_id
    viewer = await role_id(engine, "viewer")
    await members(database).assign_roles(maker if is_own else giver, person, [(viewer, None)])
    assert len(await execute(engine, "select 1 from one_time_links")) == (1 if is_own else 0)
