"""Errors look the same wherever they come from."""

import httpx
import pytest
from litestar import Litestar, get

from api.conftest import a_caller, bearer
from builders import a_conversation
from inbox.domain.access import Permission
from inbox.domain.errors import CircuitOpen
from inbox.domain.ids import uuid7
from inbox.entrypoints.http.problems import HANDLERS
from member_builders import a_user

UNKNOWN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def without_request_id(body: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in body.items() if key != "request_id"}


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/nowhere", 404, "not_found"),
        ("DELETE", "/accounts", 405, "method_not_allowed"),
        ("GET", "/accounts", 401, "missing_token"),
        ("GET", "/auth/me", 401, "missing_token"),
        ("POST", "/messages/send", 401, "missing_token"),
    ],
)
async def test_a_failure_is_a_problem_with_a_request_id(client, method, path, status, detail):
    answer = await client.request(method, path, json={} if method == "POST" else None)
    body = answer.json()
    assert (answer.status_code, body["status"], body["detail"]) == (status, status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert set(body) <= {"type", "title", "status", "detail", "request_id", "errors"}


async def test_the_body_of_a_stranger_is_never_read(app):
    asked = []

    async def receive():
        asked.append("body")
        return {"type": "http.request", "body": b"{}", "more_body": True}

    async def send(message):
        asked.append(message.get("status", "end"))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/messages/send",
        "raw_path": b"/messages/send",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    await app(scope, receive, send)
    assert asked == [401, "end"]


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "user:1", ""])
async def test_other_authorization_is_a_missing_token(client, header):
    answer = await client.get("/auth/me", headers={"authorization": header})
    assert (answer.status_code, answer.json()["detail"]) == (401, "missing_token")


async def test_a_token_that_nobody_issued_is_invalid(client):
    answer = await client.get("/auth/me", headers={"authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "invalid_token")


async def test_a_disabled_user_is_refused(client, engine):
    user = await a_user(engine, is_active=False)
    answer = await client.get("/auth/me", headers=bearer(user))
    assert (answer.status_code, answer.json()["detail"]) == (403, "user_disabled")


async def test_a_foreign_conversation_looks_like_a_missing_one(client, engine, account):
    stranger = await a_caller(engine, account)
    theirs = await a_conversation(engine, account)
    answers = [
        await client.get(f"/messages/{conversation}", headers=stranger)
        for conversation in (theirs, UNKNOWN, "not-a-uuid", "１" * 36)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({str(without_request_id(answer.json())) for answer in answers}) == 1


async def test_a_known_account_without_the_right_is_403(client, engine, account):
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    conversation = await a_conversation(engine, account)
    answer = await client.get(f"/messages/{conversation}", headers=viewer)
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", "٣", "1" * 40])
async def test_a_limit_out_of_range_is_named(client, engine, account, limit):
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    answer = await client.get("/conversations", params={"account_id": str(account), "limit": limit}, headers=viewer)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert answer.json()["errors"][0]["path"] == "query.limit"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"not json", 422),
        (b"[]", 422),
        (b'{"enabled":"yes"}', 422),
        (b'{"enabled":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"enabled":"\xff"}', 422),
        (b"", 422),
        (b"{}", 404),
    ],
    ids=["no-json", "array", "wrong-type", "deep", "no-utf8", "empty", "missing-key-is-false"],
)
async def test_a_bad_body_never_ends_in_500(client, engine, account, content, status):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    answer = await client.post(
        f"/conversations/{UNKNOWN}/bot", content=content, headers={**sender, "content-type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_errors_carry_cors_headers_for_known_origins_only(client):
    known = await client.get("/accounts", headers={"origin": "https://inbox.example"})
    strange = await client.get("/accounts", headers={"origin": "https://inbox.example.evil.example"})
    assert known.headers["access-control-allow-origin"] == "https://inbox.example"
    assert "access-control-allow-origin" not in strange.headers


async def test_a_harmless_request_id_is_kept_and_another_replaced(client):
    kept = await client.get("/health/live", headers={"x-request-id": "abc-12345678"})
    replaced = await client.get("/health/live", headers={"x-request-id": 'x"} injected\t'})
    assert kept.headers["x-request-id"] == "abc-12345678"
    assert "injected" not in replaced.headers["x-request-id"]


async def test_ids_of_rows_are_not_guessed_from_time_alone():
    assert len({uuid7() for _ in range(10_000)}) == 10_000


async def test_two_tokens_are_none(client, engine):
    user = await a_user(engine)
    token = bearer(user)["authorization"]
    answer = await client.get("/auth/me", headers=[("authorization", token), ("authorization", token)])
    assert (answer.status_code, answer.json()["detail"]) == (401, "missing_token")


async def test_who_holds_the_code_nowhere_is_told_so_whatever_id_they_name(client, engine):
    nobody = bearer(await a_user(engine))
    answers = [
        await client.get("/conversations", params={"account_id": named}, headers=nobody)
        for named in (UNKNOWN, "not-a-uuid")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert len({str(without_request_id(answer.json())) for answer in answers}) == 1


@pytest.mark.parametrize(("seconds", "told"), [(1.2, "2"), (29.0, "29"), (0.01, "1")])
async def test_who_waits_as_long_as_told_does_not_come_too_early(seconds, told):
    @get("/")
    async def route() -> None:
        raise CircuitOpen("whatsapp", retry_after=seconds)

    app = Litestar([route], exception_handlers=HANDLERS, openapi_config=None, logging_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://inbox") as client:  # type: ignore[arg-type]
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, told)
