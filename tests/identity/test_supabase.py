"""Supabase Auth as a provider: its keys, its outages, its emulator."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from identity.conftest import Clock
from identity.forging import Forger, rsa_key
from identity.keyserver import KeyServer
from identity.test_identity import SupabaseSide
from inbox.adapters.identity.supabase import SupabaseSecretIdentity
from inbox.domain.errors import InvalidToken
from inbox.domain.upstream_errors import IdentityDown, IdentityNotConfigured, IdentityUnreachable
from inbox.kit.breaker import Breakers, Circuit

SECRET = b"an-invented-secret-of-more-than-32-bytes"


@pytest.fixture
async def side(clock: Clock) -> AsyncIterator[SupabaseSide]:
    async with KeyServer().serving() as server:
        side = SupabaseSide(server, clock, [1000.0])
        yield side
        for api in side.apis:
            await api.aclose()


async def test_many_requests_ask_for_the_keys_once(side: SupabaseSide) -> None:
    people = [await side.person(f"u{n}") for n in range(50)]
    await asyncio.gather(*(side.identity.authenticate(token) for token, _ in people))
    assert side.server.asked == 1


async def test_the_request_for_keys_carries_no_token(side: SupabaseSide) -> None:
    token, _ = await side.person("ana")
    await side.identity.authenticate(token)
    (headers,) = side.server.seen
    assert "authorization" not in headers
    assert token not in str(headers)


async def test_a_rotated_key_works_after_one_more_request(side: SupabaseSide) -> None:
    old, _ = await side.person("ana")
    await side.identity.authenticate(old)
    successor = Forger(side.issuer, side.clock.now)
    side.server.keys.append(successor.jwk())
    side.ticks[0] += 10
    assert (await side.identity.authenticate(successor.token())).user_id == successor.user_id
    await side.identity.authenticate(old)
    assert side.server.asked == 2


async def test_a_thousand_unknown_keys_are_one_request(side: SupabaseSide) -> None:
    token, _ = await side.person("ana")
    await side.identity.authenticate(token)
    forger = await side.forger()
    side.ticks[0] += 10
    for n in range(1000):
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(forger.token(forger.header(kid=f"unknown-{n}")))
    assert side.server.asked == 2


async def test_a_revoked_key_fails_with_the_next_set(side: SupabaseSide) -> None:
    token, _ = await side.person("ana")
    await side.identity.authenticate(token)
    side.server.keys = [Forger(side.issuer, side.clock.now).jwk()]
    side.ticks[0] += 600
    with pytest.raises(InvalidToken):
        await side.identity.authenticate(token)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b""),
        (502, b"<html>bad gateway</html>"),
        (540, b"{}"),
        (401, b'{"message":"No API key found in request"}'),
        (404, b"{}"),
        (200, b"<html>hello</html>"),
        (200, b"[]"),
        (200, b'{"keys":'),
    ],
)
async def test_a_provider_in_trouble_is_unreachable_and_known_keys_still_verify(
    side: SupabaseSide, status: int, body: bytes
) -> None:
    token, user_id = await side.person("ana")
    await side.identity.authenticate(token)
    side.server.status, side.server.body = status, body
    side.ticks[0] += 3000
    assert (await side.identity.authenticate(token)).user_id == user_id
    with pytest.raises(IdentityUnreachable):
        await side.new_identity(side.server.url).authenticate(token)


async def test_a_provider_that_cannot_be_reached_is_down_and_known_keys_still_verify(side: SupabaseSide) -> None:
    token, user_id = await side.person("ana")
    await side.identity.authenticate(token)
    side.server.body = None
    side.ticks[0] += 3000
    assert (await side.identity.authenticate(token)).user_id == user_id
    for url in (side.server.url, "http://127.0.0.1:9"):
        with pytest.raises(IdentityDown):
            await side.new_identity(url).authenticate(token)


async def test_an_open_circuit_is_an_outage_that_names_its_end(side: SupabaseSide) -> None:
    token, _ = await side.person("ana")
    side.server.status = 500
    breakers = Breakers([Circuit(name="supabase", threshold=2, stays_open=30.0)])
    for _ in range(2):
        with pytest.raises(IdentityUnreachable):
            await side.new_identity(side.server.url, breakers).authenticate(token)
    with pytest.raises(IdentityDown) as caught:
        await side.new_identity(side.server.url, breakers).authenticate(token)
    assert 0 < (caught.value.retry_after or 0) <= 30
    assert side.server.asked == 2


async def test_a_project_without_asymmetric_keys_is_a_fault_of_the_configuration(side: SupabaseSide) -> None:
    token, _ = await side.person("ana")
    side.server.keys = []
    side.server.body = b'{"keys":[]}'
    with pytest.raises(IdentityNotConfigured):
        await side.identity.authenticate(token)


async def test_a_token_of_rs256_passes_with_a_key_of_rs256(side: SupabaseSide) -> None:
    private, jwk = rsa_key("r1")
    side.server.keys.append(jwk)
    forger = await side.forger()
    token = jwt.encode(forger.claims(), private, "RS256", {"kid": "r1"})
    assert (await side.identity.authenticate(token)).user_id == forger.user_id


async def test_a_shared_secret_verifies_without_the_network(clock: Clock) -> None:
    forger = Forger("https://old.supabase.co/auth/v1", clock.now)
    identity = SupabaseSecretIdentity(SECRET, issuers=[forger.issuer], clock=clock)
    assert (await identity.authenticate(forger.hmac_token(SECRET))).user_id == forger.user_id
    legacy: dict[str, Any] = {"iss": "supabase", "ref": "x", "role": "anon", "iat": forger.now, "exp": forger.now + 99}
    for token in (
        forger.token(),
        forger.hmac_token(SECRET[:-1]),
        forger.hmac_token(SECRET, role="service_role"),
        forger.hmac_token(SECRET, exp=forger.now - 11),
        jwt.encode(legacy, SECRET, "HS256"),
        jwt.encode(forger.claims(), "", "none"),
    ):
        with pytest.raises(InvalidToken):
            await identity.authenticate(token)


def test_a_short_shared_secret_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SupabaseSecretIdentity(b"short", issuers=["https://x/auth/v1"], clock=clock)
