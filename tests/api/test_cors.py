"""Browsers of other origins than the configured ones are told nothing."""

import pytest

OURS = "https://inbox.example"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "https://inbox.example.evil.example",
        "https://evilinbox.example",
        "https://inbox.example:8443",
        "http://inbox.example",
        "https://sub.inbox.example",
        "https://INBOX.example/",
        "file://",
    ],
)
async def test_no_other_origin_is_allowed(client, origin):
    plain = await client.get("/health/live", headers={"origin": origin})
    preflight = await client.options(
        "/messages/send",
        headers={"origin": origin, "access-control-request-method": "POST"},
    )
    for answer in (plain, preflight):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health/live", "/auth/me", "/nowhere", "/conversations/x/read"])
async def test_every_answer_to_our_origin_says_so_errors_too(client, path):
    answer = await client.get(path, headers={"origin": OURS})
    assert answer.headers["access-control-allow-origin"] == OURS
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].lower().split(",")}
    assert exposed >= {"link", "x-next-cursor", "x-request-id", "retry-after", "content-disposition"}
    assert "x-supabase-api-version" in exposed  # without it supabase-js finds no code in our errors


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_allows_the_methods_and_headers_of_the_contract(client, method):
    asked = "authorization, content-type, apikey, x-client-info, x-supabase-api-version, idempotency-key, prefer"
    answer = await client.options(
        "/messages/send",
        headers={"origin": OURS, "access-control-request-method": method, "access-control-request-headers": asked},
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == OURS
    assert method in answer.headers["access-control-allow-methods"]
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].lower().split(",")}
    assert allowed >= set(asked.split(", "))
    assert answer.headers["vary"].lower() == "origin"
