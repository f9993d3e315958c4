"""People who sign in here: their rows, their sessions, and the keys that sign their tokens."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_number, execute
from inbox.adapters.database.postgres.local_accounts import PostgresLocalAccounts
from inbox.domain.errors import SecretUnreadable
from inbox.domain.ids import uuid7
from inbox.ports.local_accounts import LocalSession, LocalUser, SigningKey


def a_local_user(**changes: object) -> LocalUser:
    user = LocalUser(
        id=uuid7(),
        email=f"lea{a_number()}@atelier.example",
        password_hash="argon2-made-up",
        user_metadata={"full_name": "Léa Martin"},
        email_confirmed_at=NOON,
        last_sign_in_at=None,
        banned_until=None,
        created_at=NOON,
        updated_at=NOON,
    )
    return msgspec.structs.replace(user, **changes)


def a_session(user_id: UUID) -> LocalSession:
    return LocalSession(
        id=uuid7(), user_id=user_id, refresh_counter=0, created_at=NOON, refreshed_at=NOON, not_after=None
    )


def a_key() -> SigningKey:
    kid = uuid7()
    return SigningKey(
        kid=kid, private_key_pem=f"-----made up {kid}-----", public_jwk={"kty": "EC", "kid": str(kid)}, state="standby"
    )


async def added(engine: AsyncEngine, user: LocalUser) -> bool:
    async with engine.begin() as connection:
        return await PostgresLocalAccounts(connection, SEALER).add_user(user)


async def a_signed_in_user(engine: AsyncEngine, sessions: int) -> tuple[LocalUser, list[LocalSession]]:
    user = a_local_user()
    made = [a_session(user.id) for _ in range(sessions)]
    async with engine.begin() as connection:
        accounts = PostgresLocalAccounts(connection, SEALER)
        await accounts.add_user(user)
        for session in made:
            await accounts.add_session(session, user_agent="Firefox", address="192.0.2.7")
    return user, made


async def open_sessions(engine: AsyncEngine) -> set[UUID]:
    return {row.id for row in await execute(engine, "select id from local_sessions")}


# --- users ------------------------------------------------------------------------------------------------------------


async def test_a_person_is_found_by_address_and_by_id(engine: AsyncEngine) -> None:
    user = a_local_user()
    assert await added(engine, user)
    async with engine.connect() as connection:
        accounts = PostgresLocalAccounts(connection, SEALER)
        assert await accounts.user_by_email(user.email) == user
        assert await accounts.user(user.id) == user
        assert await accounts.user_by_email("nobody@atelier.example") is None
        assert await accounts.user(uuid7()) is None


async def test_an_address_is_given_once_however_many_ask(engine: AsyncEngine) -> None:
    first = a_local_user()
    others = [a_local_user(email=first.email) for _ in range(5)]
    answers = await asyncio.gather(*(added(engine, user) for user in (first, *others)))
    assert sorted(answers) == [False] * 5 + [True]
    assert len(await execute(engine, "select 1 from local_users")) == 1


async def test_a_password_and_a_sign_in_are_written_down(engine: AsyncEngine) -> None:
    user, other = a_local_user(), a_local_user()
    later = NOON + timedelta(hours=1)
    await added(engine, user)
    await added(engine, other)
    async with engine.begin() as connection:
        accounts = PostgresLocalAccounts(connection, SEALER)
        await accounts.set_password(user.id, "argon2-newer", later)
        await accounts.signed_in(user.id, later + timedelta(hours=1))
        assert await accounts.user(user.id) == msgspec.structs.replace(
            user,
            password_hash="argon2-newer",
            updated_at=later,
            last_sign_in_at=later + timedelta(hours=1),
        )
        assert await accounts.user(other.id) == other


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_comes_back_and_is_rotated(engine: AsyncEngine) -> None:
    _, (session,) = await a_signed_in_user(engine, 1)
    later = NOON + timedelta(hours=1)
    async with engine.begin() as connection:
        accounts = PostgresLocalAccounts(connection, SEALER)
        assert await accounts.session(session.id) == session
        assert await accounts.session(uuid7()) is None
        await accounts.rotate_session(session.id, 1, later)
        assert await accounts.lock_session(session.id) == msgspec.structs.replace(
            session, refresh_counter=1, refreshed_at=later
        )
    (row,) = await execute(engine, "select user_agent, ip from local_sessions")
    assert tuple(row) == ("Firefox", "192.0.2.7")


async def test_a_locked_session_is_locked(engine: AsyncEngine) -> None:
    _, (session,) = await a_signed_in_user(engine, 1)
    async with engine.begin() as connection:
        await PostgresLocalAccounts(connection, SEALER).lock_session(session.id)
        with pytest.raises(DBAPIError, match="could not obtain lock"):
            await execute(engine, "select 1 from local_sessions for update nowait")


async def test_sessions_end_all_but_one_or_one_alone(engine: AsyncEngine) -> None:
    user, (first, second, third) = await a_signed_in_user(engine, 3)
    _, (foreign,) = await a_signed_in_user(engine, 1)

    async def end(*, only: UUID | None = None, keep: UUID | None = None) -> set[UUID]:
        async with engine.begin() as connection:
            await PostgresLocalAccounts(connection, SEALER).end_sessions(user.id, only=only, keep=keep)
        return await open_sessions(engine)

    assert await end(only=foreign.id) == {first.id, second.id, third.id, foreign.id}
    assert await end(only=first.id) == {second.id, third.id, foreign.id}
    assert await end(keep=second.id) == {second.id, foreign.id}
    assert await end() == {foreign.id}


# --- keys -------------------------------------------------------------------------------------------------------------


async def add_key(engine: AsyncEngine, key: SigningKey) -> SigningKey:
    async with engine.begin() as connection:
        return await PostgresLocalAccounts(connection, SEALER).add_signing_key(key)


async def test_the_first_key_becomes_the_current_one_and_a_second_one_gets_it(engine: AsyncEngine) -> None:
    first = a_key()
    current = msgspec.structs.replace(first, state="current")
    assert await add_key(engine, first) == current
    assert await add_key(engine, a_key()) == current
    async with engine.connect() as connection:
        assert await PostgresLocalAccounts(connection, SEALER).signing_keys() == [current]


async def test_starting_processes_agree_on_one_key(engine: AsyncEngine) -> None:
    chosen = await asyncio.gather(*(add_key(engine, a_key()) for _ in range(6)))
    assert len({key.kid for key in chosen}) == 1
    assert len({key.private_key_pem for key in chosen}) == 1


async def test_a_private_key_is_sealed_and_bound_to_its_row(engine: AsyncEngine) -> None:
    key = a_key()
    await add_key(engine, key)
    (row,) = await execute(engine, "select private_key_sealed from signing_keys")
    assert key.private_key_pem.encode() not in row.private_key_sealed
    await execute(engine, "update signing_keys set kid = :kid", kid=uuid7())
    async with engine.connect() as connection:
        with pytest.raises(SecretUnreadable):
            await PostgresLocalAccounts(connection, SEALER).signing_keys()


# --- attempts ---------------------------------------------------------------------------------------------------------


async def test_attempts_are_counted_for_a_key_and_a_window(engine: AsyncEngine) -> None:
    async def attempt(key: bytes = b"k", minutes: int = 0) -> int:
        async with engine.begin() as connection:
            accounts = PostgresLocalAccounts(connection, SEALER)
            return await accounts.count_attempt(key, NOON + timedelta(minutes=minutes))

    assert sorted(await asyncio.gather(*(attempt() for _ in range(6)))) == [1, 2, 3, 4, 5, 6]
    assert await attempt(b"other") == 1
    assert await attempt(minutes=1) == 1
