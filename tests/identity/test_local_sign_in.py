"""Signing in to a local account: who gets in, and how often anybody may try."""

import asyncio
from collections.abc import Awaitable, Callable

import argon2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from identity.conftest import EMAIL, HERE, ISSUER, PASSWORD, Local, count, refused, run
from inbox.adapters.identity.passwords import Passwords
from inbox.domain.errors import SignInRefused
from inbox.ports.identity import Client

# --- signing in


async def test_the_right_password_begins_a_session(local: Local, engine: AsyncEngine) -> None:
    person = await local.register()
    session = await local.session("  ANA@faro.example ")
    assert session.user.id == person.id
    assert (session.lifetime, session.counter, session.reuse) == (3600, 0, None)
    assert (await local.sign_in.user(session.access_token)).last_sign_in_at == local.clock.now
    assert await count(engine, "local_sessions") == 1


async def test_the_claims_are_those_of_gotrue(local: Local) -> None:
    person = await local.register()
    session = await local.session()
    claims = await local.tokens.verify(session.access_token)
    now = local.clock.now.timestamp()
    assert (claims.iss, claims.sub, claims.aud, claims.role) == (ISSUER, person.id, "authenticated", "authenticated")
    assert (claims.iat, claims.exp) == (int(now), int(now) + 3600)
    assert claims.session_id == session.id


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        (EMAIL, ""),
        (EMAIL, PASSWORD + "\x00"),
        ("nobody@faro.example", PASSWORD),
        ("ana@faro.example\x00", PASSWORD),
        ("", PASSWORD),
        ("ana", PASSWORD),
        ("a" * 100_000 + "@x", PASSWORD),
        ("' or '1'='1' --@x", PASSWORD),
    ],
)
async def test_all_wrong_credentials_look_the_same(local: Local, email: str, password: str) -> None:
    await local.register()
    with pytest.raises(SignInRefused, match=r"^Invalid login credentials$") as error:
        await local.session(email, password)
    assert (error.value.status, error.value.error_code) == (400, "invalid_credentials")


async def test_an_account_without_password_refuses_like_any_other(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    await run(engine, "update local_users set password_hash = null")
    assert await refused(local.session()) == (400, "invalid_credentials")


async def test_ban_and_missing_confirmation_are_told_only_to_who_knows_the_password(
    local: Local, engine: AsyncEngine
) -> None:
    await local.register()
    await run(engine, "update local_users set email_confirmed_at = null")
    assert await refused(local.session()) == (400, "email_not_confirmed")
    assert await refused(local.session(password="wrong")) == (400, "invalid_credentials")
    await run(engine, "update local_users set banned_until = :until", until=local.clock.now.replace(year=2030))
    assert await refused(local.session()) == (400, "user_banned")
    assert await refused(local.session(password="wrong")) == (400, "invalid_credentials")


async def test_a_ban_that_is_over_stops_nobody(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    await run(engine, "update local_users set banned_until = :until", until=local.clock.now)
    await local.session()


async def test_a_hash_of_old_parameters_is_replaced_at_the_next_sign_in(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await run(engine, "update local_users set password_hash = :old", old=old)
    await asyncio.gather(local.session(), local.session())
    async with engine.connect() as connection:
        stored = (await connection.execute(text("select password_hash from local_users"))).scalar_one()
    assert argon2.extract_parameters(stored).memory_cost == 19456
    await local.session()


class Interrupted(Passwords):
    """Something happens while a password is being checked."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    async def verify(self, stored: str | None, password: str) -> bool:
        is_right = await super().verify(stored, password)
        await self.meanwhile()
        return is_right


async def test_a_password_that_is_replaced_while_it_is_checked_begins_no_session(
    local: Local, engine: AsyncEngine
) -> None:
    await local.register()
    other = await Passwords().hash("another good one")

    async def replace() -> None:
        await run(engine, "update local_users set password_hash = :other", other=other)

    slow = Local(local.database, local.clock, Interrupted(replace), None)
    assert await refused(slow.session()) == (400, "invalid_credentials")
    assert await count(engine, "local_sessions") == 0


async def test_a_person_is_registered_once(local: Local) -> None:
    await local.register()
    assert await refused(local.register("Ana@Faro.example")) == (422, "email_exists")
    assert await refused(local.register("not an address")) == (400, "validation_failed")
    assert await refused(local.register("leo@faro.example", "short")) == (422, "weak_password")


# --- limits


async def test_the_eleventh_attempt_on_an_account_from_an_address_is_refused_even_with_the_right_password(
    local: Local,
) -> None:
    await local.register()
    for _ in range(10):
        assert await refused(local.session(password="wrong")) == (400, "invalid_credentials")
    assert await refused(local.session()) == (429, "over_request_rate_limit")
    assert await refused(local.twin().session()) == (429, "over_request_rate_limit")
    local.clock.forward(minutes=5)
    await local.session()


async def test_a_refusal_says_when_to_come_back(local: Local) -> None:
    for _ in range(10):
        await refused(local.session(password="wrong"))
    with pytest.raises(SignInRefused) as error:
        await local.session()
    assert error.value.retry_after == 299


async def test_an_address_tries_fifty_times_whomever_it_tries(local: Local, engine: AsyncEngine) -> None:
    spray = [local.sign_in.password(f"u{n}@faro.example", "123456", HERE) for n in range(60)]
    codes = [await refused(attempt) for attempt in spray]
    assert codes.count((400, "invalid_credentials")) == 50
    assert codes.count((429, "over_request_rate_limit")) == 10
    assert await count(engine, "login_attempts") == 102
    elsewhere = Client(address="203.0.113.8")
    assert await refused(local.sign_in.password("u1@faro.example", "x", elsewhere)) == (400, "invalid_credentials")


async def test_a_subscriber_of_ipv6_is_one_address(local: Local) -> None:
    for n in range(10):
        client = Client(address=f"2001:db8:1:2::{n:x}")
        assert await refused(local.sign_in.password(EMAIL, "x", client)) == (400, "invalid_credentials")
    client = Client(address="2001:db8:1:2:ffff::1")
    assert await refused(local.sign_in.password(EMAIL, "x", client)) == (429, "over_request_rate_limit")


async def test_an_address_of_ipv4_is_the_same_in_the_dress_of_ipv6(local: Local) -> None:
    for address in ["203.0.113.7", "::ffff:203.0.113.7"] * 5:
        assert await refused(local.sign_in.password(EMAIL, "x", Client(address=address)))
    for address in ("203.0.113.7", "::ffff:203.0.113.7"):
        client = Client(address=address)
        assert await refused(local.sign_in.password(EMAIL, "x", client)) == (429, "over_request_rate_limit")
    client = Client(address="::ffff:203.0.113.8")
    assert await refused(local.sign_in.password(EMAIL, "x", client)) == (400, "invalid_credentials")


async def test_many_addresses_together_try_one_account_a_hundred_times(local: Local) -> None:
    attempts = [local.sign_in.password(EMAIL, "x", Client(address=f"198.51.{n}.1")) for n in range(101)]
    codes = [await refused(attempt) for attempt in attempts]
    assert codes[:100] == [(400, "invalid_credentials")] * 100
    assert codes[100] == (429, "over_request_rate_limit")


async def test_the_counters_name_nobody(local: Local, engine: AsyncEngine) -> None:
    await refused(local.session())
    async with engine.connect() as connection:
        keys = (await connection.execute(text("select key from login_attempts"))).scalars().all()
    assert len(keys) == 4
    assert all(len(key) == 32 and b"ana" not in key for key in keys)
