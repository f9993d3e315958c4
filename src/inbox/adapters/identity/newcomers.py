"""Local accounts that come to be: what an address is, and how a new person looks."""

from datetime import datetime
from typing import Final

from inbox.adapters.identity.passwords import Passwords, check_strength
from inbox.adapters.identity.tokens import display_name
from inbox.domain.errors import SignInRefused
from inbox.domain.ids import uuid7
from inbox.ports.local_accounts import LocalUser

_EMAIL_CHARACTERS: Final = 254


def normal(email: str) -> str:
    """The spelling under which an address is stored."""
    return email.strip().lower()


def is_address(email: str) -> bool:
    """True if an account can have this address; anything else never reaches the database."""
    name, at, host = email.rpartition("@")
    return bool(name and at and host) and len(email) <= _EMAIL_CHARACTERS and email.isprintable() and " " not in email


async def new_user(
    passwords: Passwords, email: str, password: str, *, now: datetime, full_name: str | None = None
) -> LocalUser:
    """Somebody who may sign in at once. Raises `SignInRefused`: `validation_failed`, `weak_password`."""
    email = normal(email)
    if not is_address(email):
        raise SignInRefused(400, "validation_failed", "Unable to validate email address: invalid format")
    check_strength(password)
    return newcomer(email, full_name, now, password_hash=await passwords.hash(password), confirmed_at=now)


def newcomer(
    email: str,
    full_name: str | None,
    now: datetime,
    *,
    password_hash: str | None = None,
    confirmed_at: datetime | None = None,
) -> LocalUser:
    """Somebody who was never here. `email` is an address in its normal spelling."""
    return LocalUser(
        id=uuid7(),
        email=email,
        password_hash=password_hash,
        user_metadata={"full_name": name} if (name := display_name(full_name)) else {},
        email_confirmed_at=confirmed_at,
        last_sign_in_at=None,
        banned_until=None,
        created_at=now,
        updated_at=now,
    )
