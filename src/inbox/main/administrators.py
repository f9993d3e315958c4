"""People who sign in at this service itself: how the first ones come to be."""

import secrets
from datetime import UTC, datetime
from uuid import UUID

from inbox.adapters.identity.local import new_user
from inbox.adapters.identity.passwords import Passwords
from inbox.domain.access import Subject
from inbox.domain.ids import UserId
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.ports.database import Database


async def create_admin(runtime: Runtime, email: str, password: str | None) -> str | None:
    """An administrator with `password`, or a random one; returns it. None if the person existed and keeps theirs."""
    container = build(runtime)
    try:
        database = await container.get(Database)
        secret = password or secrets.token_urlsafe(15)
        user_id, is_new = await add_person(database, Passwords(), email, secret)
        async with database.transaction() as tx:
            await tx.members.make_admin(Subject(user_id=UserId(user_id), email=email.strip().lower()))
        return secret if is_new else None
    finally:
        await container.close()


async def add_person(database: Database, passwords: Passwords, email: str, password: str) -> tuple[UUID, bool]:
    """A person with a password, and whether they are new: who has the e-mail already keeps theirs.

    Raises `SignInRefused` for a weak password or what is no address.
    """
    user = await new_user(passwords, email, password, now=datetime.now(UTC))
    async with database.transaction() as tx:
        if await tx.local_accounts.add_user(user):
            return user.id, True
        known = await tx.local_accounts.user_by_email(user.email)
        if known is None:
            raise LookupError("the e-mail is taken and not to be found")
        return known.id, False
