"""Sends many messages through the API while WhatsApp, our processes and the database fail, and compares.

    python -m ledger.outbound.run [--long] [--seed N]

Then each broken variant of our code has to be caught by the same comparison. The last line is one JSON object:
`faulted` are sends that a fault of WhatsApp struck, `ambiguous` those that it took although the service did not know
(lost answers, dead workers), `closed_by_echo` those of them that a status brought to their end, `unconfirmed` what a
person is shown because nobody knows. Exit code 1 if anything was sent twice, lost, called failed although it arrived,
or out of order, if less than 99 % of the ambiguous were closed, or if a broken variant was not noticed.
"""

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from crash.stage import EMAIL, PASSWORD, Stage, staged
from ledger.fleet import Pace, running
from ledger.mutating import SOUND
from warm import warmed

from .books import Fault, Found
from .mutants import MUTANTS
from .plan import Plan
from .rig import OutboundRig, rigged
from .scenarios import played

_CLOSED_AT_LEAST: Final = 0.99
_FAULTED_AT_LEAST: Final = 0.1
_TOLD_EVERY: Final = 15.0


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is. `rate` are messages a second at most. Half of the clients are people."""

    sends: int
    conversations: int
    rate: float
    pace: Pace
    clients: int = 16
    webs: int = 2
    workers: int = 2


SHORT: Final = Form(
    sends=20_000, conversations=800, rate=250, pace=Pace(kills=14, restarts=3, every=4.0, webs=0.3, ends=True)
)
LONG: Final = Form(
    sends=200_000, conversations=5_000, rate=250, pace=Pace(kills=150, restarts=20, every=3.5, webs=0.3, ends=True)
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    found: Found
    faulted: int
    kills: int
    restarts: int

    @property
    def is_sound(self) -> bool:
        return not self.found.counts.total() and self.found.closed >= _CLOSED_AT_LEAST * self.found.ambiguous


async def play(stage: Stage, form: Form, seed: int, say: Callable[[str], None]) -> Outcome:
    """One run from an empty database to the comparison."""
    plan = Plan(seed=seed, sends=form.sends, conversations=form.conversations)
    async with rigged(stage, plan, webs=form.webs) as rig, asyncio.TaskGroup() as group:
        followers = [group.create_task(rig.taken.follow())]
        async with running(rig, form.pace, workers=form.workers) as fleet:
            await rig.faults.arm()
            followers.append(group.create_task(_told(rig, form, say)))
            credentials = [rig.token, await rig.signed_in(EMAIL, PASSWORD)] * (form.clients // 2)
            async with asyncio.TaskGroup() as troubles:
                troubles.create_task(fleet.faults())
                troubles.create_task(rig.faults.episodes(fleet.calm))
                await rig.clients.play(credentials, form.rate, fleet.enough)
                await rig.tried()
                fleet.calm.set()
            struck = await rig.faults.struck()
            say(f"all answered after {fleet.kills} kills and {fleet.restarts} restarts; draining; struck: {struck}")
            await rig.faults.end()
            await rig.drained()
            if replayed := await rig.replayed():
                say(f"{replayed} deliveries were set aside after three deaths, and are replayed")
                await rig.drained()
        for follower in followers:
            follower.cancel()
        found = await rig.compared()
        say(f"{dict(found.ends)}, {found.unknown} were unknown for a time: {found}")
        return Outcome(found=found, faulted=sum(struck.values()), kills=fleet.kills, restarts=fleet.restarts)


async def _told(rig: OutboundRig, form: Form, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_TOLD_EVERY)
        say(f"{len(rig.clients.answers)} of {form.sends} accepted, {len(rig.taken.sends)} taken by WhatsApp")


async def _all_mutants(stage: Stage, say: Callable[[str], None]) -> int:
    """How many of the broken variants were noticed, where our code as it is survives the same story."""
    noticed = 0
    for name in MUTANTS:
        found, ours = await played(stage, name, name), await played(stage, name, SOUND)
        is_caught = found.counts[MUTANTS[name].fault] > 0 and not ours.counts
        noticed += is_caught
        say(f"{name}: {'caught' if is_caught else 'NOT CAUGHT'}: {found}; our code: {ours}")
    return noticed


async def _everything(stage: Stage, form: Form, seed: int) -> bool:
    """Prints the last line; True if all is well."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcome = await play(stage, form, seed, _say)
    noticed = await _all_mutants(stage, _say)
    found = outcome.found
    report = {"sends": form.sends, "faulted": outcome.faulted, "kills": outcome.kills}
    report |= {fault.value: found.counts[fault] for fault in Fault}
    report |= {"ambiguous": found.ambiguous, "closed_by_echo": found.closed, "unconfirmed": found.unconfirmed}
    report |= {"mutants_caught": noticed, "mutants": len(MUTANTS)}
    _say(msgspec.json.encode(report).decode())
    is_hard_enough = outcome.faulted >= _FAULTED_AT_LEAST * form.sends
    return outcome.is_sound and is_hard_enough and noticed == len(MUTANTS)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for the terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ledger.outbound.run", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"{LONG.sends} sends and {LONG.pace.kills} kills")
    parser.add_argument("--seed", type=int, help="printed, so that a bad run can be repeated")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    form = LONG if options.long else SHORT
    _say(f"seed {seed}: {form.sends} sends, at least {form.pace.kills} kills and {form.pace.restarts} restarts")
    with (
        tempfile.TemporaryDirectory(prefix="inbox-ledger-") as folder,
        warmed() as warm,
        staged(Path(folder), warm, chance=seed) as stage,
    ):
        is_well = asyncio.run(_everything(stage, form, seed))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
