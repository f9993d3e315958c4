"""A delivery that is stored is answered before the framework sees it; nobody outside can tell."""

import asyncio
import json
from functools import partial

import httpx
import pytest
import structlog
from litestar.exceptions import HTTPException
from prometheus_client import generate_latest

from api.test_webhook import TEXT, post, signed, stored
from inbox.domain.errors import DatabaseUnavailable
from inbox.entrypoints.http.webhook import PATH, REFUSED, take
from inbox.entrypoints.http.webhook_door import WebhookDoor
from inbox.services.intake import Intake

BODY = json.dumps(TEXT).encode()
ALWAYS = ("content-type", "content-length", "x-content-type-options", "cache-control", "x-request-id")


async def chunks():
    yield BODY[:10]
    yield BODY[10:]


async def refuse(scope, receive, send):
    raise AssertionError("it went the long way")


class Broken:
    """A container that has nothing."""

    async def get(self, _: object) -> None:
        raise ZeroDivisionError


async def behind(app, container, metrics, path: str = PATH) -> int:
    """The status for a delivery at a door with `app` behind it."""
    door = WebhookDoor(app, container, metrics, paths={PATH}, max_bytes=len(BODY))
    transport = httpx.ASGITransport(app=door)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        return (await client.post(path, content=BODY, headers=signed(BODY))).status_code


async def test_a_stored_delivery_needs_no_framework(container, metrics, engine):
    assert await behind(refuse, container, metrics) == 200
    assert await stored(engine) == [BODY]


async def test_what_is_not_for_the_door_passes_it(container, metrics):
    with pytest.raises(AssertionError, match="the long way"):
        await behind(refuse, container, metrics, "/conversations")


async def test_a_bug_at_the_door_is_left_to_the_route_which_answers_and_logs_it(metrics):
    found = []

    async def route(scope, receive, send):
        found.append(scope["state"][REFUSED])
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert await behind(route, Broken(), metrics) == 500
    assert [type(error) for error in found] == [ZeroDivisionError]


async def test_the_door_stands_at_both_paths(client):
    with structlog.testing.capture_logs() as lines:
        for path in (PATH, f"/api{PATH}"):
            assert (await client.post(path, content=BODY, headers=signed(BODY))).status_code == 200
    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug", "debug"]


async def test_both_ways_answer_alike(client, engine):
    given = signed(BODY) | {"x-request-id": "request-0001"}
    short = await post(client, BODY, given)
    long = await client.post("/webhook/whatsapp", content=chunks(), headers=given)  # no length
    assert [answer.status_code for answer in (short, long)] == [200, 200]
    assert short.content == long.content
    assert [short.headers[name] for name in ALWAYS] == [long.headers[name] for name in ALWAYS]
    assert await stored(engine) == [BODY]


async def test_what_is_answered_at_the_door_is_counted_like_every_request(client, metrics):
    await post(client, BODY)
    await post(client, BODY, {})
    page = generate_latest(metrics.registry).decode()
    for status in ("2xx", "4xx"):
        labels = f'handler="/webhook/whatsapp",method="POST",status="{status}"'
        assert f"http_requests_total{{{labels}}} 1.0" in page
    assert 'inbox_deliveries_total{outcome="stored"} 1.0' in page
    assert 'inbox_deliveries_total{outcome="refused"} 1.0' in page
    assert 'http_requests_inprogress{handler="/webhook/whatsapp",method="POST"} 0.0' in page


async def test_a_refusal_is_told_once_and_a_stored_delivery_only_at_debug(client):
    with structlog.testing.capture_logs() as lines:
        await post(client, BODY)
        await post(client, BODY, {})
    told = [(line["log_level"], line["status"]) for line in lines if line["event"] == "request"]
    assert told == [("debug", 200), ("info", 401)]


async def test_a_browser_goes_the_long_way(client):
    answer = await post(client, BODY, signed(BODY) | {"origin": "https://inbox.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://inbox.example"


class Busy(Intake):
    """It stores nothing in time."""

    def __init__(self) -> None:
        self.within = 0.5

    async def accept(self, signatures, body):
        await asyncio.Event().wait()


async def arriving(after: float) -> bytes:
    arrived = asyncio.Event()
    asyncio.get_running_loop().call_later(after, arrived.set)
    await arrived.wait()
    return BODY


async def test_who_takes_most_of_the_time_for_the_body_is_not_our_failure(metrics):
    with pytest.raises(HTTPException) as slow:
        await take(Busy(), metrics, [], partial(arriving, 0.3))
    assert slow.value.status_code == 408
    with pytest.raises(DatabaseUnavailable):
        await take(Busy(), metrics, [], partial(arriving, 0))
    page = generate_latest(metrics.registry).decode()
    assert 'inbox_deliveries_total{outcome="refused"} 1.0' in page
    assert 'inbox_deliveries_total{outcome="not_stored"} 1.0' in page


async def test_of_a_client_that_leaves_in_the_middle_nothing_is_stored(app, client, engine):
    messages = [{"type": "http.request", "body": BODY[:10], "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in signed(BODY).items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhook/whatsapp",
        "raw_path": b"/webhook/whatsapp",
        "query_string": b"",
        "headers": [*headers, (b"content-length", str(len(BODY)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    await app(scope, receive, send)
    assert sent == []
    assert await stored(engine) == []
