"""Alive, ready, counted; and the description of the API."""

import pytest

from inbox.entrypoints.http.monitoring import Lifecycle


async def test_the_root_says_what_this_is(client):
    answer = await client.get("/")
    assert answer.json() == {"status": "ok", "message": "WhatsApp Inbox API running"}


async def test_live_and_ready_answer_in_the_shape_of_the_contract(client):
    live, ready = await client.get("/health/live"), await client.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_process_that_stops_is_not_ready(client, container):
    (await container.get(Lifecycle)).is_stopping = True
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "reason": {"status": "error", "error": "stopping"}}


async def test_metrics_count_by_route_template_and_ask_for_their_token(client):
    await client.get("/messages/3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    assert (await client.get("/metrics")).status_code == 401
    page = await client.get("/metrics", headers={"authorization": "Bearer metrics-token"})
    assert page.status_code == 200
    # Prometheus refuses a type that names its charset twice.
    assert page.headers["content-type"].count("charset=") == 1
    assert 'handler="/messages/{conversation_id}"' in page.text
    assert "3f2504e0" not in page.text


@pytest.mark.parametrize("path", ["/openapi.json", "/api/openapi.json"])
async def test_the_description_names_every_route_of_the_contract(client, path):
    paths = (await client.get(path)).json()["paths"]
    assert set(paths) >= {
        "/webhook/whatsapp",
        "/auth/me",
        "/accounts",
        "/conversations",
        "/conversations/{conversation_id}/bot",
        "/messages/{conversation_id}",
        "/messages/send",
        "/health/live",
        "/health/ready",
    }
    assert not any(name.startswith("/api/") for name in paths)


async def test_every_route_declares_the_right_that_it_asks_for(app):
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            name = str(handler)
            if "sign_in" in handler.fn.__module__ or "litestar" in handler.fn.__module__:
                continue
            assert "permission" in handler.opt, name
