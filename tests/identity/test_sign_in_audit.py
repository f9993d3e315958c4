"""What the audit trail says about signing in, and that it tells strangers nothing."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from identity.conftest import EMAIL, HERE, PASSWORD, Local, count, refused, run
from inbox.adapters.identity.links import OneTimeLinks
from inbox.adapters.identity.local import SESSION_FOR
from inbox.ports.identity import Client
from inbox.ports.local_accounts import Purpose
from statement_counts import counting

NEW = "another good one"
HERE_TOLD = {"address": HERE.address}


async def trail(engine: AsyncEngine) -> list[tuple[str, str, UUID | None, str | None, Any]]:
    rows = await execute(
        engine, "select action, actor_kind, actor_id, target, details from audit_entries order by at, id"
    )
    return [(row.action, row.actor_kind, row.actor_id, row.target, json.loads(row.details)) for row in rows]


async def test_a_sign_in_and_a_sign_out_are_told(local: Local, engine: AsyncEngine) -> None:
    person = (await local.register()).id
    await local.sign_in.sign_out((await local.session()).access_token, "others")
    assert await trail(engine) == [
        ("sign_in.succeeded", "person", person, str(person), HERE_TOLD | {"method": "password"}),
        ("sign_in.signed_out", "person", person, str(person), {"scope": "others"}),
    ]


@pytest.mark.parametrize(
    ("change", "password", "reason"),
    [
        (None, "wrong", "invalid_credentials"),
        ("password_hash = null", PASSWORD, "invalid_credentials"),
        ("banned_until = '2030-01-01Z'", PASSWORD, "user_banned"),
        ("email_confirmed_at = null", PASSWORD, "email_not_confirmed"),
    ],
)
async def test_a_failure_is_told_about_the_account_and_blames_nobody(
    local: Local, engine: AsyncEngine, change: str | None, password: str, reason: str
) -> None:
    person = (await local.register()).id
    if change:
        await run(engine, f"update local_users set {change}")  # noqa: S608 - written above
    assert await refused(local.session(password=password)) == (400, reason)
    assert await trail(engine) == [
        ("sign_in.failed", "system", None, str(person), HERE_TOLD | {"reason": reason}),
    ]


async def test_strangers_leave_no_trace(local: Local, engine: AsyncEngine) -> None:
    await refused(local.session("nobody@faro.example"))
    await refused(local.session("not an address"))
    await refused(local.sign_in.verify("x", Purpose.INVITE, HERE))
    assert await trail(engine) == []


async def test_what_is_above_the_limit_is_not_told_again_and_again(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    for _ in range(15):
        await refused(local.session(password="wrong"))
    assert await count(engine, "audit_entries") == 10


async def test_a_new_password_is_told_and_how_it_was_set(local: Local, engine: AsyncEngine) -> None:
    person = (await local.register()).id
    link = OneTimeLinks("http://inbox", clock=local.clock).link(person, Purpose.RECOVERY, None)
    async with local.database.transaction() as tx:
        await tx.local_accounts.add_link(link.stored)
    token = link.url.partition("token_hash=")[2].partition("&")[0]
    session = await local.sign_in.verify(token, Purpose.RECOVERY, HERE)
    await local.sign_in.change_password(session.access_token, NEW, None, HERE)
    await local.sign_in.change_password(session.access_token, PASSWORD, NEW, HERE)
    told = await trail(engine)
    assert [(action, details["method"]) for action, _, _, _, details in told] == [
        ("sign_in.succeeded", "otp"),
        ("sign_in.password_changed", "otp"),
        ("sign_in.password_changed", "password"),
    ]
    assert {(kind, actor, target) for _, kind, actor, target, _ in told} == {("person", person, str(person))}
    assert not [secret for secret in (token, NEW, PASSWORD) if secret in str(told)]


async def test_a_replayed_refresh_token_is_told(local: Local, engine: AsyncEngine) -> None:
    person = (await local.register()).id
    first = await local.session()
    second = await local.sign_in.refresh(first.refresh_token)
    await local.sign_in.refresh(second.refresh_token)
    local.clock.forward(seconds=10)
    assert await refused(local.sign_in.refresh(first.refresh_token)) == (400, "refresh_token_already_used")
    assert (await trail(engine))[1:] == [("sign_in.refresh_token_replayed", "system", None, str(person), {})]


async def test_an_unsupported_scope_is_no_sign_out(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    await refused(local.sign_in.sign_out((await local.session()).access_token, "everywhere"))
    assert [line[0] for line in await trail(engine)] == ["sign_in.succeeded"]


# --- nothing to measure


async def test_a_failure_takes_as_many_statements_whether_the_account_exists_or_not(
    local: Local, engine: AsyncEngine
) -> None:
    await local.register()

    async def cost(attempt: Callable[[], Awaitable[Any]]) -> tuple[int, int]:
        with counting(engine) as seen:
            assert await refused(attempt()) == (400, "invalid_credentials")
        return len(seen), sum("insert" in statement for statement in seen)

    await refused(local.session(password="wrong"))  # the first of an address clears up old counts as well
    known = await cost(lambda: local.session(password="wrong"))
    unknown = await cost(lambda: local.session("nobody@faro.example"))
    await run(engine, "update local_users set password_hash = null where email = :email", email=EMAIL)
    without = await cost(local.session)
    assert known == unknown == without == (5, 4)


# --- counters


async def test_a_sign_in_forgets_attempts_older_than_a_day(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    await refused(local.session(password="wrong"))
    recent = local.clock.now + timedelta(hours=23)
    local.clock.now = recent
    await local.session()
    assert await count(engine, "login_attempts") == 6
    local.clock.now = recent + timedelta(hours=2)
    await local.session()
    remaining = await execute(engine, "select distinct window_start from login_attempts order by 1")
    assert [row.window_start for row in remaining] == [
        at.replace(microsecond=0, second=0) for at in (recent, recent + timedelta(hours=2))
    ]


async def test_attempts_that_never_succeed_do_not_pile_up(local: Local, engine: AsyncEngine) -> None:
    for day in range(4):
        for n in range(3):
            await refused(local.sign_in.password(f"u{n}@faro.example", "x", Client(address=f"198.51.100.{n}")))
        local.clock.now += timedelta(days=1, hours=1)
        assert await count(engine, "login_attempts") == 12, day


async def test_a_sign_in_removes_the_sessions_of_the_person_that_are_over(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    other = await local.register("bo@faro.example")
    await local.session("bo@faro.example")
    await local.session()
    local.clock.now += SESSION_FOR
    kept = await local.session()
    local.clock.now += timedelta(seconds=1)
    last = await local.session()
    found = await execute(engine, "select id from local_sessions where user_id <> :bo", bo=other.id)
    assert {row.id for row in found} == {kept.id, last.id}
    assert await count(engine, "local_sessions") == 3


async def test_forgetting_is_done_in_portions(local: Local, engine: AsyncEngine) -> None:
    await run(
        engine,
        """insert into login_attempts (key, window_start, attempts)
           select sha256(cast(n as text)::bytea), '2020-01-01Z', 1 from generate_series(1, 600) n""",
    )
    async with local.database.transaction() as tx:
        await tx.local_accounts.forget_attempts(local.clock.now)
    assert await count(engine, "login_attempts") == 100
