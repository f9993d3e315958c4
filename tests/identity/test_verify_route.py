"""`POST /auth/v1/verify` on the wire, as `verifyOtp` of supabase-js sends it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from identity.conftest import EMAIL, PASSWORD, Local
from identity.test_sign_in_routes import NEWER, PASSWORD_GRANT, bearer, is_refusal, served
from inbox.adapters.identity.links import OneTimeLinks
from inbox.ports.local_accounts import Purpose


@pytest.fixture
async def client(local: Local) -> AsyncIterator[httpx.AsyncClient]:
    async with served(local.sign_in) as client:
        yield client


@pytest.fixture
async def token(local: Local) -> str:
    links = OneTimeLinks("http://inbox", clock=local.clock)
    person = links.newcomer(EMAIL, "Ana Ruiz")
    link = links.link(person.id, Purpose.INVITE, None)
    async with local.database.transaction() as tx:
        await tx.local_accounts.add_user(person)
        await tx.local_accounts.add_link(link.stored)
    return link.url.partition("token_hash=")[2].partition("&")[0]


async def test_a_link_answers_with_a_session(client: httpx.AsyncClient, token: str, local: Local) -> None:
    body = {"type": "invite", "token_hash": token, "gotrue_meta_security": {}}
    answer = await client.post("/auth/v1/verify", json=body)
    session = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["sb-auth-user-id"] == session["user"]["id"]
    assert set(session) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
    assert session["user"]["user_metadata"] == {"full_name": "Ana Ruiz"}
    assert (await client.get("/auth/v1/user", headers=bearer(session["access_token"]))).json() == session["user"]


async def test_the_session_sets_the_password(client: httpx.AsyncClient, token: str) -> None:
    session = (await client.post("/auth/v1/verify", json={"type": "invite", "token_hash": token})).json()
    headers = bearer(session["access_token"])
    weak = await client.put("/auth/v1/user", json={"password": "short"}, headers=headers)
    assert is_refusal(weak, 422, "weak_password")
    assert (await client.put("/auth/v1/user", json={"password": PASSWORD}, headers=headers)).status_code == 200
    signed_in = await client.post(PASSWORD_GRANT, json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "invite"},
        {"type": "invite", "token_hash": ""},
        {"token_hash": "x"},
        {"type": "signup", "token_hash": "x"},
        {"type": "magiclink", "token_hash": "x"},
        {"type": "email", "token": "123456", "email": EMAIL},
    ],
)
async def test_only_links_of_ours_are_verified(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert is_refusal(await client.post("/auth/v1/verify", json=body), 400, "validation_failed")


async def test_a_used_a_foreign_and_an_invented_link_get_the_same_bytes(client: httpx.AsyncClient, token: str) -> None:
    await client.post("/auth/v1/verify", json={"type": "invite", "token_hash": token})
    bodies = [
        {"type": "invite", "token_hash": token},
        {"type": "recovery", "token_hash": token},
        {"type": "invite", "token_hash": "x"},
    ]
    answers = [await client.post("/auth/v1/verify", json=body, headers=NEWER) for body in bodies]
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.content for answer in answers} == {
        b'{"code":"otp_expired","message":"Email link is invalid or has expired"}'
    }


async def test_a_link_is_not_verified_by_looking_at_it(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.get("/auth/v1/verify", params={"type": "invite", "token_hash": token})
    assert answer.status_code == 405
    assert (await client.post("/auth/v1/verify", json={"type": "invite", "token_hash": token})).status_code == 200
