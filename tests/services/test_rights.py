"""Rights are remembered while nothing can have changed them, in this process or in any other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from database_fixtures import RecordedSignals
from inbox.adapters.cache.memory import MemoryCache
from inbox.domain.access import Actor, ActorKind, Permission, Subject
from inbox.domain.errors import DatabaseTimeout
from inbox.domain.ids import UserId, uuid7
from inbox.ports.database import Database
from inbox.ports.team import RIGHTS_SECONDS
from inbox.services.members import Members
from inbox.services.rights import Rights
from member_builders import a_role, a_user, an_api_key, give_role, remove_own_roles, seed_roles
from services.rights_scene import Counted
from services.team_scene import an_admin, role_id
from statement_counts import counting

VIEW = Permission.MESSAGES_VIEW


class Unwatchable:
    """The database, of which one cannot learn whether rights changed while `is_silent`."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - a database
        self.team = self
        self.is_silent = False
        self.asked = asyncio.Event()
        self.actor, self.me = inner.team.actor, inner.team.me
        self._inner = inner

    async def rights_version(self) -> int:
        self.asked.set()
        if self.is_silent:
            raise DatabaseTimeout
        version: int = await self._inner.team.rights_version()
        return version


def a_process(database: Any) -> Rights:  # noqa: ANN401 - or a double
    """Rights as one process knows them, which no signal of another one reaches."""
    return Rights(database, MemoryCache(RecordedSignals()), Counted())


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@pytest.fixture
async def lea(engine: AsyncEngine) -> Subject:
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, VIEW))
    return Subject(user_id=user)


async def known(rights: Rights, subject: Subject) -> Actor:
    actor = await rights.actor(subject)
    assert actor is not None
    return actor


async def cost(engine: AsyncEngine, rights: Rights, subject: Subject) -> int:
    """Statements of one request for its rights."""
    with counting(engine) as statements:
        await known(rights, subject)
    return len(statements)


async def others_run(engine: AsyncEngine) -> None:
    """What is remembered is answered without any wait, so a test that looks again and again has to make one."""
    await execute(engine, "select 1")


async def remembered(engine: AsyncEngine, rights: Rights, subject: Subject) -> None:
    """Waits until a request costs nothing."""
    async with asyncio.timeout(10):
        while await cost(engine, rights, subject):
            pass


async def test_remembered_rights_cost_no_statement_and_neither_does_ones_page(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    rights = a_process(database)
    async with rights.watching():
        await remembered(engine, rights, lea)
        actor = await known(rights, lea)
        assert actor.holds(VIEW)
        first = await rights.me(actor)
        with counting(engine) as statements:
            assert await rights.me(actor) == first
        assert statements == []


async def test_a_process_that_does_not_watch_remembers_nothing(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    rights = a_process(database)
    assert [await cost(engine, rights, lea) for _ in range(3)] == [1, 1, 1]
    await execute(engine, "delete from app_user_roles")
    assert not (await known(rights, lea)).holds(VIEW)


async def test_rights_of_one_are_not_those_of_another(engine: AsyncEngine, database: Database, lea: Subject) -> None:
    other, rights = Subject(user_id=await a_user(engine)), a_process(database)
    async with rights.watching():
        await remembered(engine, rights, lea)
        await remembered(engine, rights, other)
        assert (await known(rights, other)).user_id == other.user_id
        assert (await rights.me(await known(rights, other))).id == other.user_id
        assert (await rights.me(await known(rights, lea))).id == lea.user_id


async def test_a_program_is_not_taken_for_the_person_whose_id_its_key_happens_to_have(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    program, rights = Subject(user_id=lea.user_id, kind=ActorKind.API_KEY), a_process(database)
    key, _ = await an_api_key(engine)
    await execute(engine, "update api_keys set id = :same where id = :id", same=lea.user_id, id=key)
    async with rights.watching():
        await remembered(engine, rights, lea)
        actor = await known(rights, program)
        assert (actor.kind, actor.holds(VIEW)) == (ActorKind.API_KEY, False)
        assert (await rights.me(await known(rights, lea))).profile.display_name is None
        assert (await rights.me(actor)).profile.display_name == "key"


async def test_somebody_without_a_row_is_looked_for_again(engine: AsyncEngine, database: Database) -> None:
    nobody, rights = Subject(user_id=UserId(uuid7())), a_process(database)
    async with rights.watching():
        await remembered(engine, rights, Subject(user_id=await a_user(engine)))
        assert await rights.actor(nobody) is None
        await execute(engine, "insert into app_users (user_id, is_active) values (:id, true)", id=nobody.user_id)
        assert await rights.actor(nobody) is not None


async def test_in_the_process_that_changed_them_rights_are_new_at_once(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    rights = a_process(database)
    members = Members(database, rights, bootstrap_email=None, default_role=None)
    admin = await an_admin(engine, database)
    async with rights.watching():
        await remembered(engine, rights, lea)
        await members.assign_roles(admin, lea.user_id, [(await role_id(engine, "viewer"), None)])
        assert (await known(rights, lea)).holds(Permission.CONTACTS_VIEW)
        await members.set_active(admin, lea.user_id, is_active=False)
        assert not (await known(rights, lea)).is_active


async def test_in_another_process_they_are_new_within_a_second_although_every_signal_is_lost(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    here, there = a_process(database), a_process(database)
    members = Members(database, here, bootstrap_email=None, default_role=None)
    admin = await an_admin(engine, database)
    async with AsyncExitStack() as stack:
        for rights in (here, there):
            await stack.enter_async_context(rights.watching())
        await remembered(engine, there, lea)
        await members.assign_roles(admin, lea.user_id, [])
        async with asyncio.timeout(RIGHTS_SECONDS):
            while (await known(there, lea)).holds(VIEW):
                await others_run(engine)
        await members.set_active(admin, lea.user_id, is_active=False)
        async with asyncio.timeout(RIGHTS_SECONDS):
            while (await known(there, lea)).is_active:
                await others_run(engine)
        assert (await there.me(await known(there, lea))).roles == []


async def test_while_nobody_knows_whether_rights_changed_nothing_is_remembered(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    unwatchable = Unwatchable(database)
    unwatchable.is_silent = True
    rights = a_process(unwatchable)
    async with rights.watching():
        async with asyncio.timeout(10):
            await unwatchable.asked.wait()
        assert [await cost(engine, rights, lea) for _ in range(3)] == [1, 1, 1]


async def test_what_is_remembered_ends_within_a_second_of_the_last_look(
    engine: AsyncEngine, database: Database, lea: Subject
) -> None:
    unwatchable = Unwatchable(database)
    rights = a_process(unwatchable)
    async with rights.watching():
        await remembered(engine, rights, lea)
        unwatchable.is_silent = True
        async with asyncio.timeout(RIGHTS_SECONDS):
            while not await cost(engine, rights, lea):
                await others_run(engine)
        assert await cost(engine, rights, lea) == 1
        unwatchable.is_silent = False
        await remembered(engine, rights, lea)
