"""What the page of metrics says after a day in the life of a message."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from adapters.webhook_bodies import a_body, a_message
from api.flow import Flow, flowing
from builders import a_number, execute
from inbox.entrypoints.queue_gauges import QueueGauges
from inbox.kit import telemetry


async def value(flow: Flow, name: str, /, **labels: str) -> float:
    for family in text_string_to_metric_families(await flow.page()):
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return float(sample.value)
    raise AssertionError(f"no {name} {labels}")


async def reaches(flow: Flow, expected: float, name: str, /, **labels: str) -> None:
    """What is counted comes a moment after what it counts was committed."""
    found: float | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while found != expected:
                await execute(flow.engine, "select 1")  # others get their turn
                with suppress(AssertionError):
                    found = await value(flow, name, **labels)
    assert found == expected, (name, labels)


@pytest.fixture
async def flow(applications, settings, database_url, engine, tmp_path):
    async with flowing(applications, settings, database_url, engine, tmp_path) as flow:
        yield flow


async def test_a_webhook_is_counted_from_the_door_to_its_effects(flow):
    await flow.customer_writes("Bonjour")
    await flow.until("select 1 from outbox where state = 'accepted'")
    await reaches(flow, 1, "inbox_deliveries_total", outcome="stored")
    await reaches(flow, 1, "inbox_deliveries_total", outcome="done")
    await reaches(flow, 1, "inbox_items_total", item="message")
    await reaches(flow, 1, "inbox_delivery_lag_seconds_count")
    assert 0 < await value(flow, "inbox_delivery_lag_seconds_sum") < 20
    await reaches(flow, 1, "inbox_work_total", kind="turn", outcome="answered")
    await reaches(flow, 1, "inbox_work_total", kind="send", outcome="accepted")


async def test_a_repetition_is_counted_at_the_door_and_nowhere_else(flow):
    message = a_message(id=f"wamid.{a_number()}", **{"from": flow.number})
    for spaces in ("", " "):
        await flow.webhook(a_body(message, number=flow.account.phone_number_id) + spaces.encode())
    await flow.until("select 1 from deliveries where state = 'done' having count(*) = 2")
    await reaches(flow, 2, "inbox_deliveries_total", outcome="done")
    await reaches(flow, 1, "inbox_items_total", item="message")


async def test_unknown_numbers_parked_statuses_and_what_is_not_understood_are_counted_apart(flow):
    await flow.webhook(a_body(a_message(id=f"wamid.{a_number()}"), number="999"))
    await flow.whatsapp_says("delivered", "wamid.nobodys")
    await flow.whatsapp_says("exploded", "wamid.nobodys")
    await flow.webhook(b'{"object": "whatsapp_business_account", "entry": 5}')
    await flow.until("select 1 from deliveries where state <> 'open' having count(*) = 4")
    await (await flow.container.get(QueueGauges)).read()
    await reaches(flow, 1, "inbox_items_total", item="unknown_number")
    await reaches(flow, 2, "inbox_items_total", item="parked_status")
    await reaches(flow, 0, "inbox_items_total", item="status")
    await reaches(flow, 1, "inbox_message_statuses_total", status="delivered")
    await reaches(flow, 1, "inbox_message_statuses_total", status="other")
    await reaches(flow, 2, "inbox_backlog", queue="statuses", state="parked")


async def test_queues_that_cannot_be_read_keep_their_figures_and_say_how_old_they_are(flow):
    gauges = await flow.container.get(QueueGauges)
    await gauges.read()
    await execute(flow.engine, "alter table message_statuses rename to elsewhere")
    try:
        before = await value(flow, "inbox_queues_read_timestamp_seconds")  # the keeper reads as well: not any more
        with pytest.raises(Exception, match="message_statuses"):
            await gauges.read()
        assert await value(flow, "inbox_queues_read_timestamp_seconds") == before > 0
    finally:
        await execute(flow.engine, "alter table elsewhere rename to message_statuses")


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield capfd
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_request_has_one_line_with_its_ids_and_says_neither_who_asked_nor_the_url(flow, logs):
    telemetry.configure("INFO")
    structlog.configure(cache_logger_on_first_use=False)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "request-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    await flow.client.get("/messages/3f2504e0-4f89-41d3-9a0c-0305e82c3301?search=x", headers=headers)
    await flow.client.get("/health/live")
    lines = [json.loads(line) for line in logs.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line.pop("ms") > 0
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": "request-1",
        "trace_id": trace,
        "handler": "/messages/{conversation_id}",
        "method": "GET",
        "status": 401,
        "actor": "none",
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nowhere/33698765432", {}, 404),
        ("DELETE", "/accounts", {}, 405),
        ("OPTIONS", "/accounts", {"origin": "https://inbox.example", "access-control-request-method": "GET"}, 204),
    ],
)
async def test_a_request_that_reaches_no_route_has_a_line_too(flow, logs, method, path, headers, status):
    telemetry.configure("INFO")
    structlog.configure(cache_logger_on_first_use=False)
    answer = await flow.client.request(method, path, headers={"x-request-id": "request-1", **headers})
    lines = [json.loads(line) for line in logs.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line.pop("timestamp")
    assert len(line.pop("trace_id")) == 32
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": "request-1",
        "handler": "none",
        "method": method,
        "status": answer.status_code,
        "actor": "none",
    }
    assert answer.status_code == status


async def test_a_stranger_who_never_sends_the_whole_body_raises_no_alarm(flow):
    async def dripping():
        yield b"{"
        await asyncio.Event().wait()

    answer = await flow.client.post(
        "/webhook/whatsapp", content=dripping(), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (408, "request_timeout")
    labels = {"handler": "/webhook/whatsapp", "method": "POST"}
    assert await value(flow, "http_requests_total", **labels, status="4xx") == 1
    assert 'status="5xx"' not in await flow.page()
    assert await value(flow, "inbox_deliveries_total", outcome="refused") == 1
    assert await value(flow, "inbox_deliveries_total", outcome="not_stored") == 0


async def test_a_route_is_the_same_below_the_prefix_and_so_is_the_page_itself(flow):
    await flow.client.get("/health/live")
    await flow.client.get("/api/health/live")
    await flow.client.get("/api")
    await flow.client.get("/api/metrics")
    assert await value(flow, "http_requests_total", handler="/health/live", method="GET", status="2xx") == 2
    assert await value(flow, "http_requests_total", handler="/", method="GET", status="2xx") == 1
    assert 'handler="/api' not in await flow.page()
    assert 'handler="/metrics' not in await flow.page()
