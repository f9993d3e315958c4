"""Sessions of local accounts: refreshed, changed and ended, with the keys that sign them."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER
from identity.conftest import HERE, ISSUER, PASSWORD, Clock, Local, count, refused, run
from identity.forging import CLAIM_ATTACKS, SIGNATURE_ATTACKS, Forger
from inbox.adapters.identity.refresh_tokens import RefreshTokens
from inbox.domain.errors import InvalidToken, SignInRefused

# --- refreshing


async def test_a_refresh_gives_the_next_token(local: Local) -> None:
    await local.register()
    session = await local.session()
    local.clock.forward(minutes=50)
    fresh = await local.sign_in.refresh(session.refresh_token)
    assert fresh.id == session.id
    assert fresh.counter == 1
    assert fresh.refresh_token != session.refresh_token
    assert fresh.expires_at == local.clock.now + timedelta(hours=1)
    assert (await local.identity.authenticate(fresh.access_token)).user_id == session.user.id


async def test_a_second_refresh_with_the_same_token_gives_the_same_answer(local: Local) -> None:
    await local.register()
    parent = (await local.session()).refresh_token
    first = await local.sign_in.refresh(parent)
    local.clock.forward(days=3)
    second = await local.sign_in.refresh(parent)
    assert second.refresh_token == first.refresh_token
    assert second.reuse == "fail-to-save"
    assert (await local.sign_in.refresh(second.refresh_token)).counter == 2


async def test_parallel_refreshes_give_the_same_token(local: Local) -> None:
    await local.register()
    parent = (await local.session()).refresh_token
    others = [local, local.twin(), local.twin()]
    answers = await asyncio.gather(*(others[n % 3].sign_in.refresh(parent) for n in range(9)))
    assert len({answer.refresh_token for answer in answers}) == 1
    assert sorted(answer.reuse or "" for answer in answers) == [""] + ["concurrent-refresh"] * 8


async def test_within_ten_seconds_an_older_token_gets_the_current_one(local: Local) -> None:
    await local.register()
    grandparent = (await local.session()).refresh_token
    current = await local.sign_in.refresh((await local.sign_in.refresh(grandparent)).refresh_token)
    local.clock.forward(seconds=9)
    answer = await local.sign_in.refresh(grandparent)
    assert (answer.refresh_token, answer.reuse) == (current.refresh_token, "concurrent-refresh")


async def test_a_replayed_grandparent_ends_the_session_for_good(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    grandparent = (await local.session()).refresh_token
    current = await local.sign_in.refresh((await local.sign_in.refresh(grandparent)).refresh_token)
    other = await local.session()
    local.clock.forward(seconds=10)
    assert await refused(local.sign_in.refresh(grandparent)) == (400, "refresh_token_already_used")
    assert await count(engine, "local_sessions") == 1
    assert await refused(local.sign_in.refresh(current.refresh_token)) == (400, "refresh_token_not_found")
    assert await refused(local.sign_in.user(current.access_token)) == (403, "session_not_found")
    with pytest.raises(InvalidToken):
        await local.twin().identity.authenticate(current.access_token)
    await local.sign_in.refresh(other.refresh_token)


async def test_a_token_of_the_future_is_refused_and_ends_nothing(local: Local) -> None:
    await local.register()
    session = await local.session()
    ours = RefreshTokens(SEALER.digests("refresh tokens", "sign-in"))
    assert await refused(local.sign_in.refresh(ours.write(session.id, 1))) == (400, "validation_failed")
    await local.sign_in.refresh(session.refresh_token)


async def test_a_token_of_another_secret_or_of_no_session_is_unknown(local: Local) -> None:
    await local.register()
    session = await local.session()
    foreign = RefreshTokens([b"x" * 32]).write(session.id, 0)
    nobody = RefreshTokens(SEALER.digests("refresh tokens", "sign-in")).write(uuid4(), 0)
    for token in (foreign, nobody):
        assert await refused(local.sign_in.refresh(token)) == (400, "refresh_token_not_found")
    await local.sign_in.refresh(session.refresh_token)


@pytest.mark.parametrize("token", ["x", "v4mpqz7h2kd9", "é" * 51, "a" * 51, "\x00", "a" * 10_000])
async def test_what_is_no_refresh_token_is_refused_without_a_look_at_the_database(local: Local, token: str) -> None:
    assert await refused(local.sign_in.refresh(token)) == (400, "validation_failed")


async def test_a_banned_person_and_an_old_session_refresh_no_more(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    session = await local.session()
    await run(engine, "update local_users set banned_until = :until", until=local.clock.now.replace(year=2030))
    assert await refused(local.sign_in.refresh(session.refresh_token)) == (400, "user_banned")
    await run(engine, "update local_users set banned_until = null")
    local.clock.forward(days=30)
    assert await refused(local.sign_in.refresh(session.refresh_token)) == (400, "session_expired")


# --- the person, their password, their sessions


async def test_the_checks_of_the_person_come_in_order(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    token = (await local.session()).access_token
    await run(engine, "update local_users set banned_until = :until", until=local.clock.now.replace(year=2030))
    assert await refused(local.sign_in.user(token)) == (403, "user_banned")
    await run(engine, "delete from local_sessions")
    assert await refused(local.sign_in.user(token)) == (403, "session_not_found")
    await run(engine, "delete from local_users")
    assert await refused(local.sign_in.user(token)) == (403, "user_not_found")
    local.clock.forward(hours=2)
    assert await refused(local.sign_in.user(token)) == (403, "bad_jwt")


async def test_no_forged_token_shows_a_person(local: Local) -> None:
    await local.register()
    session = await local.session()
    forger = Forger(ISSUER, local.clock.now, await local.tokens.signing_key())
    forger.user_id, forger.session_id = session.user.id, session.id
    assert (await local.sign_in.user(forger.token())).id == session.user.id
    for attack in (SIGNATURE_ATTACKS | CLAIM_ATTACKS).values():
        assert await refused(local.sign_in.user(attack(forger))) == (403, "bad_jwt")


async def test_a_session_of_somebody_else_is_not_ones_own(local: Local) -> None:
    await local.register()
    await local.register("leo@faro.example")
    session, other = await local.session(), await local.session("leo@faro.example")
    forger = Forger(ISSUER, local.clock.now, await local.tokens.signing_key())
    forger.user_id, forger.session_id = session.user.id, other.id
    assert await refused(local.sign_in.user(forger.token())) == (403, "session_not_found")
    with pytest.raises(InvalidToken):
        await local.identity.authenticate(forger.token())


@pytest.mark.parametrize(("scope", "survivors"), [("local", "other"), ("others", "this"), ("global", "")])
async def test_signing_out_ends_the_sessions_of_its_scope(local: Local, scope: str, survivors: str) -> None:
    await local.register()
    await local.register("leo@faro.example")
    sessions = {"this": await local.session(), "other": await local.session()}
    leo = await local.session("leo@faro.example")
    await local.sign_in.sign_out(sessions["this"].access_token, scope)
    for name, session in sessions.items():
        if name == survivors:
            await local.sign_in.refresh(session.refresh_token)
        else:
            assert await refused(local.sign_in.refresh(session.refresh_token)) == (400, "refresh_token_not_found")
            assert await refused(local.sign_in.user(session.access_token)) == (403, "session_not_found")
    await local.sign_in.refresh(leo.refresh_token)


async def test_an_unknown_scope_ends_nothing(local: Local) -> None:
    await local.register()
    session = await local.session()
    assert await refused(local.sign_in.sign_out(session.access_token, "everywhere")) == (400, "validation_failed")
    await local.sign_in.user(session.access_token)


async def test_a_new_password_ends_all_other_sessions(local: Local) -> None:
    await local.register()
    this, other = await local.session(), await local.session()
    await local.sign_in.change_password(this.access_token, "another good one", PASSWORD, HERE)
    assert await refused(local.session()) == (400, "invalid_credentials")
    await local.session(password="another good one")
    await local.sign_in.refresh(this.refresh_token)
    assert await refused(local.sign_in.refresh(other.refresh_token)) == (400, "refresh_token_not_found")


@pytest.mark.parametrize(
    ("new", "current", "answer"),
    [
        ("another good one", None, (400, "current_password_required")),
        ("another good one", "", (400, "current_password_required")),
        ("another good one", "wrong", (400, "current_password_invalid")),
        (PASSWORD, PASSWORD, (422, "same_password")),
        ("short", PASSWORD, (422, "weak_password")),
        ("x" * 73, PASSWORD, (400, "validation_failed")),
    ],
)
async def test_a_password_that_may_not_be_set_changes_nothing(
    local: Local, new: str, current: str | None, answer: tuple[int, str]
) -> None:
    await local.register()
    this, other = await local.session(), await local.session()
    assert await refused(local.sign_in.change_password(this.access_token, new, current, HERE)) == answer
    await local.session()
    await local.sign_in.refresh(other.refresh_token)


async def test_a_stolen_token_does_not_help_to_guess_the_password(local: Local) -> None:
    await local.register()
    token = (await local.session()).access_token
    answers = [await refused(local.sign_in.change_password(token, "another good one", "x", HERE)) for _ in range(11)]
    assert answers[8] == (400, "current_password_invalid")
    assert answers[9:] == [(429, "over_request_rate_limit")] * 2


async def test_of_two_changes_at_once_one_wins_and_ends_the_other_session(local: Local) -> None:
    await local.register()
    one, two = await local.session(), await local.session()
    answers = await asyncio.gather(
        local.sign_in.change_password(one.access_token, "chosen by one", PASSWORD, HERE),
        local.twin().sign_in.change_password(two.access_token, "chosen by two", PASSWORD, HERE),
        return_exceptions=True,
    )
    lost = [answer for answer in answers if isinstance(answer, SignInRefused)]
    assert len(lost) == 1
    winner = "chosen by one" if answers[1] is lost[0] else "chosen by two"
    await local.session(password=winner)


# --- keys


async def test_the_first_key_is_made_once_however_many_ask(local: Local, engine: AsyncEngine) -> None:
    processes = [local, *(local.twin() for _ in range(5))]
    keys = await asyncio.gather(*(process.tokens.signing_key() for process in processes))
    assert len({key.kid for key in keys}) == 1
    assert await count(engine, "signing_keys") == 1


async def test_the_published_keys_are_public(local: Local) -> None:
    (jwk,) = await local.sign_in.jwks()
    assert jwk["kid"] == str((await local.tokens.signing_key()).kid)
    assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in jwk


async def test_tokens_of_a_retired_key_pass_until_the_key_is_removed(local: Local, engine: AsyncEngine) -> None:
    await local.register()
    session = await local.session()
    await run(engine, "update signing_keys set state = 'retired'")
    fresh = await local.sign_in.refresh(session.refresh_token)
    twin = local.twin()
    for token in (session.access_token, fresh.access_token):
        assert (await twin.identity.authenticate(token)).user_id == session.user.id
    assert len(await local.sign_in.jwks()) == 2
    await run(engine, "delete from signing_keys where state = 'retired'")
    with pytest.raises(InvalidToken):
        await local.twin().identity.authenticate(session.access_token)


async def test_a_token_just_issued_with_the_first_key_passes_at_once(local: Local) -> None:
    stranger = Forger(ISSUER, local.clock.now)
    with pytest.raises(InvalidToken):
        await local.identity.authenticate(stranger.token())
    await local.register()
    session = await local.session()
    await local.identity.authenticate(session.access_token)


# --- how long an ended session lives on


@pytest.mark.parametrize("ending", ["sign_out", "ban", "delete", "password"])
async def test_an_access_token_dies_within_30_seconds_of_its_session(
    local: Local, engine: AsyncEngine, clock: Clock, ending: str
) -> None:
    await local.register()
    session, other = await local.session(), await local.session()
    elsewhere = local.twin()
    assert (await elsewhere.identity.authenticate(session.access_token)).user_id == session.user.id
    await _end(local, engine, ending, session.access_token, other.access_token, clock.now)
    clock.forward(seconds=30)
    with pytest.raises(InvalidToken):
        await elsewhere.identity.authenticate(session.access_token)


async def _end(local: Local, engine: AsyncEngine, ending: str, token: str, other: str, now: datetime) -> None:
    match ending:
        case "sign_out":
            await local.sign_in.sign_out(token, "local")
        case "ban":
            await run(engine, "update local_users set banned_until = :until", until=now.replace(year=2030))
        case "delete":
            await run(engine, "delete from local_users")
        case "password":
            await local.sign_in.change_password(other, "another good one", PASSWORD, HERE)


async def test_a_remembered_token_still_ends_on_time(local: Local, clock: Clock) -> None:
    await local.register()
    token = (await local.session()).access_token
    clock.forward(minutes=59, seconds=55)
    await local.identity.authenticate(token)
    clock.forward(seconds=15)
    with pytest.raises(InvalidToken):
        await local.identity.authenticate(token)


async def test_what_is_remembered_is_bounded(local: Local) -> None:
    await local.register()
    token = (await local.session()).access_token
    await local.identity.authenticate(token)
    (known,) = local.identity._remembered.values()
    local.identity._remembered.update((str(n).encode(), known) for n in range(9_999))
    await local.identity.authenticate((await local.session()).access_token)
    assert len(local.identity._remembered) == 10_000
