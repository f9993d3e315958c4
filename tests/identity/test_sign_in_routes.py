"""`/auth/v1` on the wire: what clients of GoTrue send and expect."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest
from dishka import Provider, Scope, make_async_container
from dishka.integrations.litestar import setup_dishka
from litestar import Litestar

from identity.conftest import EMAIL, ISSUER, PASSWORD, Local
from identity.forging import CLAIM_ATTACKS, GARBAGE, SIGNATURE_ATTACKS, Forger
from inbox.adapters.identity.tokens import Verifier, read_jwks
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, Overloaded
from inbox.entrypoints.http.sign_in import BODY_LIMIT, sign_in_router
from inbox.ports.identity import SignIn

NEWER = {"X-Supabase-Api-Version": "2024-01-01"}
PASSWORD_GRANT, REFRESH_GRANT = "/auth/v1/token?grant_type=password", "/auth/v1/token?grant_type=refresh_token"


def served(sign_in: SignIn) -> httpx.AsyncClient:
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: sign_in, provides=SignIn)
    app = Litestar([sign_in_router], logging_config=None, openapi_config=None)
    setup_dishka(make_async_container(provider), app)
    asgi: Any = app  # Litestar types its scopes more narrowly than httpx
    transport = httpx.ASGITransport(app=asgi, raise_app_exceptions=False, client=("203.0.113.7", 4000))
    return httpx.AsyncClient(transport=transport, base_url="http://inbox")


@pytest.fixture
async def client(local: Local) -> AsyncIterator[httpx.AsyncClient]:
    await local.register()
    async with served(local.sign_in) as client:
        yield client


class Broken:
    """A sign-in whose every call fails with `error`."""

    def __init__(self, error: InboxError) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        async def fail(*_: object) -> None:
            raise self.error

        return fail


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def signed_in(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post(PASSWORD_GRANT, json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200
    session: dict[str, Any] = answer.json()
    return session


def is_refusal(answer: httpx.Response, status: int, code: str) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["x-sb-error-code"] == code
        and answer.headers["cache-control"] == "no-store"
        and (body["code"], body["error_code"]) == (status, code)
        and isinstance(body["msg"], str)
    )


async def test_a_sign_in_answers_with_a_session(client: httpx.AsyncClient, local: Local) -> None:
    answer = await client.post(PASSWORD_GRANT, json={"email": EMAIL.upper(), "password": PASSWORD})
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["sb-auth-user-id"] == body["user"]["id"]
    assert set(body) == {
        "access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user", "weak_password",
    }  # fmt: skip
    assert (body["token_type"], body["expires_in"], body["weak_password"]) == ("bearer", 3600, None)
    assert body["expires_at"] == int(local.clock.now.timestamp()) + 3600
    user = body["user"]
    assert (user["email"], user["phone"], user["aud"], user["role"]) == (EMAIL, "", "authenticated", "authenticated")
    assert user["is_anonymous"] is False
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert datetime.fromisoformat(user["last_sign_in_at"]) == local.clock.now
    assert "banned_until" not in user
    assert "password_hash" not in json.dumps(body)


async def test_the_access_token_verifies_with_the_published_keys(client: httpx.AsyncClient, local: Local) -> None:
    token = (await signed_in(client))["access_token"]
    answer = await client.get("/auth/v1/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    keys = read_jwks(answer.content)
    verifier = Verifier(issuers=[ISSUER], algorithms=frozenset({"ES256", "RS256"}))
    header = verifier.header(token)
    claims = verifier.claims(token, keys[header.kid or ""], local.clock.now)
    assert claims.email == EMAIL
    assert jwt.get_unverified_header(token)["typ"] == "JWT"


async def test_a_refresh_answers_with_the_next_session(client: httpx.AsyncClient) -> None:
    session = await signed_in(client)
    answer = await client.post(REFRESH_GRANT, json={"refresh_token": session["refresh_token"]})
    assert answer.status_code == 200
    assert "weak_password" not in answer.json()
    assert answer.headers["sb-auth-refresh-token-reuse"] == "false"
    assert answer.headers["sb-auth-refresh-token-counter"] == "1"
    again = await client.post(REFRESH_GRANT, json={"refresh_token": session["refresh_token"]})
    assert again.json()["refresh_token"] == answer.json()["refresh_token"]
    assert again.headers["sb-auth-refresh-token-reuse-cause"] == "concurrent-refresh"


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "", "x"])
async def test_a_body_may_have_any_content_type_and_unknown_members(
    client: httpx.AsyncClient, content_type: str
) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "gotrue_meta_security": {"captcha_token": None}, "data": {}}
    answer = await client.post(PASSWORD_GRANT, content=json.dumps(body), headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"1", b"{", b"\xff\xfe", b'{"email":7}', b'{"email":"\\ud800","password":"x"}',
        b'{"email":"\xff"}', b'{"password":["x"]}', b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"email=a&password=b",
    ],
)  # fmt: skip
async def test_a_body_that_is_no_json_object_of_this_shape_is_bad_json(client: httpx.AsyncClient, body: bytes) -> None:
    for grant in (PASSWORD_GRANT, REFRESH_GRANT):
        answer = await client.post(grant, content=body)
        assert answer.status_code == 400
        assert answer.headers["x-sb-error-code"] in ("bad_json", "validation_failed")
    assert is_refusal(await client.post(PASSWORD_GRANT, content=body), 400, "bad_json")


async def test_a_body_above_the_limit_is_refused_with_or_without_its_length(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    content: Any
    for content in (b" " * (BODY_LIMIT + 1), chunks()):
        answer = await client.post(PASSWORD_GRANT, content=content)
        assert is_refusal(answer, 413, "request_entity_too_large")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "validation_failed"),
        ({"email": None, "password": PASSWORD}, 400, "validation_failed"),
        ({"email": "", "password": PASSWORD}, 400, "validation_failed"),
        ({"email": EMAIL, "phone": "+34600000000", "password": PASSWORD}, 400, "validation_failed"),
        ({"phone": "+34600000000", "password": PASSWORD}, 422, "phone_provider_disabled"),
        ({"email": EMAIL}, 400, "invalid_credentials"),
        ({"email": EMAIL, "password": "wrong"}, 400, "invalid_credentials"),
        ({"email": "nobody@faro.example", "password": "wrong"}, 400, "invalid_credentials"),
    ],
)
async def test_a_sign_in_that_fails_says_why_in_gotrue_words(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    assert is_refusal(await client.post(PASSWORD_GRANT, json=body), status, code)


async def test_an_unknown_address_and_a_wrong_password_get_the_same_bytes(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post(PASSWORD_GRANT, json={"email": email, "password": "wrong"})
        for email in (EMAIL, "nobody@faro.example")
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers


@pytest.mark.parametrize(
    "query", ["", "?grant_type=", "?grant_type=pkce", "?grant_type=PASSWORD", "?grant_type=id_token"]
)
async def test_another_grant_is_unsupported(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.post(f"/auth/v1/token{query}", json={"email": EMAIL, "password": PASSWORD})
    assert is_refusal(answer, 400, "invalid_credentials")


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "v4mpqz7h2kd9"}]
)
async def test_a_refresh_needs_a_refresh_token(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert is_refusal(await client.post(REFRESH_GRANT, json=body), 400, "validation_failed")


@pytest.mark.parametrize("version", ["2024-01-01", "2024-06-30", "2030-01-01"])
async def test_the_newer_shape_is_given_to_who_asks_for_it(client: httpx.AsyncClient, version: str) -> None:
    answer = await client.get("/auth/v1/user", headers={"X-Supabase-Api-Version": version})
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "no_authorization",
        "message": "This endpoint requires a valid Bearer token",
    }
    assert answer.headers["x-supabase-api-version"] == "2024-01-01"
    assert answer.headers["x-sb-error-code"] == "no_authorization"


@pytest.mark.parametrize("version", ["", "2023-12-31", "1", "latest", "zzzz-zz-zz-zz"])
async def test_the_older_shape_is_given_to_everybody_else(client: httpx.AsyncClient, version: str) -> None:
    answer = await client.get("/auth/v1/user", headers={"X-Supabase-Api-Version": version})
    assert is_refusal(answer, 401, "no_authorization")
    assert "x-supabase-api-version" not in answer.headers


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer", "Token x", "BearerX", "eyJhbGciOiJFUzI1NiJ9.e30.x"]
)
async def test_without_a_bearer_nobody_is_there(client: httpx.AsyncClient, value: str) -> None:
    for call in (
        client.get("/auth/v1/user", headers={"Authorization": value}),
        client.put("/auth/v1/user", headers={"Authorization": value}, json={"password": "x"}),
        client.post("/auth/v1/logout", headers={"Authorization": value}),
    ):
        assert is_refusal(await call, 401, "no_authorization")


async def test_two_authorization_headers_are_none(client: httpx.AsyncClient) -> None:
    token = (await signed_in(client))["access_token"]
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert is_refusal(await client.get("/auth/v1/user", headers=headers), 401, "no_authorization")


async def test_the_scheme_has_no_case(client: httpx.AsyncClient) -> None:
    token = (await signed_in(client))["access_token"]
    answer = await client.get("/auth/v1/user", headers={"Authorization": f"bEARER {token}"})
    assert answer.json()["email"] == EMAIL


async def test_a_bad_token_is_403_bad_jwt(client: httpx.AsyncClient, local: Local) -> None:
    forger = Forger(ISSUER, local.clock.now, await local.tokens.signing_key())
    tokens = [attack(forger) for attack in (SIGNATURE_ATTACKS | CLAIM_ATTACKS).values()]
    tokens += [text for text in GARBAGE if text.strip() and text.isascii() and "\x00" not in text]
    for token in tokens:
        if token != token.strip() or "\n" in token:
            continue  # no header can carry it
        assert is_refusal(await client.get("/auth/v1/user", headers=bearer(token)), 403, "bad_jwt")


async def test_the_person_is_shown_without_times_that_are_not_set(client: httpx.AsyncClient) -> None:
    session = await signed_in(client)
    answer = await client.get("/auth/v1/user", headers=bearer(session["access_token"]))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == session["user"]


async def test_a_password_is_changed_with_the_current_one(client: httpx.AsyncClient) -> None:
    session, other = await signed_in(client), await signed_in(client)
    body = {"password": "another good one", "current_password": PASSWORD, "nonce": ""}
    answer = await client.put("/auth/v1/user", json=body, headers=bearer(session["access_token"]))
    assert (answer.status_code, answer.json()["id"]) == (200, session["user"]["id"])
    gone = await client.post(REFRESH_GRANT, json={"refresh_token": other["refresh_token"]})
    assert is_refusal(gone, 400, "refresh_token_not_found")


async def test_a_weak_password_comes_with_its_reasons(client: httpx.AsyncClient) -> None:
    token = (await signed_in(client))["access_token"]
    body = {"password": "short", "current_password": PASSWORD}
    old = await client.put("/auth/v1/user", json=body, headers=bearer(token))
    new = await client.put("/auth/v1/user", json=body, headers=bearer(token) | NEWER)
    assert is_refusal(old, 422, "weak_password")
    assert new.json()["code"] == "weak_password"
    assert old.json()["weak_password"] == new.json()["weak_password"] == {"reasons": ["length"]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"data": {"full_name": "Eve"}}, 400, "validation_failed"),
        ({"email": "eve@faro.example"}, 400, "validation_failed"),
        ({"password": "another good one", "data": {"x": 1}}, 400, "validation_failed"),
        ({}, 400, "validation_failed"),
        ({"app_metadata": {"role": "admin"}}, 403, "not_admin"),
        ({"password": "another good one"}, 400, "current_password_required"),
        ({"password": PASSWORD, "current_password": PASSWORD}, 422, "same_password"),
    ],
)
async def test_nothing_else_can_be_changed(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    token = (await signed_in(client))["access_token"]
    assert is_refusal(await client.put("/auth/v1/user", json=body, headers=bearer(token)), status, code)


async def test_signing_out_answers_204_without_a_body(client: httpx.AsyncClient) -> None:
    token = (await signed_in(client))["access_token"]
    answer = await client.post("/auth/v1/logout?scope=local", headers=bearer(token))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert is_refusal(await client.get("/auth/v1/user", headers=bearer(token)), 403, "session_not_found")


async def test_signing_out_without_a_scope_is_global(client: httpx.AsyncClient) -> None:
    session, other = await signed_in(client), await signed_in(client)
    await client.post("/auth/v1/logout", headers=bearer(session["access_token"]))
    answer = await client.get("/auth/v1/user", headers=bearer(other["access_token"]))
    assert is_refusal(answer, 403, "session_not_found")


async def test_an_unknown_scope_is_refused(client: httpx.AsyncClient) -> None:
    token = (await signed_in(client))["access_token"]
    answer = await client.post("/auth/v1/logout?scope=everywhere", headers=bearer(token))
    assert is_refusal(answer, 400, "validation_failed")


async def test_a_forged_forwarding_header_does_not_reset_the_limit(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post(
            PASSWORD_GRANT,
            json={"email": EMAIL, "password": "wrong"},
            headers={"X-Forwarded-For": f"10.0.0.{n}", "Forwarded": f"for=10.0.0.{n}", "X-Real-IP": f"10.0.0.{n}"},
        )
        for n in range(12)
    ]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429] * 2
    assert is_refusal(answers[-1], 429, "over_request_rate_limit")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 300


async def test_health_and_settings_need_nothing(client: httpx.AsyncClient) -> None:
    health = (await client.get("/auth/v1/health")).json()
    assert health["name"] == "GoTrue"
    assert set(health) == {"version", "name", "description"}
    settings = (await client.get("/auth/v1/settings")).json()
    assert (settings["disable_signup"], settings["external"]["email"]) == (True, True)


@pytest.mark.parametrize("path", ["signup", "recover", "otp", "admin/users", "invite", "authorize", "magiclink"])
async def test_there_is_no_sign_up_and_no_recovery(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(f"/auth/v1/{path}", json={})).status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseUnavailable("10.0.0.5 refused"), 503, "unexpected_failure"),
        (DatabaseTimeout("10.0.0.5 slow"), 504, "request_timeout"),
        (Overloaded("10.0.0.5"), 503, "unexpected_failure"),
    ],
)
async def test_a_failure_of_ours_is_no_refusal_and_shows_nothing(error: InboxError, status: int, code: str) -> None:
    async with served(Broken(error)) as client:
        answers = await asyncio.gather(
            client.post(PASSWORD_GRANT, json={"email": EMAIL, "password": PASSWORD}),
            client.post(REFRESH_GRANT, json={"refresh_token": "x" * 51}),
            client.get("/auth/v1/user", headers=bearer("x")),
            client.post("/auth/v1/logout", headers=bearer("x")),
            client.get("/auth/v1/.well-known/jwks.json"),
        )
    for answer in answers:
        assert is_refusal(answer, status, code)
        assert "10.0.0.5" not in answer.text


async def test_no_error_repeats_what_was_sent(client: httpx.AsyncClient) -> None:
    secret = "hunter2-canary"
    answers = [
        await client.post(PASSWORD_GRANT, json={"email": f"{secret}@x.example", "password": secret}),
        await client.post(PASSWORD_GRANT, content=f'{{"password": "{secret}'),
        await client.post(REFRESH_GRANT, json={"refresh_token": secret}),
        await client.get("/auth/v1/user", headers=bearer(secret)),
        await client.post(f"/auth/v1/token?grant_type={secret}", json={}),
        await client.post(f"/auth/v1/logout?scope={secret}", headers=bearer((await signed_in(client))["access_token"])),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        assert secret not in answer.text + str(answer.headers)


async def test_times_are_utc(client: httpx.AsyncClient) -> None:
    user = (await signed_in(client))["user"]
    for name in ("created_at", "updated_at", "last_sign_in_at", "email_confirmed_at"):
        assert datetime.fromisoformat(user[name]).tzinfo == UTC
        assert user[name].endswith("Z")
