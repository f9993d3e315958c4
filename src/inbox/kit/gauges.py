"""Metrics that are read at the moment of a scrape: who has a state to show hands over a function that reads it.

Reading must be quick and must not wait: it happens on the event loop, in the middle of the answer to Prometheus.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inbox.ports.cache import CacheStats
from inbox.ports.monitoring import CircuitState

_STATES = {"closed": 0, "half_open": 1, "open": 2}


class Calls(msgspec.Struct, frozen=True):
    """Calls through a guard: `running` have a slot, `waiting` wait for one."""

    running: int
    waiting: int


class Connections(msgspec.Struct, frozen=True):
    """A pool: connections in use, kept idle, and at most; `waiting` callers got none yet."""

    used: int
    idle: int
    waiting: int
    most: int


class Listening(msgspec.Struct, frozen=True):
    """Who listens to what changes, and for how many seconds a transaction has kept the events from going on."""

    listeners: int
    held_back: float


class Gauges(Collector):
    """The names of guards, pools, circuits and families are fixed by the code: as labels they are few."""

    def __init__(self) -> None:
        self.calls: dict[str, Callable[[], Calls]] = {}
        self.connections: dict[str, Callable[[], Connections]] = {}
        self.databases: dict[str, Callable[[], Connections]] = {}
        self.circuits: Callable[[], Mapping[str, CircuitState]] = dict
        self.cache: Callable[[], CacheStats | None] = lambda: None
        self.feed: Callable[[], Listening | None] = lambda: None

    def describe(self) -> Iterator[Metric]:
        """Nothing is read while this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from _pools("inbox_upstream_connections", "Connections to another service.", "name", self.connections)
        yield from _pools("inbox_database_connections", "Connections to PostgreSQL.", "pool", self.databases)
        yield from self._circuits()
        if (stats := self.cache()) is not None:
            yield from _cache(stats)
        if (listening := self.feed()) is not None:
            yield GaugeMetricFamily("inbox_event_listeners", "Connections that events go to.", listening.listeners)
            yield GaugeMetricFamily(
                "inbox_event_log_held_back_seconds", "So long has a writer kept events waiting.", listening.held_back
            )

    def _calls(self) -> Iterator[Metric]:
        calls = GaugeMetricFamily("inbox_upstream_calls_in_flight", "Calls at this moment.", labels=["name", "state"])
        for name, read in self.calls.items():
            now = read()
            calls.add_metric([name, "running"], now.running)
            calls.add_metric([name, "waiting"], now.waiting)
        yield calls

    def _circuits(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("inbox_circuit_state", "0 closed, 1 half open, 2 open.", labels=["circuit"])
        rejected = CounterMetricFamily(
            "inbox_circuit_rejections", "Calls that an open circuit refused.", labels=["circuit"]
        )
        for name, circuit in self.circuits().items():
            states.add_metric([name], _STATES[circuit.state])
            rejected.add_metric([name], circuit.rejected_count)
        yield states
        yield rejected


def _pools(name: str, what: str, label: str, pools: Mapping[str, Callable[[], Connections]]) -> Iterator[Metric]:
    connections = GaugeMetricFamily(name, what, labels=[label, "state"])
    most = GaugeMetricFamily(f"{name}_max", f"{what} At most.", labels=[label])
    for pool, read in pools.items():
        now = read()
        connections.add_metric([pool, "used"], now.used)
        connections.add_metric([pool, "idle"], now.idle)
        connections.add_metric([pool, "waiting"], now.waiting)
        most.add_metric([pool], now.most)
    yield connections
    yield most


def _cache(stats: CacheStats) -> Iterator[Metric]:
    entries = GaugeMetricFamily("inbox_cache_entries", "Entries of this process.", labels=["family"])
    fetches = CounterMetricFamily("inbox_cache_fetches", "Questions to the cache.", labels=["family", "outcome"])
    for family in stats.families:
        entries.add_metric([family.family], family.size)
        # What the shared tier answered was a miss of this process first; here each question counts once.
        missed = family.misses - family.shared_hits
        for outcome, count in (("hit", family.hits), ("shared_hit", family.shared_hits), ("miss", missed)):
            fetches.add_metric([family.family, outcome], count)
    yield entries
    yield fetches
