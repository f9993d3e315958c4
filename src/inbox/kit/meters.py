"""What is counted of the pipeline, from webhook to status, and of the process itself. `telemetry.Metrics` holds them.

Series that alerts ask for are there from the start, at 0: Prometheus does not see a counter's first step from nothing.
"""

import platform
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

LAGS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_STATEMENTS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LOOP: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_OUTCOMES: Final = ("stored", "not_stored", "refused", "done", "quarantined")
_ITEMS: Final = ("message", "status", "parked_status", "unknown_number", "set_aside")
_STATUSES: Final = ("sent", "delivered", "read", "failed")
_SEVERITIES: Final = ("info", "warning", "critical")
_OTHER: Final = "other"
"""Words that come from outside and are none of the known ones: each of its own would be a series for ever."""


class PipelineMeters:
    """Deliveries, what was in them, and what waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter("inbox_deliveries_total", "Webhook deliveries.", ["outcome"], registry=registry)
        self._lag = Histogram(
            "inbox_delivery_lag_seconds",
            "From the arrival of a delivery to its effects.",
            buckets=LAGS,
            registry=registry,
        )
        self._items = Counter("inbox_items_total", "New items of deliveries.", ["item"], registry=registry)
        self._statuses = Counter("inbox_message_statuses_total", "Statuses of sends.", ["status"], registry=registry)
        self._waiting = Gauge("inbox_queue_items", "Items that wait or are worked on.", ["kind"], registry=registry)
        self._age = Gauge("inbox_queue_age_seconds", "Age of the oldest item that waits.", ["kind"], registry=registry)
        self._backlog = Gauge(
            "inbox_backlog", "Rows in a state that should pass.", ["queue", "state"], registry=registry
        )
        self._oldest = Gauge("inbox_backlog_age_seconds", "Age of the oldest that waits.", ["queue"], registry=registry)
        self._read_at = Gauge(
            "inbox_queues_read_timestamp_seconds", "When the queues were last read.", registry=registry
        )
        self._silent = Gauge("inbox_silent_numbers", "Numbers that send and hear no webhook.", registry=registry)
        self._removed = Counter("inbox_rows_removed_total", "Old rows that were removed.", ["what"], registry=registry)
        self._notices = Counter(
            "inbox_account_notices_total", "What Meta said about accounts.", ["severity"], registry=registry
        )
        self._delivered = {outcome: self._deliveries.labels(outcome) for outcome in _OUTCOMES}
        for item in _ITEMS:
            self._items.labels(item)
        for status in (*_STATUSES, _OTHER):
            self._statuses.labels(status)
        for severity in _SEVERITIES:
            self._notices.labels(severity)

    def delivery(self, outcome: str, count: int = 1) -> None:
        """`stored`, `not_stored` and `refused` at the door; `done` and `quarantined` when they were worked on."""
        self._delivered[outcome].inc(count)

    def lag(self, seconds: float) -> None:
        """A delivery had its effects so long after it came."""
        self._lag.observe(seconds)

    def items(self, item: str, count: int) -> None:
        """New ones: `message`, `status`, `parked_status`, `unknown_number`, `set_aside`."""
        self._items.labels(item).inc(count)

    def status(self, word: str) -> None:
        """A new status of a message, in Meta's word."""
        self._statuses.labels(self.known_status(word)).inc()

    def known_status(self, word: str) -> str:
        """`word`, or `other` if it is none of the known ones."""
        return word if word in _STATUSES else _OTHER

    def notice(self, severity: str) -> None:
        """Meta said something new about a WABA, a number or a template: `info`, `warning` or `critical`."""
        self._notices.labels(severity).inc()

    def queue(self, kind: str, waiting: int, oldest: float) -> None:
        """Lanes of a kind: how many, and for how many seconds the oldest is due; 0 if none is."""
        self._waiting.labels(kind).set(waiting)
        self._age.labels(kind).set(oldest)

    def backlog(self, queue: str, states: Mapping[str, int], oldest: float | None = None) -> None:
        """Rows by state, and the age in seconds of the oldest that waits."""
        for state, count in states.items():
            self._backlog.labels(queue, state).set(count)
        if oldest is not None:
            self._oldest.labels(queue).set(oldest)

    def silent_numbers(self, count: int) -> None:
        """So many numbers send and hear no webhook."""
        self._silent.set(count)

    def removed(self, what: str, count: int) -> None:
        """Rows of a kind were removed because they were old."""
        self._removed.labels(what).inc(count)

    def queues_read(self, at: float) -> None:
        """All of these gauges were read at this time (Unix)."""
        self._read_at.set(at)


class ProcessMeters:
    """Statements, the event loop, and what is running."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._statements = Histogram(
            "inbox_database_statement_duration_seconds", "Statements.", ["pool"], buckets=_STATEMENTS, registry=registry
        )
        self._timed: dict[str, Histogram] = {}
        self._slow = Counter("inbox_database_slow_statements_total", "Slow statements.", ["pool"], registry=registry)
        self._loop = Histogram(
            "inbox_event_loop_lag_seconds", "How late a timer rang.", buckets=_LOOP, registry=registry
        )
        self._build = Info("inbox_build", "What is running.", registry=registry)

    def pool(self, name: str) -> None:
        """There is a pool of this name."""
        self._timed[name] = self._statements.labels(name)
        self._slow.labels(name)

    def statement(self, pool: str, seconds: float, *, is_slow: bool) -> None:
        self._timed[pool].observe(seconds)
        if is_slow:
            self._slow.labels(pool).inc()

    def loop_lag(self, seconds: float) -> None:
        self._loop.observe(seconds)

    def build(self, version: str) -> None:
        self._build.info({"version": version, "python": platform.python_version()})
