"""What is seen while the service runs: where calls, statements, circuits and deliveries are counted, logged, traced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

import structlog
from dishka import AsyncContainer, Provider, Scope, provide

from inbox.adapters.database.postgres.engine import Timed
from inbox.adapters.database.postgres.ingest import Ingested
from inbox.domain.inbound import Severity
from inbox.entrypoints.queue_gauges import QueueGauges
from inbox.kit import loop_lag, tracing
from inbox.kit.breaker import Breakers
from inbox.kit.resilience import Observation
from inbox.kit.telemetry import Metrics
from inbox.kit.tracing import NoSpans, Spans
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError
from inbox.ports.cache import Cache
from inbox.ports.database import Database

_MOST_SHOWN: Final = 200
"""Characters of a slow statement."""

_accounts = structlog.stdlib.get_logger("inbox.accounts")
_calls = structlog.stdlib.get_logger("inbox.calls")
_circuits = structlog.stdlib.get_logger("inbox.circuits")
_database = structlog.stdlib.get_logger("inbox.database")


class Observing(Provider):
    """Metrics and traces of this process."""

    scope = Scope.APP

    @provide
    def metrics(self, runtime: Runtime, spans: Spans) -> Metrics:
        metrics = Metrics(page=runtime.settings.metrics.path, spans=spans)
        metrics.process.build(version("whatsapp-inbox"))
        return metrics

    @provide
    async def spans(self, runtime: Runtime) -> AsyncIterator[Spans]:
        endpoint = runtime.settings.otel.endpoint
        if endpoint is None:
            yield NoSpans()
            return
        if find_spec("opentelemetry") is None:
            raise SettingsError('INBOX_OTEL_ENDPOINT needs the extra "otel": pip install "whatsapp-inbox[otel]".')
        from inbox.kit.otel import OpenTelemetry  # noqa: PLC0415 - its libraries are an extra

        spans = OpenTelemetry.to(endpoint, version=version("whatsapp-inbox"))
        yield spans
        await asyncio.to_thread(spans.close)

    @provide
    def calls(self, metrics: Metrics) -> Callable[[Observation], None]:
        """Told of each attempt at another service."""

        def seen(attempt: Observation) -> None:
            metrics.upstream(attempt.name, attempt.outcome, attempt.took, attempt.attempt)
            log = _calls.info if attempt.outcome in {"ok", "cancelled"} else _calls.warning
            log(
                "call",
                upstream=attempt.name,
                outcome=attempt.outcome,
                ms=round(attempt.took * 1000, 1),
                attempt=attempt.attempt,
            )
            metrics.spans.record(f"call {attempt.name}", tracing.current(), attempt.took, outcome=attempt.outcome)

        return seen

    @provide
    def queues(self, database: Database, metrics: Metrics) -> QueueGauges:
        return QueueGauges(database, metrics)


def circuit_changed(metrics: Metrics) -> Callable[[str, str], None]:
    """Told of each circuit that changed."""

    def changed(name: str, state: str) -> None:
        metrics.circuit(name, state)
        log = _circuits.warning if state == "open" else _circuits.info
        log("circuit_changed", circuit=name, state=state)

    return changed


def timed(metrics: Metrics, pool: str, *, slow: float) -> Timed:
    """Told of each statement of a pool. From `slow` seconds on it is logged: without values, for it holds none."""
    metrics.process.pool(pool)

    def seen(statement: str, took: float) -> None:
        is_slow = took >= slow
        metrics.process.statement(pool, took, is_slow=is_slow)
        if is_slow:
            shown = " ".join(statement.split())[:_MOST_SHOWN]
            _database.warning("slow_statement", pool=pool, ms=round(took * 1000, 1), statement=shown)

    return seen


def ingested(metrics: Metrics) -> Callable[[Ingested], None]:
    """Told what became of deliveries."""
    meters, spans = metrics.pipeline, metrics.spans

    def seen(done: Ingested) -> None:
        parked = sum(status.is_parked for status in done.statuses)
        meters.items("message", done.messages)
        meters.items("status", len(done.statuses) - parked)
        meters.items("parked_status", parked)
        meters.items("unknown_number", done.unrouted)
        meters.items("set_aside", done.set_aside)
        for status in done.statuses:
            meters.status(status.word)
            spans.record("status", status.traceparent, 0.0, status=meters.known_status(status.word))
        for notice in done.notices:
            meters.notice(notice.severity)
            if notice.severity is Severity.CRITICAL:
                account = notice.account_id and str(notice.account_id)
                _accounts.warning("account_notice", field=notice.field, event_name=notice.event, account_id=account)
        for delivery in done.deliveries:
            meters.delivery(delivery.state)
            meters.lag(delivery.lag)
            spans.record("ingest", delivery.traceparent, delivery.lag, outcome=delivery.state)

    return seen


@asynccontextmanager
async def observed(container: AsyncContainer) -> AsyncIterator[None]:
    """While the block runs queues and the event loop are watched, and a scrape sees circuits and the cache."""
    metrics = await container.get(Metrics)
    metrics.gauges.circuits = (await container.get(Breakers)).inspect
    metrics.gauges.cache = (await container.get(Cache)).stats
    async with loop_lag.measured(metrics.process.loop_lag), (await container.get(QueueGauges)).running():
        yield
