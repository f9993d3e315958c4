"""A team with its services: who administers, and what was written about it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.cache.off import NoCache
from inbox.domain.access import Actor, Grant, Permission, Subject
from inbox.domain.ids import UserId
from inbox.ports.database import Database
from inbox.services.members import Members
from inbox.services.rights import Rights
from inbox.services.roles import Roles
from member_builders import a_user, give_override, give_role


def members(database: Database) -> Members:
    return Members(database, Rights(database, NoCache()), bootstrap_email=None, default_role=None)


def roles(database: Database) -> Roles:
    return Roles(database, Rights(database, NoCache()))


async def an_admin(engine: AsyncEngine, database: Database) -> Actor:
    """Somebody with the role `admin` everywhere."""
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    return await the_actor(database, user)


async def the_actor(database: Database, user: UserId) -> Actor:
    actor = await database.team.actor(Subject(user_id=user))
    assert actor is not None
    return actor


async def somebody(engine: AsyncEngine, *codes: Permission) -> Actor:
    """A caller with these rights everywhere, who holds no role."""
    return await a_holder(engine, *(Grant(code=code, account_id=None) for code in codes))


async def a_holder(engine: AsyncEngine, *grants: Grant) -> Actor:
    """A caller with these grants, who holds no role."""
    user = await a_user(engine)
    for given in dict.fromkeys(grants):
        await give_override(engine, user, given.code, given.account_id, is_allowed=given.is_allowed)
    return Actor(user_id=user, email=None, is_active=True, grants=grants)


async def role_id(engine: AsyncEngine, slug: str) -> UUID:
    (row,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    found: UUID = row.id
    return found


async def trail(engine: AsyncEngine) -> Sequence[tuple[str, UUID, str, Any]]:
    """What the audit trail says: action, who, about what, details."""
    rows = await execute(engine, "select action, actor_id, target, details from audit_entries order by at, id")
    return [tuple(row) for row in rows]


async def team_rows(engine: AsyncEngine) -> list[Any]:
    """Everything that decides on rights."""
    return [
        tuple(row)
        for table in ("app_users", "app_user_roles", "app_user_overrides", "app_roles", "role_permissions")
        for row in await execute(engine, f"select t::text from {table} t order by 1")  # noqa: S608 - ours
    ]
