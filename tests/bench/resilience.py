"""What a dead or slow dependency does to everybody else.

    just bench-resilience [--long] [--only NAME ...] [--share 0.25]

Real processes over loopback: `inbox serve`, PostgreSQL, Redis (if there is one), the emulators of Meta, Gemini and
Supabase Auth, and a load generator. The load is a share of what the machine carries. Each fault comes alone and four
times, with quiet before, between and after. Then the scenario of the existing system's documents: half a second more
and one failure in five for every upstream call. All files lie in memory where there is /dev/shm: a disk that stalls now
and then would decide the comparison, and is none of its faults. The last line is one JSON object.
Linux only: it reads /proc and stops processes.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import click

from .folders import folder, has_memory
from .resilience_faults import FAULTS, TRANSIENT, Fault
from .resilience_figures import (
    AFTER,
    BEFORE,
    FIGURES,
    HIT,
    SETTLED,
    Machine,
    Phase,
    Round,
    against,
    during,
    is_error,
    middle,
    noise,
    of,
    recovery,
    seconds,
    stats,
    within,
)
from .resilience_plan import ENDPOINTS, NO_ANSWER, READS, WEBHOOK, Plan, Sample, Seen
from .resilience_stage import Load, Stage, loaded, staged
from .resilience_tables import fault_table, published_table

_WARM_UP: Final = 3.0
_QUIET: Final = 12.0
_ROUNDS: Final = 4
_LONG_ROUNDS: Final = 12
_CALIBRATED: Final = 5.0
_TOKENS_A_ROUND: Final = 4
"""For each of the people, one first sign-in a second."""
_SENDS, _BOT, _SIGN_INS = 2.0, 1.0, 1.0
_WAITED_FOR: Final = 75.0
"""For the first success of a pipeline."""
_SETTLES_WITHIN: Final = 30.0
_OK: Final = 200
_RATE_MOST: Final = 400.0
_DRAINED: Final = "select count(*) from deliveries where state = 'open'"
_STORED: Final = "select wa_message_id from messages where wa_message_id like 'wamid.BENCH.{label}.%'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [fault.name for fault in FAULTS]
    parser.add_argument(
        "--long", action="store_true", help=f"{_LONG_ROUNDS} rounds of each fault in place of {_ROUNDS}"
    )
    parser.add_argument("--only", action="append", choices=[*names, "transient"], help="only these (repeatable)")
    parser.add_argument("--share", type=float, default=0.25, help="of the rate that the machine carries (default 0.25)")
    parser.add_argument("--keep-log", type=Path, help="copy the service's log there")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = given.only or [*names, "transient"]
    with folder(in_memory=True) as place, staged(place) as stage:
        try:
            found = Bench(stage, share=given.share, rounds=_LONG_ROUNDS if given.long else _ROUNDS).run(wanted)
        finally:
            if given.keep_log:
                given.keep_log.write_bytes(stage.log.read_bytes())
    click.echo(json.dumps(found))


class Bench:
    def __init__(self, stage: Stage, *, share: float, rounds: int) -> None:
        self._stage = stage
        self._rounds = rounds
        self._share = share
        self._rate = 0.0
        self._load: Load | None = None
        self._machine = Machine(self._pids)

    def run(self, wanted: Iterable[str]) -> dict[str, Any]:
        self._calibrate()
        faults: dict[str, Any] = {}
        transient: dict[str, Any] = {}
        for fault in FAULTS:
            if fault.name not in wanted:
                continue
            if fault.name == "redis_stopped" and self._stage.redis is None:
                click.echo("\nredis_stopped: not run (no Redis server here, or no setting for one)")
                continue
            faults[fault.name] = self._fault(fault)
        if "transient" in wanted:
            transient = self._transient()
        return {"faults": faults, "transient": transient, "in_memory": has_memory(), "rate_per_s": round(self._rate, 1)}

    # --- the load -----------------------------------------------------------------------------------------------------

    def _calibrate(self) -> None:
        """What eight requests at a time come to is taken as the most."""
        plan = self._plan("calibration", rate=0.0)
        with loaded(plan) as load:
            time.sleep(_WARM_UP + _CALIBRATED)
            until = time.monotonic()
            seen = load.end()
        count = sum(until - _CALIBRATED <= sample.at < until for sample in seen.samples)
        self._complain(seen.samples)
        self._rate = min(_RATE_MOST, self._share * count / _CALIBRATED)
        click.echo(
            f"the machine carries {count / _CALIBRATED:.0f} requests/s; the load is {self._rate:.0f}/s, and "
            f"{_SENDS:.0f} sends, {_BOT:.0f} questions to the bot and {_SIGN_INS:.0f} first sign-in a second",
        )

    def _plan(self, label: str, *, rate: float) -> Plan:
        return Plan(
            url=self._stage.url,
            secret=self._stage.secret,
            label=label,
            world=self._stage.world,
            tokens=self._stage.tokens(),
            new_tokens=self._stage.tokens(each=_TOKENS_A_ROUND * self._rounds) if rate else [],
            rate=rate,
            sends=_SENDS,
            bot=_BOT,
            sign_ins=_SIGN_INS,
        )

    def _pids(self) -> Iterable[int]:
        stage = self._stage
        mine = [os.getpid(), stage.service.pid, stage.emulator.pid]
        return chain(mine, stage.postgres_pids(), [self._load.pid] if self._load else [])

    # --- one fault ----------------------------------------------------------------------------------------------------

    def _fault(self, fault: Fault) -> dict[str, Any]:
        rounds, seen = self._played(fault)
        fault_table(f"{fault.name}: {fault.what}", seen.samples, rounds, fault.affected)
        calm = of(seen.samples, [name for name in ENDPOINTS if name not in fault.affected])
        under_fire = calm or seen.samples
        lost, unanswered = self._lost(fault.name, seen)
        self._say_webhooks(seen, rounds, lost, unanswered)
        needy = of(seen.samples, fault.affected or ENDPOINTS)
        back = [self._say_recovery(needy, each) for each in rounds]
        say_statuses(during(seen.samples, rounds))
        return {
            **{f"{word}_ratio": middle(against(calm, rounds, figure)) for word, figure in FIGURES.items()},
            "p99_rounds": against(calm, rounds, FIGURES["p99"]),
            "p99_noise": noise(calm, rounds, FIGURES["p99"]),
            "errors_5xx": sum(
                is_error(sample)
                for each in rounds
                for sample in (*within(under_fire, each.hit), *within(under_fire, each.after))
            ),
            "lost": lost,
            "recovery_s": worst(back),
            "pipeline_recovery_s": worst([each.pipeline for each in rounds]),
            "others_cpu": [round(each.hit.others, 2) for each in rounds],
        }

    def _played(self, fault: Fault) -> tuple[list[Round], Seen]:
        rounds: list[Round] = []
        with loaded(self._plan(fault.name, rate=self._rate)) as load:
            self._load = load
            time.sleep(_WARM_UP)
            before = self._phase(BEFORE, lambda: time.sleep(_QUIET))
            for _ in range(self._rounds if fault.repeated else 1):
                rounds.append(self._round(fault, before))
                before = rounds[-1].settled()
            seen = load.end()
            self._load = None
        return rounds, seen

    def _round(self, fault: Fault, before: Phase) -> Round:
        with fault.inject(self._stage):
            hit = self._phase(HIT, lambda: time.sleep(fault.during))
        at, begun = time.time(), time.monotonic()
        pipeline = self._recovered(fault.recovered.format(at=at)) if fault.recovered else None
        time.sleep(SETTLED + _QUIET)
        return Round(
            before=before,
            hit=hit,
            after=Phase(AFTER, begun, time.monotonic(), self._machine.others()),
            pipeline=pipeline,
        )

    def _say_webhooks(self, seen: Seen, rounds: Sequence[Round], lost: int, unanswered: int) -> None:
        hooks = stats(during(of(seen.samples, [WEBHOOK]), rounds))
        silent = sum(sample.status == NO_ANSWER for sample in seen.samples)
        click.echo(
            f"  webhooks: {len(seen.offered)} offered, {seen.redelivered} delivered again, {unanswered} never taken, "
            f"{lost} lost; slowest answer during the fault {hooks.most:.0f} ms"
        )
        click.echo(f"  without an answer: {silent}; the generator was late by {1000 * seen.late:.0f} ms at most")

    def _say_recovery(self, samples: list[Sample], one: Round) -> float | None:
        windows = seconds(samples, one.before, one.after)
        back = recovery(seconds(samples, one.before, one.before), windows)
        said = " ".join(f"{window.bad}+{window.slow}/{window.count}" for window in windows[:12])
        click.echo(f"  after the end, second by second, failed + slow / all of those that need it: {said}")
        shown = "never" if back is None else f"{back:.0f} s"
        tail = "" if one.pipeline is None else f"; the first success of the pipeline behind it: {one.pipeline} s"
        click.echo(f"  normal again: {shown} after the end{tail}")
        return back

    def _phase(self, name: str, act: Callable[[], None]) -> Phase:
        self._machine.others()
        begun = time.monotonic()
        act()
        return Phase(name, begun, time.monotonic(), self._machine.others())

    def _recovered(self, statement: str) -> float | None:
        """Seconds until the statement finds something."""
        begun = time.monotonic()
        while time.monotonic() - begun < _WAITED_FOR:
            if self._stage.ask(statement):
                return round(time.monotonic() - begun, 2)
            time.sleep(0.25)
        return None

    def _lost(self, label: str, seen: Seen) -> tuple[int, int]:
        """Webhooks that are not in the database although they were taken in the end, and those never taken."""
        give_up = time.monotonic() + _SETTLES_WITHIN
        while self._stage.ask(_DRAINED) != ["0"]:
            if time.monotonic() > give_up:
                raise SystemExit("deliveries are still open: nothing can be said about what was lost")
            time.sleep(0.2)
        stored = self._stage.ask(_STORED.format(label=label))
        if len(stored) != len(set(stored)):
            raise SystemExit("a webhook was stored twice")
        return len(set(seen.offered) - set(stored)), len(seen.never_taken)

    def _complain(self, samples: Iterable[Sample]) -> None:
        """A bench that measures refusals measures nothing."""
        bad = [sample for sample in samples if sample.status != _OK]
        if bad:
            raise SystemExit(f"without any fault: {[(ENDPOINTS[s.endpoint], s.status) for s in bad[:5]]}")

    # --- everything shaky ---------------------------------------------------------------------------------------------

    def _transient(self) -> dict[str, Any]:
        rounds, seen = self._played(TRANSIENT)
        fault_table(f"{TRANSIENT.name}: {TRANSIENT.what}", seen.samples, rounds, TRANSIENT.affected)
        whole = during(seen.samples, rounds)
        say_statuses(whole)
        published_table(whole)
        lost, _ = self._lost(TRANSIENT.name, seen)
        cached = of(seen.samples, READS)
        return {
            "client_5xx_share": round(sum(map(is_error, whole)) / len(whole), 5),
            "cached_p95_ratio": middle(against(cached, rounds, FIGURES["p95"])),
            "cached_p95_rounds": against(cached, rounds, FIGURES["p95"]),
            "cached_p95_noise": noise(cached, rounds, FIGURES["p95"]),
            "requests": len(whole),
            "lost": lost,
        }


def worst(seconds_taken: Sequence[float | None]) -> float | None:
    """The longest of the rounds; None if one of them never came back."""
    found = [taken for taken in seconds_taken if taken is not None]
    return max(found) if len(found) == len(seconds_taken) else None


def say_statuses(samples: Iterable[Sample]) -> None:
    """What was not 200 while the fault lasted."""
    count = Counter((ENDPOINTS[sample.endpoint], sample.status) for sample in samples if sample.status != _OK)
    if count:
        said = ", ".join(f"{name} {status or 'no answer'}: {times}" for (name, status), times in sorted(count.items()))
        click.echo(f"  answers during the fault other than 200: {said}")


if __name__ == "__main__":
    main()
