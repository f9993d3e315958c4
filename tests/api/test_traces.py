"""One trace from webhook to status, carried through the database; and nothing of it while tracing is off."""

import subprocess
import sys

import pytest
from dishka import Provider, Scope
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.conftest import a_caller
from api.flow import flowing
from builders import execute
from inbox.domain.access import Permission
from inbox.kit import tracing
from inbox.kit.otel import OpenTelemetry
from inbox.kit.tracing import NoSpans, Spans

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DELIVERED = "select 1 from message_statuses where status = 'delivered' and message_id is not null"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing_on(exporter: InMemorySpanExporter) -> Provider:
    provider = Provider(scope=Scope.APP)
    spans = OpenTelemetry(SimpleSpanProcessor(exporter), version="test")
    provider.provide(lambda: spans, provides=Spans, override=True)
    return provider


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def test_a_webhook_its_answer_by_the_bot_and_its_status_are_one_trace(
    applications, settings, database_url, engine, tmp_path, exporter, tracing_on
):
    async with flowing(applications, settings, database_url, engine, tmp_path, tracing_on) as flow:
        await flow.customer_writes("Bonjour", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        await flow.until("select 1 from outbox where state = 'accepted'")
        (sent,) = flow.sender.sent
        await flow.whatsapp_says("delivered", sent.wamid)
        await flow.until(DELIVERED)
    ours = [span for span in exporter.get_finished_spans() if trace_of(span) == TRACE]
    assert sorted(span.name for span in ours) == ["POST /webhook/whatsapp", "ingest", "send", "status", "turn"]
    outcomes = {span.name: dict(span.attributes or {}) for span in ours}
    assert outcomes == {
        "POST /webhook/whatsapp": {"status": 200},
        "ingest": {"outcome": "done"},
        "turn": {"outcome": "answered"},
        "send": {"outcome": "accepted"},
        "status": {"status": "delivered"},
    }
    others = [span for span in exporter.get_finished_spans() if trace_of(span) != TRACE]
    assert {"POST /webhook/whatsapp", "ingest"} <= {span.name for span in others}, "the status came in its own request"


async def test_what_a_person_sends_belongs_to_the_trace_of_the_request(
    applications, settings, database_url, engine, tmp_path, exporter, tracing_on
):
    async with flowing(applications, settings, database_url, engine, tmp_path, tracing_on) as flow:
        caller = await a_caller(engine, flow.account.account_id, Permission.MESSAGES_SEND)
        await execute(engine, "update conversations set window_expires_at = now() + interval '1 hour'")
        await flow.client.post(
            "/messages/send", json={"conversation_id": str(flow.conversation), "content": "Oui"}, headers=caller
        )
        await flow.until("select 1 from outbox where state = 'accepted'")
    spans = {span.name: trace_of(span) for span in exporter.get_finished_spans()}
    assert spans["send"] == spans["POST /messages/send"]


async def test_while_tracing_is_off_nothing_is_stored_for_it(applications, settings, database_url, engine, tmp_path):
    async with flowing(applications, settings, database_url, engine, tmp_path) as flow:
        await flow.customer_writes("Bonjour", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        await flow.until("select 1 from outbox where state = 'accepted'")
    stored = """select traceparent from deliveries union all select traceparent from lanes
                union all select traceparent from outbox"""
    assert {row.traceparent for row in await execute(engine, stored)} == {None}


def test_while_tracing_is_off_every_span_is_the_same_object_that_does_nothing():
    spans = NoSpans()
    with spans.span("turn", None) as first, spans.span("send", f"00-{TRACE}-00f067aa0ba902b7-01") as second:
        assert first is second
        assert tracing.current() is None


def test_without_its_library_everything_else_is_there():
    # Whether it is imported cannot be asked: redis-py imports it wherever it is installed.
    code = "import sys; sys.modules['opentelemetry'] = None; import inbox.main.serve, inbox.main.container"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


async def test_an_error_is_traced_by_its_class_and_never_with_its_words(exporter):
    spans = OpenTelemetry(SimpleSpanProcessor(exporter), version="test")
    with pytest.raises(ValueError, match="33600000001"), spans.span("send", None):
        raise ValueError("33600000001")
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert not span.events
    assert span.status.description is None
    assert not span.status.is_ok


@pytest.mark.parametrize(
    "odd",
    ["", "x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"01-{TRACE}-00f067aa0ba902b7-01"],
)
async def test_what_is_no_traceparent_begins_a_trace(exporter, odd):
    spans = OpenTelemetry(SimpleSpanProcessor(exporter), version="test")
    with spans.span("turn", odd):
        pass
    spans.record("ingest", odd, 1.0)
    (span,) = exporter.get_finished_spans()
    assert span.parent is None
