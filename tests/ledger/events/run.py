"""Changes conversations, listens in every way while web sides die, and compares; then asks one process for speed.

    python -m ledger.events.run [--long] [--seed N] [--only story|crowds]

The last line is one JSON object. `missed`, `doubled`, `foreign` and `order_errors` are over all clients of the story;
`p50_ms` and `p99_ms` are from the answer to a commit until one of the busy clients has the event, with the idle ones
connected; `reconnect_s` is until a crowd that comes back at once has what it missed. Exit code 1 if anything was
missed, doubled, foreign or out of order, or if others met an error meanwhile.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from . import crowds, story
from .books import Fault
from .mutants import MUTANTS
from .stage import Stage, staged

SHORT: Final = story.Form(changes=15_000)
SMALL: Final = story.Form(changes=1_200, clients=12, accounts=3, talks=5)
LONG: Final = story.Form(changes=100_000)


async def _everything(stage: Stage, form: story.Form, crowd: crowds.Form, seed: int, only: str | None) -> bool:
    """Prints the last line; True if all is well."""
    report: dict[str, Any] = {"changes": 0, "clients": form.clients} | {fault.value: 0 for fault in Fault}
    is_sound = True
    if only in (None, "story"):
        told = await story.played(stage, form, seed, _say)
        _say(f"{told.heard} events heard over {told.connections} connections, {told.kills} kills, {told.resets} resets")
        _say(f"faults: {dict(told.faults)}")
        report |= {"changes": told.changes} | {fault.value: told.faults[fault] for fault in Fault}
        noticed = await _mutants(stage, seed)
        report |= {"mutants_caught": noticed, "mutants": len(MUTANTS)}
        is_sound = not told.faults and not told.resets and told.kills > 0 and noticed == len(MUTANTS)
    if only in (None, "crowds"):
        found = await crowds.measured(stage, crowd)
        _say(f"{found.errors} errors of others while {found.crowd} came back")
        report |= {"p50_ms": found.p50_ms, "p99_ms": found.p99_ms, "idle_kb_per_connection": found.idle_kb}
        report |= {"reconnect_s": found.reconnect_s}
        is_sound = is_sound and not found.errors
    _say(msgspec.json.encode(report).decode())
    return is_sound


async def _mutants(stage: Stage, seed: int) -> int:
    """How many of the broken variants were noticed."""
    noticed = 0
    for name, mutant in MUTANTS.items():
        told = await story.played(stage, msgspec.structs.replace(SMALL, mutant=name), seed, _say)
        noticed += told.faults[mutant.fault] > 0
        _say(f"{name}: {'caught' if told.faults[mutant.fault] else 'NOT CAUGHT'}: {dict(told.faults)}")
    return noticed


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for the terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ledger.events.run", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"{LONG.changes} changes")
    parser.add_argument("--seed", type=int, help="printed, so that a bad run can be repeated")
    parser.add_argument("--only", choices=("story", "crowds"))
    parser.add_argument("--crowd", type=int, default=5_000, help="those who come back at once; each takes a file")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    _say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="ledger-events-") as folder, staged(Path(folder)) as stage:
        form = LONG if given.long else SHORT
        is_sound = asyncio.run(_everything(stage, form, crowds.Form(crowd=given.crowd), seed, given.only))
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
