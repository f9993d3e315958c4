"""What a scrape shows: bounded series, states read at that moment, and how late the loop is."""

import asyncio
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inbox.kit import loop_lag, tracing
from inbox.kit.gauges import Calls, Connections
from inbox.kit.telemetry import Metrics
from inbox.ports.cache import CacheStats, FamilyStats

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def page(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render()[0].decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    return page(metrics)[name, frozenset(labels.items())]


def test_what_comes_from_outside_makes_no_series_of_its_own() -> None:
    metrics = Metrics()

    def everything(word: str) -> None:
        metrics.request("/messages/{conversation_id}", word, 200, 0.1, (1, 1))
        metrics.request("", word, 404, 0.1, (1, 1))
        metrics.pipeline.status(word)

    everything("first")
    series = set(page(metrics))
    for number in range(200):
        everything(f"33600{number:06d}")
    assert set(page(metrics)) == series


def test_series_that_alerts_ask_for_are_there_from_the_start() -> None:
    metrics = Metrics()
    for outcome in ("stored", "not_stored", "refused", "done", "quarantined"):
        assert value(metrics, "inbox_deliveries_total", outcome=outcome) == 0
    for item in ("unknown_number", "set_aside"):
        assert value(metrics, "inbox_items_total", item=item) == 0
    for kind in ("ingest", "send", "turn"):
        assert value(metrics, "inbox_work_total", kind=kind, outcome="bug") == 0


def test_attempts_after_the_first_are_retries() -> None:
    metrics = Metrics()
    metrics.upstream("gemini", "ModelUnavailable", 0.5, 1)
    assert value(metrics, "inbox_upstream_retries_total", name="gemini") == 0
    metrics.upstream("gemini", "ok", 0.5, 2)
    assert value(metrics, "inbox_upstream_retries_total", name="gemini") == 1
    assert value(metrics, "inbox_upstream_calls_total", name="gemini", outcome="ok") == 1


def test_pools_and_guards_show_what_they_hold_at_the_moment_of_the_scrape() -> None:
    metrics, load = Metrics(), [Calls(0, 0)]
    metrics.gauges.calls["gemini"] = lambda: load[0]
    metrics.gauges.databases["main"] = lambda: Connections(3, 4, 5, 8)
    load[0] = Calls(2, 7)
    assert value(metrics, "inbox_upstream_calls_in_flight", name="gemini", state="running") == 2
    assert value(metrics, "inbox_upstream_calls_in_flight", name="gemini", state="waiting") == 7
    assert value(metrics, "inbox_database_connections", pool="main", state="used") == 3
    assert value(metrics, "inbox_database_connections", pool="main", state="idle") == 4
    assert value(metrics, "inbox_database_connections", pool="main", state="waiting") == 5
    assert value(metrics, "inbox_database_connections_max", pool="main") == 8


def test_each_question_to_the_cache_counts_once_wherever_it_was_answered() -> None:
    metrics = Metrics()
    family = FamilyStats(family="user", size=3, hits=10, misses=5, shared_hits=2, shared_misses=3)
    metrics.gauges.cache = lambda: CacheStats(size=3, keys=[], families=[family])
    found = {
        o: value(metrics, "inbox_cache_fetches_total", family="user", outcome=o) for o in ("hit", "shared_hit", "miss")
    }
    assert found == {"hit": 10, "shared_hit": 2, "miss": 3}
    assert value(metrics, "inbox_cache_entries", family="user") == 3


def test_the_version_is_shown() -> None:
    metrics = Metrics()
    metrics.process.build("1.2.3")
    assert 'inbox_build_info{python="3' in metrics.render()[0].decode()


class Heard:
    """What was observed, and a way to wait for it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.some = asyncio.Event()

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.some.set()


def block(seconds: float) -> None:
    """Keeps the loop from running."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_a_loop_that_is_blocked_is_late() -> None:
    heard = Heard()
    async with loop_lag.measured(heard, every=0.01), asyncio.timeout(10):
        block(0.2)
        await heard.some.wait()
    assert 0.15 < heard.seconds[0] < 5


async def test_the_watch_over_the_loop_ends_with_its_block() -> None:
    heard = Heard()
    async with loop_lag.measured(heard, every=0.001), asyncio.timeout(10):
        await heard.some.wait()
    heard.some.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await heard.some.wait()


@pytest.mark.parametrize(
    ("traceparent", "found"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-00f067aa0ba902b7-01-more", None),
        ("", None),
    ],
)
def test_only_a_well_formed_traceparent_names_a_trace(traceparent: str, found: str | None) -> None:
    assert tracing.trace_id(traceparent) == found


def test_the_trace_at_hand_is_that_of_the_innermost_block() -> None:
    with tracing.entered("outer"):
        with tracing.entered("inner"):
            assert tracing.current() == "inner"
        assert tracing.current() == "outer"
    assert tracing.current() is None
