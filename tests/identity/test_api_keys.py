"""API keys as tokens."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from database_fixtures import RecordedSignals
from identity.conftest import Clock
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.off import NoCache
from inbox.adapters.identity.api_keys import ApiKeyIdentity
from inbox.adapters.identity.fake import FakeIdentity
from inbox.domain.access import ActorKind, Grant, Permission
from inbox.domain.api_keys import PREFIX, digest_of, hint_of, new_key
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId, uuid7
from inbox.domain.upstream_errors import IdentityDown
from inbox.ports.database import Database
from inbox.ports.records import NewApiKey
from inbox.services.rights import Rights
from services.rights_scene import Seconds, remembering
from statement_counts import counting


async def stored(database: Database, clock: Clock, **span: float) -> tuple[str, UserId]:
    key = new_key(secrets.token_urlsafe)
    key_id = UserId(uuid7())
    new = NewApiKey(
        id=key_id,
        name="Shop",
        digest=digest_of(key),
        hint=hint_of(key),
        grants=(Grant(code=Permission.MESSAGES_VIEW, account_id=None),),
        created_by=UserId(uuid7()),
        created_at=clock(),
        expires_at=clock() + timedelta(**span) if span else None,
    )
    async with database.transaction() as tx:
        await tx.change_rights()
        await tx.api_keys.add(new)
    return key, key_id


@pytest.fixture
def people() -> FakeIdentity:
    return FakeIdentity()


@pytest.fixture
def identity(database: Database, people: FakeIdentity, clock: Clock) -> ApiKeyIdentity:
    return ApiKeyIdentity(database, people, Rights(database, NoCache()), clock=clock)


async def test_a_key_speaks_for_a_program(identity, database, clock):
    key, key_id = await stored(database, clock)
    subject = await identity.authenticate(key)
    assert (subject.user_id, subject.kind, subject.email) == (key_id, ActorKind.API_KEY, None)


async def test_every_other_token_is_the_business_of_the_other_identity(identity, people):
    user_id = uuid4()
    assert (await identity.authenticate(people.token(user_id))).kind is ActorKind.PERSON
    with pytest.raises(InvalidToken):
        await identity.authenticate("x.y.z")


async def test_an_outage_of_the_provider_does_not_stop_programs(identity, people, database, clock):
    key, key_id = await stored(database, clock)
    people.fail(IdentityDown())
    assert (await identity.authenticate(key)).user_id == key_id


async def test_a_key_ends_at_its_end(identity, database, clock):
    key, _ = await stored(database, clock, hours=1)
    await identity.authenticate(key)
    clock.forward(hours=1)
    with pytest.raises(InvalidToken):
        await identity.authenticate(key)


async def test_a_key_ends_when_it_is_revoked(identity, database, clock):
    key, key_id = await stored(database, clock)
    await identity.authenticate(key)
    async with database.transaction() as tx:
        await tx.change_rights()
        await tx.api_keys.revoke(key_id, clock())
    with pytest.raises(InvalidToken):
        await identity.authenticate(key)


@asynccontextmanager
async def a_process(database: Database, clock: Clock) -> AsyncIterator[tuple[ApiKeyIdentity, Rights]]:
    """With a memory of its own."""
    async with remembering(database, MemoryCache(RecordedSignals()), Seconds()) as rights:
        yield ApiKeyIdentity(database, FakeIdentity(), rights, clock=clock), rights


async def test_a_key_that_is_used_again_costs_no_statement_until_it_is_revoked(database, engine, clock):
    """When others know of it is that of all rights: tests/services/test_remembering.py."""
    key, key_id = await stored(database, clock)
    async with a_process(database, clock) as (identity, rights):
        await identity.authenticate(key)
        with counting(engine) as statements:
            assert (await identity.authenticate(key)).user_id == key_id
        assert [one for one in statements if "digest" in one] == []
        async with rights.changing(), database.transaction() as tx:
            await tx.change_rights()
            await tx.api_keys.revoke(key_id, clock())
        with pytest.raises(InvalidToken):
            await identity.authenticate(key)


async def test_a_key_that_is_remembered_ends_at_its_end(database, clock):
    key, _ = await stored(database, clock, seconds=30)
    async with a_process(database, clock) as (identity, _):
        await identity.authenticate(key)
        clock.forward(seconds=30)
        with pytest.raises(InvalidToken):
            await identity.authenticate(key)


async def test_a_key_that_nobody_made_is_not_remembered_as_missing(database, clock):
    key, key_id = await stored(database, clock)
    async with a_process(database, clock) as (identity, _):
        unknown = new_key(secrets.token_urlsafe)
        for _ in range(2):
            with pytest.raises(InvalidToken):
                await identity.authenticate(unknown)
        assert (await identity.authenticate(key)).user_id == key_id


async def test_what_only_looks_like_a_key_is_invalid(identity, database, clock):
    key, _ = await stored(database, clock)
    wrong = [PREFIX, key[:-1], f"{key}a", key[:-1] + ("b" if key[-1] != "b" else "c"), key.replace("wai_", "wai_wai_")]
    wrong += [f"{PREFIX}{'é' * 43}", f"{PREFIX}{'a' * 42}\n", f"{PREFIX}{' ' * 43}"]
    wrong += [f"{PREFIX}{'a' * 100_000}", f"{PREFIX}' or '1'='1"]
    for text in wrong:
        with pytest.raises(InvalidToken):
            await identity.authenticate(text)
    for text in (key.upper(), f" {key}", key[4:]):
        with pytest.raises(InvalidToken):
            await identity.authenticate(text)
