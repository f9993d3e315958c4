"""What Meta, and who pretends to be Meta, gets for an answer."""

import json
from base64 import b64encode

import httpx
import pytest
from sqlalchemy import text

from api.conftest import APP_SECRET
from builders import an_account, execute
from inbox.kit.signing import sign

TEXT = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "1",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "metadata": {"phone_number_id": "1060000000001"},
                        "messages": [
                            {
                                "from": "33600000001",
                                "id": "wamid.1",
                                "timestamp": "1790000000",
                                "type": "text",
                                "text": {"body": "Bonjour"},
                            }
                        ],
                    },
                }
            ],
        }
    ],
}


def signed(body: bytes) -> dict[str, str]:
    return {"x-hub-signature-256": sign(APP_SECRET.encode(), body).decode(), "content-type": "application/json"}


async def post(client: httpx.AsyncClient, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await client.post("/webhook/whatsapp", content=body, headers=signed(body) if headers is None else headers)


async def stored(engine) -> list[bytes]:
    return [row.body for row in await execute(engine, "select body from deliveries order by id")]


async def test_a_signed_delivery_is_stored_as_it_came_and_answered(client, engine):
    body = json.dumps(TEXT).encode()
    answer = await post(client, body)
    assert (answer.status_code, answer.json()) == (200, {"status": "received"})
    assert await stored(engine) == [body]


async def test_the_same_delivery_again_is_answered_and_not_stored_twice(client, engine):
    body = json.dumps(TEXT).encode()
    assert [(await post(client, body)).status_code for _ in range(3)] == [200, 200, 200]
    assert await stored(engine) == [body]


@pytest.mark.parametrize(
    "signature",
    [
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "SHA256=" + "0" * 64,
        "sha256=" + "é" * 64,
        "0" * 64,
        "sha256=",
        "",
    ],
)
async def test_a_wrong_signature_is_401_and_stores_nothing(client, engine, signature):
    body = json.dumps(TEXT).encode()
    answer = await client.post(
        "/webhook/whatsapp", content=body, headers=[(b"x-hub-signature-256", signature.encode("latin-1"))]
    )
    assert (answer.status_code, answer.json()["detail"]) == (401, "invalid_signature")
    assert await stored(engine) == []


async def test_two_signatures_are_refused_even_if_one_is_right(client, engine):
    body = json.dumps(TEXT).encode()
    right = signed(body)["x-hub-signature-256"]
    headers = [("x-hub-signature-256", right), ("x-hub-signature-256", "sha256=" + "0" * 64)]
    assert (await client.post("/webhook/whatsapp", content=body, headers=headers)).status_code == 401
    assert await stored(engine) == []


async def test_a_missing_signature_is_named(client):
    answer = await post(client, b"{}", {})
    assert (answer.status_code, answer.json()["detail"]) == (401, "missing_signature")


async def test_a_signature_of_another_body_is_refused(client):
    assert (await post(client, b'{"a":2}', signed(b'{"a":1}'))).status_code == 401


async def test_a_body_over_the_limit_is_413(client, engine):
    body = b'{"a":"' + b"x" * 5000 + b'"}'
    answer = await post(client, body)
    assert (answer.status_code, answer.json()["detail"]) == (413, "payload_too_large")
    assert await stored(engine) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"12", b'"text"', b"{", b'{"a":1}x', b"null", b"\xff\xfe"])
async def test_a_signed_body_that_is_no_json_object_is_400(client, engine, body):
    answer = await post(client, body)
    assert (answer.status_code, answer.json()["detail"]) == (400, "invalid_json")
    assert await stored(engine) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"entry":[{"changes":[{"field":"messages","value":"\\u0000"}]}]}',
        b'{"entry":"\\ud800"}',
        b'{"entry":"\xff"}',
        b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b'{"entry":[{"changes":[{"field":"future_field","value":{}}]}]}',
        b'{"entry":[{"changes":7}]}',
        b"{}",
        b'{"a":NaN}',
        b'{"a":1e400,"a":2}',
    ],
    ids=lambda body: b64encode(body[:12]).decode(),
)
async def test_signed_json_with_surprises_is_stored_and_answered(client, engine, body):
    assert (await post(client, body)).status_code == 200
    assert await stored(engine) == [body]


async def test_the_handshake_returns_the_challenge_verbatim(client, engine):
    await an_account(engine, verify_token="account-token")
    for token in ("verify-me", "account-token"):
        answer = await client.get(
            "/webhook/whatsapp",
            params={"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "<b>42</b>"},
        )
        assert (answer.status_code, answer.text) == (200, "<b>42</b>")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"hub.mode": "subscribe"},
        {"hub.mode": "subscribe", "hub.verify_token": ""},
        {"hub.mode": "subscribe", "hub.verify_token": "wrong"},
        {"hub.mode": "subscribe", "hub.verify_token": "legacy-verify"},
        {"hub.mode": "unsubscribe", "hub.verify_token": "verify-me"},
    ],
)
async def test_an_unknown_verify_token_is_403(client, query):
    answer = await client.get("/webhook/whatsapp", params={**query, "hub.challenge": "42"})
    assert (answer.status_code, answer.json()["detail"]) == (403, "webhook_verification_failed")


async def test_the_webhook_is_served_below_the_prefix_too(client, engine):
    body = json.dumps(TEXT).encode()
    assert (await client.post("/api/webhook/whatsapp", content=body, headers=signed(body))).status_code == 200
    assert await stored(engine) == [body]


async def test_while_the_secrets_of_accounts_cannot_be_read_meta_is_told_to_come_again(client, engine):
    body = json.dumps(TEXT).encode()
    async with engine.begin() as connection:
        await connection.execute(text("lock table whatsapp_accounts in access exclusive mode"))
        forged = await client.post(
            "/webhook/whatsapp", content=body, headers={"x-hub-signature-256": sign(b"another app", body).decode()}
        )
        genuine = await post(client, body)
    assert (forged.status_code, forged.json()["detail"]) == (503, "database_unavailable")
    assert int(forged.headers["retry-after"]) >= 1
    assert genuine.status_code == 200
    assert await stored(engine) == [body]
