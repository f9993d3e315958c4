"""The bot while people take over, workers die, and its model fails; and broken variants of it.

    python -m ledger.bot.run [--long] [--seed N]

The last line is one JSON object: `spoke_after_takeover`, `lost_turns`, `double_turns`, `bots_lost_for_good`,
`cap_overruns` and `canary_leaks` have to be 0, `max_silence_s` within the limit that is printed before. Exit code 1 if
anything is not as it must be, or if a broken variant was not noticed.
"""

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from crash.stage import Stage, staged
from warm import warmed

from . import limits, processes, races
from .books import Counts
from .mutants import MUTANTS, is_caught
from .stage import desk


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How much is played: `rounds` is how often each way to fail comes, `outage` for how many seconds."""

    races: int
    outage: float
    rounds: int
    budgets: int
    kills: int


SHORT: Final = Form(races=300, outage=5.0, rounds=1, budgets=8, kills=1)
LONG: Final = Form(races=2_000, outage=30.0, rounds=3, budgets=40, kills=5)


async def _here(stage: Stage, form: Form, seed: int) -> tuple[Counts, int]:
    """What is played in this process; and how many of the broken variants were noticed."""
    with ExitStack() as stack:
        url = await asyncio.to_thread(stack.enter_context, stage.database())
        async with desk(url) as own:
            counts = _told("races", await races.races(own, form.races, seed))
            counts += _told("deaths", await races.deaths(own))
            counts += _told("budgets", await limits.budgets(own, form.budgets))
            counts += _told("failures", await limits.failures(own))
            counts += _told("canaries", await limits.canaries(own))
            noticed = 0
            for name, broken in MUTANTS.items():
                found, ours = await is_caught(own, name)
                caught = getattr(found, broken.fault) > 0 and ours.is_sound(silence=0.0)
                noticed += caught
                _say(f"{name}: {'caught' if caught else 'NOT CAUGHT'}")
    return counts, noticed


async def _in_processes(stage: Stage, form: Form, seed: int) -> Counts:
    counts = Counts()
    for _ in range(form.kills):
        async with processes.rigged(stage, seed) as rig:
            counts += _told("kills", await processes.kills(rig))
    async with processes.rigged(stage, seed) as rig:
        counts += _told("outage", await processes.outage(rig, seconds=form.outage, rounds=form.rounds))
    return counts


async def _everything(stage: Stage, form: Form, seed: int) -> bool:
    """Prints the last line; True if all is well."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    counts, noticed = await _here(stage, form, seed)
    counts += await _in_processes(stage, form, seed)
    _say(f"{noticed} of {len(MUTANTS)} broken variants were noticed; the limit of silence is {processes.SILENCE:.1f} s")
    _say(counts.line())
    return counts.is_sound(silence=processes.SILENCE) and noticed == len(MUTANTS)


def _told(what: str, counts: Counts) -> Counts:
    _say(f"{what}: {counts.line()}{''.join(f' {one};' for one in counts.unlike_expected)}")
    return counts


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for the terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ledger.bot.run", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"{LONG.races} races and a longer outage")
    parser.add_argument("--seed", type=int, help="of the order of races")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    form = LONG if options.long else SHORT
    _say(f"seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="inbox-ledger-") as folder,
        warmed() as warm,
        staged(Path(folder), warm, chance=seed) as stage,
    ):
        is_well = asyncio.run(_everything(stage, form, seed))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
