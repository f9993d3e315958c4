"""One-time links: whom they let in, how often, and what may be done then."""

import asyncio
import hashlib
from uuid import UUID, uuid4

import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from identity.conftest import EMAIL, HERE, ISSUER, PASSWORD, Clock, Local, count, refused, run
from inbox.adapters.identity.links import OneTimeLinks
from inbox.domain.errors import Invalid
from inbox.ports.identity import Client, Session
from inbox.ports.local_accounts import Purpose

EXPIRED = (403, "otp_expired")
NEW = "another good one"


@pytest.fixture
def links(clock: Clock) -> OneTimeLinks:
    return OneTimeLinks("https://inbox.faro.example/", clock=clock)


class Handing:
    """An administrator who makes links."""

    def __init__(self, local: Local, links: OneTimeLinks) -> None:
        self.local = local
        self.links = links

    async def newcomer(self) -> UUID:
        person = self.links.newcomer(EMAIL, "Ana Ruiz")
        async with self.local.database.transaction() as tx:
            assert await tx.local_accounts.add_user(person)
        return person.id

    async def token(self, user_id: UUID, purpose: Purpose = Purpose.INVITE) -> str:
        link = self.links.link(user_id, purpose, None)
        async with self.local.database.transaction() as tx:
            await tx.local_accounts.add_link(link.stored)
        return link.url.partition("#token_hash=")[2].partition("&")[0]

    async def session(self, user_id: UUID, purpose: Purpose = Purpose.INVITE) -> Session:
        return await self.local.sign_in.verify(await self.token(user_id, purpose), purpose, HERE)


@pytest.fixture
def admin(local: Local, links: OneTimeLinks) -> Handing:
    return Handing(local, links)


# --- the link


def test_a_link_leads_to_the_configured_address_and_its_token_reaches_no_server(links: OneTimeLinks) -> None:
    link = links.link(uuid4(), Purpose.RECOVERY, None)
    page, _, fragment = link.url.partition("#")
    token, _, kind = fragment.removeprefix("token_hash=").partition("&")
    assert page == "https://inbox.faro.example/auth/set-password"
    assert kind == "type=recovery"
    assert len(token) == 43
    assert link.stored.digest == hashlib.sha256(token.encode()).digest()
    assert (link.stored.expires_at - link.stored.created_at).total_seconds() == 24 * 3600
    assert links.link(uuid4(), Purpose.RECOVERY, None).url != link.url


@pytest.mark.parametrize("email", ["", "ana", "@x", "ana@", "a b@x", "ana@x\x00", "a" * 300 + "@x"])
def test_nobody_is_invited_at_what_is_no_address(links: OneTimeLinks, email: str) -> None:
    with pytest.raises(Invalid) as error:
        links.newcomer(email, None)
    assert error.value.errors[0]["path"] == "body.email"


async def test_no_token_is_stored(admin: Handing, engine: AsyncEngine) -> None:
    token = await admin.token(await admin.newcomer())
    (row,) = await execute(engine, "select one_time_links::text as everything from one_time_links")
    assert token not in row.everything


# --- what it opens


async def test_an_invitation_begins_a_session_and_confirms_the_address(admin: Handing, local: Local) -> None:
    user_id = await admin.newcomer()
    session = await admin.session(user_id)
    assert session.user.id == user_id
    assert session.user.email_confirmed_at == session.user.last_sign_in_at == local.clock.now
    assert (await local.identity.authenticate(session.access_token)).is_email_verified
    claims = await local.tokens.verify(session.access_token)
    assert claims.iss == ISSUER
    assert methods(session) == ["otp"]


def methods(session: Session) -> list[str]:
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    return [entry["method"] for entry in claims["amr"]]


async def test_a_link_works_once(admin: Handing, local: Local, engine: AsyncEngine) -> None:
    token = await admin.token(await admin.newcomer())
    answers = await asyncio.gather(
        *(local.twin().sign_in.verify(token, Purpose.INVITE, HERE) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, Session) for answer in answers) == 1
    assert await count(engine, "local_sessions") == 1
    assert await refused(local.sign_in.verify(token, Purpose.INVITE, HERE)) == EXPIRED


async def test_a_link_works_for_24_hours(admin: Handing, local: Local) -> None:
    user_id = await admin.newcomer()
    token = await admin.token(user_id)
    local.clock.forward(hours=24)
    assert await refused(local.sign_in.verify(token, Purpose.INVITE, HERE)) == EXPIRED
    token = await admin.token(user_id)
    local.clock.forward(hours=24, seconds=-1)
    await local.sign_in.verify(token, Purpose.INVITE, HERE)


async def test_a_link_works_for_its_purpose_only(admin: Handing, local: Local) -> None:
    token = await admin.token(await admin.newcomer(), Purpose.INVITE)
    assert await refused(local.sign_in.verify(token, Purpose.RECOVERY, HERE)) == EXPIRED
    await local.sign_in.verify(token, Purpose.INVITE, HERE)


async def test_a_new_link_ends_the_earlier_one_of_its_kind(admin: Handing, local: Local) -> None:
    user_id = await admin.newcomer()
    other = await admin.token(user_id, Purpose.RECOVERY)
    first, second = await admin.token(user_id), await admin.token(user_id)
    assert await refused(local.sign_in.verify(first, Purpose.INVITE, HERE)) == EXPIRED
    await local.sign_in.verify(second, Purpose.INVITE, HERE)
    await local.sign_in.verify(other, Purpose.RECOVERY, HERE)


async def test_of_links_made_at_the_same_time_one_is_left(admin: Handing, engine: AsyncEngine) -> None:
    user_id = await admin.newcomer()
    await asyncio.gather(*(admin.token(user_id) for _ in range(6)))
    assert await count(engine, "one_time_links") == 1


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\ud800", "'--", "\x00", "x" * 60_000])
async def test_a_guess_opens_nothing(admin: Handing, local: Local, token: str) -> None:
    await admin.token(await admin.newcomer())
    assert await refused(local.sign_in.verify(token, Purpose.INVITE, HERE)) == EXPIRED


async def test_guesses_are_counted_with_the_other_attempts_of_an_address(admin: Handing, local: Local) -> None:
    token = await admin.token(await admin.newcomer())
    for n in range(50):
        assert await refused(local.sign_in.verify(str(n), Purpose.INVITE, HERE)) == EXPIRED
    assert await refused(local.sign_in.verify(token, Purpose.INVITE, HERE)) == (429, "over_request_rate_limit")
    assert await refused(local.session()) == (429, "over_request_rate_limit")
    await local.sign_in.verify(token, Purpose.INVITE, Client(address="203.0.113.8"))


async def test_a_link_lifts_no_ban_and_is_not_used_up_by_the_attempt(
    admin: Handing, local: Local, engine: AsyncEngine
) -> None:
    token = await admin.token(await admin.newcomer())
    await run(engine, "update local_users set banned_until = :until", until=local.clock.now.replace(year=2030))
    assert await refused(local.sign_in.verify(token, Purpose.INVITE, HERE)) == (403, "user_banned")
    assert await count(engine, "local_sessions") == 0
    await run(engine, "update local_users set banned_until = null")
    await local.sign_in.verify(token, Purpose.INVITE, HERE)


# --- the password


async def test_a_session_of_a_link_sets_a_password_without_the_current_one(admin: Handing, local: Local) -> None:
    session = await admin.session(await admin.newcomer())
    await local.sign_in.change_password(session.access_token, PASSWORD, None, HERE)
    await local.session()


async def test_a_forgotten_password_is_replaced_and_every_other_session_ends(admin: Handing, local: Local) -> None:
    person = await local.register()
    other = await local.session()
    session = await admin.session(person.id, Purpose.RECOVERY)
    await local.session()  # until then the old one is good
    await local.sign_in.change_password(session.access_token, NEW, None, HERE)
    assert await refused(local.sign_in.refresh(other.refresh_token)) == (400, "refresh_token_not_found")
    assert await refused(local.session()) == (400, "invalid_credentials")
    await local.session(password=NEW)
    await local.sign_in.refresh(session.refresh_token)


async def test_a_new_password_ends_all_links(admin: Handing, local: Local) -> None:
    person = await local.register()
    tokens = [(await admin.token(person.id, purpose), purpose) for purpose in Purpose]
    await local.sign_in.change_password((await local.session()).access_token, NEW, PASSWORD, HERE)
    for token, purpose in tokens:
        assert await refused(local.sign_in.verify(token, purpose, HERE)) == EXPIRED


async def test_once_a_password_is_set_the_session_is_an_ordinary_one(admin: Handing, local: Local) -> None:
    session = await admin.session(await admin.newcomer())
    await local.sign_in.change_password(session.access_token, PASSWORD, None, HERE)
    again = local.sign_in.change_password(session.access_token, NEW, None, HERE)
    assert await refused(again) == (400, "current_password_required")
    assert methods(await local.sign_in.refresh(session.refresh_token)) == ["password"]


async def test_of_two_passwords_set_at_once_after_one_link_one_stays(admin: Handing, local: Local) -> None:
    token = (await admin.session(await admin.newcomer())).access_token
    answers = await asyncio.gather(
        *(local.twin().sign_in.change_password(token, word, None, HERE) for word in (PASSWORD, NEW)),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    await local.session(password=NEW if isinstance(answers[0], Exception) else PASSWORD)


async def test_the_session_of_a_link_is_over_after_an_hour_unless_a_password_is_set_in_it(
    admin: Handing, local: Local
) -> None:
    user_id = await admin.newcomer()
    early, late = await admin.session(user_id), await admin.session(user_id, Purpose.RECOVERY)
    local.clock.forward(minutes=59)
    early = await local.sign_in.refresh(early.refresh_token)
    late = await local.sign_in.refresh(late.refresh_token)
    local.clock.forward(minutes=1)
    assert await refused(local.sign_in.refresh(late.refresh_token)) == (400, "session_expired")
    local.clock.forward(seconds=-1)
    await local.sign_in.change_password(early.access_token, PASSWORD, None, HERE)
    local.clock.forward(days=29)
    await local.sign_in.refresh(early.refresh_token)


async def test_a_password_of_a_link_has_to_be_strong_enough_and_can_be_tried_again(
    admin: Handing, local: Local
) -> None:
    token = (await admin.session(await admin.newcomer())).access_token
    assert await refused(local.sign_in.change_password(token, "short", None, HERE)) == (422, "weak_password")
    await local.sign_in.change_password(token, PASSWORD, None, HERE)
