"""Logs and metrics, configured here only. Every log line, ours and other libraries', passes the same redaction."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    Summary,
    generate_latest,
)
from structlog.typing import Processor

from inbox.domain.errors import CircuitOpen
from inbox.domain.work import WorkKind
from inbox.kit.gauges import Gauges
from inbox.kit.meters import PipelineMeters, ProcessMeters
from inbox.kit.redaction import redacted
from inbox.kit.tracing import NoSpans, Spans

# They write whole URLs at INFO, and the URLs of media are signed.
_TALKATIVE: Final = ("httpx", "httpcore", "aiohttp.client", "aiohttp.access")
_COLOURS: Final = {
    "debug": "\x1b[2m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
"""Dim, yellow, red, bold red; the usual level stays as it is."""
_PLAIN: Final = "\x1b[0m"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FINE_DURATIONS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    *(2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)


def configure(level: str = "INFO", *, json: bool = True, colours: bool = False) -> None:
    """Logs to standard error, one line for each event: JSON, or text for people. Called once by main.

    `colours` are for texts at a terminal. `level` is a name of the standard library's. Context variables of structlog
    (request, trace) are added to each line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _json if json else partial(_text, colours=_COLOURS if colours else {})
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    foreign: list[Processor] = [*shared[:-1], structlog.stdlib.add_logger_name]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redact,
        lambda logger, method, event: render(logger, method, event).decode(),
    ]
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(structlog.stdlib.ProcessorFormatter(processors=last, foreign_pre_chain=foreign))
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(number)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def redact(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Structlog processor, the last one before rendering: what `inbox.kit.redaction` lets through."""
    return dict(redacted(event))


def _json(_: object, __: str, event: MutableMapping[str, object]) -> bytes:
    return msgspec.json.encode(event)


def _text(_: object, __: str, event: MutableMapping[str, object], *, colours: Mapping[str, str]) -> bytes:
    """One line for people; control characters of foreign origin cannot move the cursor."""
    trace = str(event.pop("exception", ""))
    level = str(event.get("level", ""))
    head = [str(event.pop(name, "")) for name in ("timestamp", "level", "event")]
    line = " ".join([*head, *(f"{name}={value!r}" for name, value in event.items())])
    lines = [line, *(f"    {part}" for part in trace.splitlines())]
    text = "\n".join(part.encode("unicode_escape").decode() for part in lines)
    return (f"{colours[level]}{text}{_PLAIN}" if level in colours else text).encode()


class _Series(NamedTuple):
    """What one kind of answer of one route is counted with."""

    requests: Counter
    received: Summary
    sent: Summary
    took: Histogram


class Metrics:
    """All metrics of one process, in a registry of its own, and its traces.

    Labels never hold ids of people, accounts or messages, nor words that come from outside.

    The names of the HTTP metrics are those that existing dashboards use.
    """

    def __init__(self, page: str = "/metrics", spans: Spans | None = None) -> None:
        """`page` is the route of the metrics themselves, which is not counted. Without `spans` nothing is traced."""
        self.spans: Spans = spans or NoSpans()
        self.registry = registry = CollectorRegistry()
        self.page = page
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        route, verb = ["handler"], ["handler", "method"]
        self._requests = Counter("http_requests_total", "Requests.", [*verb, "status"], registry=registry)
        self._received = Summary("http_request_size_bytes", "Bodies received.", route, registry=registry)
        self._sent = Summary("http_response_size_bytes", "Bodies sent.", route, registry=registry)
        self._took = Histogram(
            "http_request_duration_seconds", "Time to answer.", verb, buckets=_DURATIONS, registry=registry
        )
        self._took_finely = Histogram(
            "http_request_duration_highr_seconds", "Time to answer.", buckets=_FINE_DURATIONS, registry=registry
        )
        self._in_progress = Gauge("http_requests_inprogress", "Requests being answered.", verb, registry=registry)
        self._around: dict[tuple[str, str], AbstractContextManager[None]] = {}
        self._series: dict[tuple[str, str, int], _Series] = {}
        """As many as there are routes, verbs and kinds of answers: looking a series up costs as much as counting."""
        self._work = Counter("inbox_work_total", "Work done.", ["kind", "outcome"], registry=registry)
        self._work_took = Histogram(
            "inbox_work_duration_seconds", "Time of a work item.", ["kind"], buckets=_FINE_DURATIONS, registry=registry
        )
        for kind in WorkKind:
            self._work.labels(kind.value, "bug")
        self._cache_up = Gauge("inbox_cache_up", "1 while the tier answers.", ["tier"], registry=registry)
        self._bus_up = Gauge("inbox_bus_up", "1 while other processes are reached.", ["bus"], registry=registry)
        self._count_calls(registry)
        self.pipeline = PipelineMeters(registry)
        self.process = ProcessMeters(registry)
        self.gauges = Gauges()
        registry.register(self.gauges)

    def _count_calls(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "inbox_upstream_calls_total", "Attempts at other services.", ["name", "outcome"], registry=registry
        )
        self._retries = Counter(
            "inbox_upstream_retries_total", "Attempts after the first.", ["name"], registry=registry
        )
        self._circuit_changes = Counter(
            "inbox_circuit_changes_total", "Circuits that changed.", ["circuit", "state"], registry=registry
        )
        self._calls_took = Histogram(
            "inbox_upstream_call_duration_seconds",
            "Time of an attempt.",
            ["name"],
            buckets=_FINE_DURATIONS,
            registry=registry,
        )

    def in_progress(self, handler: str, method: str) -> AbstractContextManager[None]:
        """Around one request. `handler` is the route template; an empty one is an unknown route, not counted."""
        if not self._is_counted(handler):
            return nullcontext()
        known = (handler, _verb(method))
        around = self._around.get(known)
        if around is None:
            around = self._around[known] = self._in_progress.labels(*known).track_inprogress()
        return around

    def request(self, handler: str, method: str, status: int, took: float, sizes: tuple[int, int]) -> None:
        """One request answered: seconds, and bytes (received, sent)."""
        if not self._is_counted(handler):
            return
        known = (handler, _verb(method), status // 100)
        series = self._series.get(known)
        if series is None:
            series = self._series[known] = self._series_of(*known)
        series.requests.inc()
        series.received.observe(sizes[0])
        series.sent.observe(sizes[1])
        series.took.observe(took)
        self._took_finely.observe(took)

    def _series_of(self, handler: str, verb: str, hundreds: int) -> "_Series":
        return _Series(
            self._requests.labels(handler, verb, f"{hundreds}xx"),
            self._received.labels(handler),
            self._sent.labels(handler),
            self._took.labels(handler, verb),
        )

    def upstream(self, name: str, outcome: str, took: float, attempt: int = 1) -> None:
        """One attempt at another service, as `Guard` observes it: `ok`, `cancelled` or the class of the error.

        What an open circuit refused reached nobody: counted, but no repetition, and its instant no time of an attempt.
        """
        self._calls.labels(name, outcome).inc()
        if outcome == CircuitOpen.__name__:
            return
        self._retries.labels(name).inc(attempt > 1)
        self._calls_took.labels(name).observe(took)

    def work(self, kind: str, outcome: str, took: float) -> None:
        """One piece of durable work, in seconds."""
        self._work.labels(kind, outcome).inc()
        self._work_took.labels(kind).observe(took)

    def delivery(self, outcome: str, count: int = 1) -> None:
        """Webhook deliveries at the door: `stored`, `not_stored`, `refused`."""
        self.pipeline.delivery(outcome, count)

    def circuit(self, name: str, state: str) -> None:
        """A circuit changed to `closed`, `half_open` or `open`. Fits `Breakers(on_change=...)`."""
        self._circuit_changes.labels(name, state).inc()

    def cache_up(self, tier: str, *, is_up: bool) -> None:
        """A tier of the cache beside the process's own came or went."""
        self._cache_up.labels(tier).set(is_up)

    def bus_up(self, bus: str, *, is_up: bool) -> None:
        """The bus to the other processes came or went."""
        self._bus_up.labels(bus).set(is_up)

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _is_counted(self, handler: str) -> bool:
        return handler not in {"", self.page}


def _verb(method: str) -> str:
    """Anyone can send a method of any name; each would be a series for ever."""
    return method if method in _METHODS else "OTHER"
