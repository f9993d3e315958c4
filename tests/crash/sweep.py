"""Kills the service at every failpoint once, or in many random ways: `python -m crash.sweep [--long N]`.

The last line is one JSON object: `points` that a kill came from, `rounds`, messages `lost` and `doubled`, anything else
that is `wrong`, rounds that `failed` to come to an end, rows that were given to a person as `unconfirmed`, `seconds`.
Exit code 1 if anything was lost, doubled or wrong, or a round failed.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from inbox.adapters.database.failpoints import POINTS
from warm import warmed

from .harness import Verdict, killed_at
from .oracle import Kind
from .stage import Stage, staged

PREPARED: Final = {
    "work.extend": "outbox.settle:before=delay:5.5",
    "work.retry": "commit.apply:before=raise",
    "outbox.reap": "outbox.settle:before=delay:5.5",
    "outbox.release": "outbox.to_wire:before=raise",
}
"""What has to go wrong before, so that the point is passed at all. The main job as played has no use for `work.finish`
and `commit.queue`: a service with such a point is killed from outside when it has done everything."""
_MOST_PASSAGES: Final = 6
_OUTSIDE: Final = 0.25
"""The share of random rounds that are killed from outside, at a random moment."""
_LONGEST: Final = 4.0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One round: where its process is to be killed, and after how many seconds at the latest."""

    point: str | None
    hit: int = 1
    kill_after: float | None = None

    @property
    def failpoints(self) -> str:
        if self.point is None:
            return ""
        method = self.point.partition(":")[0]
        before = f"{PREPARED[method]}," if method in PREPARED else ""
        return f"{before}{self.point}=kill@{self.hit}"

    def __str__(self) -> str:
        if self.point is None:
            return f"from outside after {self.kill_after} s"
        return f"{self.point} at passage {self.hit}"


def each_point() -> Iterator[Attempt]:
    for point in POINTS:
        yield Attempt(point=point)


def at_random(rounds: int, seed: int) -> Iterator[Attempt]:
    chance = random.Random(seed)  # noqa: S311 - which round is played is no secret
    for _ in range(rounds):
        if chance.random() < _OUTSIDE:
            yield Attempt(point=None, kill_after=round(chance.uniform(0.0, _LONGEST), 2))
        else:
            yield Attempt(point=chance.choice(POINTS), hit=chance.randint(1, _MOST_PASSAGES))


async def sweep(stage: Stage, attempts: Iterator[Attempt]) -> Counter[str]:
    """Plays them one after the other and says how each one ended."""
    totals: Counter[str] = Counter()
    points = set()
    for attempt in attempts:
        totals["rounds"] += 1
        verdict = await _round(stage, attempt)
        if verdict is None:
            totals["failed"] += 1
            continue
        totals["unconfirmed"] += verdict.unconfirmed
        totals.update(complaint.kind.value for complaint in verdict.complaints)
        if verdict.died:
            points.add(attempt.point)
        _say(f"{attempt}: {_told(verdict)}")
        for line in verdict.story:
            _say(f"    {line}")
    totals["points"] = len(points)
    return totals


async def _round(stage: Stage, attempt: Attempt) -> Verdict | None:
    """None if it was not drained or did not start again: then nothing can be said about what was lost."""
    verdict = None
    try:
        verdict = await killed_at(stage, attempt.failpoints, kill_after=attempt.kill_after)
    except* AssertionError as group:
        for failed in group.exceptions:
            _say(f"{attempt}: {failed}")
    return verdict


def _told(verdict: Verdict) -> str:
    how = "" if verdict.died else " (never passed; killed from outside)"
    found = "; ".join(map(str, verdict.complaints)) or "sound"
    return f"{found}, {verdict.on_wire} on the wire, {verdict.unconfirmed} unconfirmed{how}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for the terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.sweep", description=__doc__)
    parser.add_argument("--long", type=int, metavar="N", help="N random rounds instead of each point once")
    parser.add_argument("--seed", type=int, help="of the random rounds; printed, so that a bad run can be repeated")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    if options.long:
        _say(f"seed {seed}")
    attempts = at_random(options.long, seed) if options.long else each_point()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="inbox-crash-") as folder,
        warmed() as warm,
        staged(Path(folder), warm) as stage,
    ):
        totals = asyncio.run(sweep(stage, attempts))
    keys = ("points", "rounds", "lost", "doubled", "wrong", "failed", "unconfirmed")
    report = {**{key: totals[key] for key in keys}, "seconds": round(time.monotonic() - began, 1)}
    _say(msgspec.json.encode(report).decode())
    return 1 if any(totals[kind] for kind in (*Kind, "failed")) else 0


if __name__ == "__main__":
    sys.exit(main())
