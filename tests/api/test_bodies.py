"""What a client sends is checked before a route sees it, and what is wrong is named."""

import pytest

from api.conftest import a_caller
from inbox.domain.access import Permission

SOMEWHERE = "/conversations/3f2504e0-4f89-41d3-9a0c-0305e82c3301/bot"
JSON = {"content-type": "application/json"}


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND)


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"enabled": True, "extra": 1}, "body.extra", "unknown field"),
        ({"enabled": "true"}, "body.enabled", "expected bool, got str"),
        ({"enabled": 1}, "body.enabled", "expected bool, got int"),
        ({"enabled": None}, "body.enabled", "expected bool, got null"),
        ([], "body", "expected object, got array"),
        ("x", "body", "expected object, got str"),
    ],
)
async def test_what_is_wrong_is_named_with_its_path(client, sender, body, path, message):
    answer = await client.post(SOMEWHERE, json=body, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert answer.json()["errors"] == [{"path": path, "message": message}]


async def test_a_name_that_a_client_made_up_is_not_echoed(client, sender):
    answer = await client.post(SOMEWHERE, json={"<script>alert(1)</script>": 1}, headers=sender)
    assert answer.json()["errors"] == [{"path": "body", "message": "unknown field"}]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "",
    ],
)
async def test_a_body_of_another_type_is_415(client, sender, content_type):
    answer = await client.post(SOMEWHERE, content=b'{"enabled":true}', headers={**sender, "content-type": content_type})
    assert (answer.status_code, answer.json()["detail"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_with_or_without_parameters(client, sender, content_type):
    answer = await client.post(SOMEWHERE, content=b'{"enabled":true}', headers={**sender, "content-type": content_type})
    assert answer.status_code == 404


async def test_json_nested_too_deep_is_400(client, sender):
    deep = b'{"enabled":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    answer = await client.post(SOMEWHERE, content=deep, headers=sender | JSON)
    assert (answer.status_code, answer.json()["detail"]) == (400, "invalid_json")


async def test_a_body_over_the_limit_is_413(client, sender):
    answer = await client.post(SOMEWHERE, content=b" " * 1_100_000, headers=sender | JSON)
    assert (answer.status_code, answer.json()["detail"]) == (413, "payload_too_large")
    assert answer.json()["title"] == "Content Too Large"  # under any version of Python


@pytest.mark.parametrize(
    "content",
    [
        rb'{"conversation_id":"a\u0000b","content":"x"}',
        rb'{"conversation_id":"x","content":"\ud800"}',
        rb'{"conversation_id":"x","content":"\udfff tail"}',
        b'{"conversation_id":"x","content":"\xed\xa0\x80"}',
        rb'{"con\u0000tent":"x"}',
    ],
)
async def test_nul_and_lone_surrogates_are_refused_at_the_edge(client, sender, content):
    answer = await client.post("/messages/send", content=content, headers=sender | JSON)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")


async def test_a_nul_is_named_where_it_stands_and_its_spelling_alone_is_none(client, sender):
    nul = await client.post(
        "/messages/send", content=rb'{"conversation_id":"x","content":"a\u0000"}', headers=sender | JSON
    )
    spelt = await client.post(
        "/messages/send", content=rb'{"conversation_id":"x","content":"\\u0000"}', headers=sender | JSON
    )
    assert nul.json()["errors"] == [{"path": "body.content", "message": "NUL cannot be stored"}]
    assert spelt.status_code == 404


async def test_a_nul_in_the_query_is_named(client, sender):
    answer = await client.get("/contacts", params={"q": "a\0b"}, headers=sender)
    assert answer.json()["errors"] == [{"path": "query.q", "message": "NUL cannot be stored"}]


@pytest.mark.parametrize("malformed", ["a\0b", "", "x", "3F2504E0-4F89-41D3-9A0C-0305E82C330\0"])
async def test_a_malformed_account_in_the_query_is_a_missing_one_nul_or_not(client, engine, account, malformed):
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    headers = viewer | {"x-request-id": "the-same-for-both"}
    odd = await client.get("/conversations", params={"account_id": malformed}, headers=headers)
    missing = await client.get(
        "/conversations", params={"account_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}, headers=headers
    )
    assert odd.status_code == 404
    assert odd.content == missing.content


async def test_a_call_without_a_declared_body_takes_any_type_and_any_body(client, sender):
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        answer = await client.get("/auth/me", headers={**sender, "content-type": content_type})
        assert answer.status_code == 200


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"Infinity", b"-Infinity", b"9" * 5_000])
async def test_odd_numbers_are_refused(client, sender, number):
    answer = await client.post(SOMEWHERE, content=b'{"enabled":' + number + b"}", headers=sender | JSON)
    assert answer.status_code == 422
