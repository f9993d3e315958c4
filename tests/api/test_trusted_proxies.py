"""Limits on sign-in count clients, not proxies, and no client chooses what it counts as."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from inbox.main.app import create_app

ATTEMPTS = 10
PROXY, STRANGER = "10.0.0.1", "203.0.113.7"


@pytest.fixture
def proxied(settings, container, metrics):
    http = msgspec.structs.replace(settings.http, trusted_proxies=("10.0.0.0/8",))
    app = create_app(msgspec.structs.replace(settings, http=http), container, metrics)

    @asynccontextmanager
    async def connected_from(peer: str) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=app, client=(peer, 4000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
            yield client

    return connected_from


async def tried(client: httpx.AsyncClient, forwarded: str, email: str = "ana@faro.example") -> int:
    answer = await client.post(
        "/auth/v1/token?grant_type=password",
        json={"email": email, "password": "wrong"},
        headers={"X-Forwarded-For": forwarded},
    )
    return answer.status_code


async def test_an_untrusted_client_does_not_evade_the_limit_by_rotating_its_header(proxied):
    async with proxied(STRANGER) as client:
        statuses = [await tried(client, f"198.51.100.{n}") for n in range(ATTEMPTS + 2)]
    assert statuses == [400] * ATTEMPTS + [429] * 2


async def test_a_client_behind_the_proxy_does_not_evade_it_by_writing_into_the_header_first(proxied):
    async with proxied(PROXY) as client:
        statuses = [await tried(client, f"198.51.100.{n}, {STRANGER}") for n in range(ATTEMPTS + 2)]
    assert statuses == [400] * ATTEMPTS + [429] * 2


async def test_behind_a_trusted_proxy_clients_are_told_apart(proxied):
    async with proxied(PROXY) as client:
        statuses = [await tried(client, STRANGER) for _ in range(ATTEMPTS + 1)]
        assert statuses[-1] == 429
        assert await tried(client, "203.0.113.8") == 400


async def test_garbage_from_a_trusted_proxy_counts_as_the_proxy(proxied):
    async with proxied(PROXY) as client:
        statuses = [await tried(client, f"garbage-{n}") for n in range(ATTEMPTS + 1)]
    assert statuses == [400] * ATTEMPTS + [429]
