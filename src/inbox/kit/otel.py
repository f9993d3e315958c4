"""Traces for OpenTelemetry: the only importer of it, and imported only where tracing is switched on (extra `otel`).

Spans carry names and outcomes, nothing else: exceptions are reported by their class, never with their words.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from inbox.kit import tracing

_EXPORT_SECONDS: Final = 5
_NANO: Final = 10**9


class OpenTelemetry:
    """Spans on their way to `processor`. `close` sends what is left."""

    is_on = True

    def __init__(self, processor: SpanProcessor, *, version: str) -> None:
        resource = Resource({"service.name": "whatsapp-inbox", "service.version": version})
        self._provider = TracerProvider(ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("inbox")

    @classmethod
    def to(cls, endpoint: str, *, version: str) -> "OpenTelemetry":
        """`endpoint` is a collector's, for OTLP over HTTP, like `http://localhost:4318`."""
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
        return cls(BatchSpanProcessor(exporter), version=version)

    @contextmanager
    def span(self, name: str, parent: str | None) -> Iterator["_Span"]:
        """Log lines inside carry the trace's id."""
        span = self._tracer.start_span(name, _context(parent) or Context())
        here = span.get_span_context()
        with (
            tracing.entered(_traceparent(here)),
            structlog.contextvars.bound_contextvars(trace_id=f"{here.trace_id:032x}"),
        ):
            try:
                yield _Span(span)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                span.end()

    def record(self, name: str, parent: str | None, seconds: float, **attributes: str | int) -> None:
        """Ends now, began `seconds` ago."""
        context = _context(parent)
        if context is None:
            return
        end = time.time_ns()
        begin = end - round(seconds * _NANO)
        self._tracer.start_span(name, context, attributes=attributes, start_time=begin).end(end)

    def close(self) -> None:
        """Sends what waits, for some seconds at most. Blocks."""
        self._provider.shutdown()


class _Span:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def note(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)


def _context(traceparent: str | None) -> Context | None:
    """What the SDK calls a parent; None begins a trace."""
    known = tracing.trace_id(traceparent or "")
    if known is None or traceparent is None:
        return None
    _, _, span_id, flags = traceparent.split("-")
    parent = SpanContext(int(known, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _traceparent(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
