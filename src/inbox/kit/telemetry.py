"""Logs and metrics, configured here only. Every log line, ours and other libraries', passes the same redaction."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Final

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

from inbox.kit.redaction import redacted

# They write whole URLs at INFO, and the URLs of media are signed.
_TALKATIVE: Final = ("httpx", "httpcore", "aiohttp.client", "aiohttp.access")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATIONS: Final = (0.1, 0.5, 1.0)
_FINE_DURATIONS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    *(2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)
_CIRCUIT_STATES: Final = {"closed": 0, "half_open": 1, "open": 2}


def configure(level: str = "INFO", *, json: bool = True) -> None:
    """Logs to standard error, one line for each event: JSON, or text for people. Called once by main.

    `level` is a name of the standard library's. Context variables of structlog (request, account, conversation) are
    added to each line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _json if json else _text
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


def _text(_: object, __: str, event: MutableMapping[str, object]) -> bytes:
    """One line for people; control characters of foreign origin cannot move the cursor."""
    trace = str(event.pop("exception", ""))
    head = [str(event.pop(name, "")) for name in ("timestamp", "level", "event")]
    line = " ".join([*head, *(f"{name}={value!r}" for name, value in event.items())])
    lines = [line, *(f"    {part}" for part in trace.splitlines())]
    return "\n".join(part.encode("unicode_escape").decode() for part in lines).encode()


class Metrics:
    """All metrics of one process, in a registry of its own. Labels never hold ids of people, accounts or messages.

    The names of the HTTP metrics are those that existing dashboards use (`behaviour.md` 8 of the contract).
    """

    def __init__(self, page: str = "/metrics") -> None:
        """`page` is the route of the metrics themselves, which is not counted."""
        self.registry = registry = CollectorRegistry()
        self._page = page
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
        self._calls = Counter(
            "inbox_upstream_calls_total", "Attempts at other services.", ["name", "outcome"], registry=registry
        )
        self._calls_took = Histogram(
            "inbox_upstream_call_duration_seconds",
            "Time of an attempt.",
            ["name"],
            buckets=_FINE_DURATIONS,
            registry=registry,
        )
        self._work = Counter("inbox_work_total", "Work done.", ["kind", "outcome"], registry=registry)
        self._work_took = Histogram(
            "inbox_work_duration_seconds", "Time of a work item.", ["kind"], buckets=_FINE_DURATIONS, registry=registry
        )
        self._deliveries = Counter("inbox_deliveries_total", "Webhook deliveries.", ["outcome"], registry=registry)
        self._queue_age = Gauge(
            "inbox_queue_age_seconds", "Age of the oldest item that waits.", ["kind"], registry=registry
        )
        self._circuits = Gauge("inbox_circuit_state", "0 closed, 1 half open, 2 open.", ["circuit"], registry=registry)

    @contextmanager
    def in_progress(self, handler: str, method: str) -> Iterator[None]:
        """Around one request. `handler` is the route template; an empty one is an unknown route, not counted."""
        if not self._is_counted(handler):
            yield
            return
        with self._in_progress.labels(handler, _verb(method)).track_inprogress():
            yield

    def request(self, handler: str, method: str, status: int, took: float, sizes: tuple[int, int]) -> None:
        """One request answered: seconds, and bytes (received, sent)."""
        if not self._is_counted(handler):
            return
        method = _verb(method)
        self._requests.labels(handler, method, f"{status // 100}xx").inc()
        self._received.labels(handler).observe(sizes[0])
        self._sent.labels(handler).observe(sizes[1])
        self._took.labels(handler, method).observe(took)
        self._took_finely.observe(took)

    def upstream(self, name: str, outcome: str, took: float) -> None:
        """One attempt at another service, as `Guard` observes it: `ok`, `cancelled` or the class of the error."""
        self._calls.labels(name, outcome).inc()
        self._calls_took.labels(name).observe(took)

    def work(self, kind: str, outcome: str, took: float) -> None:
        """One piece of durable work, in seconds."""
        self._work.labels(kind, outcome).inc()
        self._work_took.labels(kind).observe(took)

    def delivery(self, outcome: str, count: int = 1) -> None:
        """Webhook deliveries: `stored`, `refused`, and what became of them."""
        self._deliveries.labels(outcome).inc(count)

    def queue_age(self, kind: str, seconds: float) -> None:
        """How long the oldest open item of a kind waits; 0 if none does."""
        self._queue_age.labels(kind).set(seconds)

    def circuit(self, name: str, state: str) -> None:
        """A circuit changed: `closed`, `half_open` or `open`. Fits `Breakers(on_change=...)`."""
        self._circuits.labels(name).set(_CIRCUIT_STATES[state])

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _is_counted(self, handler: str) -> bool:
        return handler not in {"", self._page}


def _verb(method: str) -> str:
    """Anyone can send a method of any name; each would be a series for ever."""
    return method if method in _METHODS else "OTHER"
