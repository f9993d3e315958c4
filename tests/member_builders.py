"""Rows of the team: users, roles and what they may do."""

from collections.abc import Iterable
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_number, execute
from inbox.domain.access import Permission, Reach, Subject
from inbox.domain.ids import AccountId, UserId, uuid7

SEEDED: Final = {
    "admin": frozenset(Permission),
    "viewer": frozenset(
        {
            Permission.ACCOUNTS_VIEW,
            Permission.CONVERSATIONS_VIEW,
            Permission.MESSAGES_VIEW,
            Permission.CONTACTS_VIEW,
        }
    ),
}
"""Roles that every new installation has, as the contract's seeds define them."""

EVERYWHERE: Final = Reach(everywhere=True, accounts=())


def only(*accounts: AccountId) -> Reach:
    """A right that is held for these accounts only."""
    return Reach(everywhere=False, accounts=accounts)


def a_subject(*, email: str | None = None, is_email_verified: bool = False, display_name: str | None = None) -> Subject:
    return Subject(user_id=UserId(uuid7()), email=email, is_email_verified=is_email_verified, display_name=display_name)


async def seed_roles(engine: AsyncEngine) -> None:
    """The seeds of the contract, where the schema was made without them."""
    await execute(
        engine,
        "insert into app_permissions (code) select unnest(cast(:codes as text[])) on conflict do nothing",
        codes=[code.value for code in Permission],
    )
    for slug, codes in SEEDED.items():
        await execute(
            engine,
            "insert into app_roles (slug, name) values (:slug, initcap(:slug)) on conflict do nothing",
            slug=slug,
        )
        await _hold(engine, slug, codes)


async def a_user(
    engine: AsyncEngine, *, email: str | None = None, display_name: str | None = None, is_active: bool = True
) -> UserId:
    user_id = UserId(uuid7())
    await execute(
        engine,
        "insert into app_users (user_id, email, display_name, is_active) values (:id, :email, :name, :is_active)",
        id=user_id,
        email=email,
        name=display_name,
        is_active=is_active,
    )
    return user_id


async def a_role(engine: AsyncEngine, *codes: str) -> str:
    """A role of its own for one test; returns its slug. Codes need not be known."""
    slug = f"role-{a_number()}"
    await execute(engine, "insert into app_roles (slug, name) values (:slug, :slug)", slug=slug)
    await execute(
        engine,
        "insert into app_permissions (code) select unnest(cast(:codes as text[])) on conflict do nothing",
        codes=list(codes),
    )
    await _hold(engine, slug, codes)
    return slug


async def remove_own_roles(engine: AsyncEngine) -> None:
    """Roles and codes outlive a test, because migrations seed them: what `a_role` made goes here."""
    await execute(engine, "delete from app_roles where slug like 'role-%'")
    await execute(
        engine,
        "delete from app_permissions where not code = any(cast(:codes as text[]))",
        codes=[code.value for code in Permission],
    )


async def give_role(engine: AsyncEngine, user_id: UserId, slug: str, account_id: AccountId | None = None) -> UUID:
    rows = await execute(
        engine,
        """insert into app_user_roles (user_id, role_id, account_id)
           select :user, id, :account from app_roles where slug = :slug returning id""",
        user=user_id,
        slug=slug,
        account=account_id,
    )
    given: UUID = rows[0].id
    return given


async def give_override(
    engine: AsyncEngine, user_id: UserId, code: str, account_id: AccountId | None = None, *, is_allowed: bool
) -> UUID:
    rows = await execute(
        engine,
        """insert into app_user_overrides (user_id, permission_code, account_id, is_allowed)
           values (:user, :code, :account, :is_allowed) returning id""",
        user=user_id,
        code=code,
        account=account_id,
        is_allowed=is_allowed,
    )
    given: UUID = rows[0].id
    return given


async def roles_of(engine: AsyncEngine, user_id: UserId) -> list[tuple[str, UUID | None]]:
    rows = await execute(
        engine,
        """select r.slug, ur.account_id from app_user_roles ur join app_roles r on r.id = ur.role_id
           where ur.user_id = :user order by r.slug, ur.account_id""",
        user=user_id,
    )
    return [(row.slug, row.account_id) for row in rows]


async def _hold(engine: AsyncEngine, slug: str, codes: Iterable[str]) -> None:
    await execute(
        engine,
        """insert into role_permissions (role_id, permission_code)
           select id, unnest(cast(:codes as text[])) from app_roles where slug = :slug on conflict do nothing""",
        slug=slug,
        codes=[str(code) for code in codes],
    )


async def a_local_user(engine: AsyncEngine, *, email: str | None = None) -> UserId:
    """A member who signs in at this service itself; without a password."""
    email = email or f"person{a_number()}@atelier.example"
    user_id = await a_user(engine, email=email)
    await execute(
        engine,
        "insert into local_users (id, email, email_confirmed_at) values (:id, :email, now())",
        id=user_id,
        email=email,
    )
    return user_id


async def an_api_key(engine: AsyncEngine, *grants: tuple[str, AccountId | None]) -> tuple[UUID, str]:
    """The id and the secret of a key with just these (code, account)."""
    key_id, secret = uuid7(), f"wai_{token_urlsafe(32)}"
    await execute(
        engine,
        "insert into api_keys (id, name, digest, hint) values (:id, 'key', :digest, :hint)",
        id=key_id,
        digest=sha256(secret.encode()).digest(),
        hint=secret[:8],
    )
    for code, account_id in grants:
        await execute(
            engine,
            """insert into api_key_grants (id, api_key_id, permission_code, account_id)
               values (:id, :key, :code, :account)""",
            id=uuid7(),
            key=key_id,
            code=code,
            account=account_id,
        )
    return key_id, secret
