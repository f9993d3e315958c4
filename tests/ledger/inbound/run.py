"""Offers numbered items while processes and the database die, and compares.

    python -m ledger.inbound.run [--long] [--seed N]

Then each broken variant of our code has to be caught by the same comparison. The last line is one JSON object; exit
code 1 if anything was lost, doubled, misplaced or went backwards, or if a broken variant was not noticed.
"""

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from crash.stage import Stage, staged
from ledger.fleet import Fleet, Pace, running
from warm import warmed

from .batches import WINDOW, windows
from .books import Fault, Found, owns_of
from .items import HOURS, Plan
from .mutants import MUTANTS
from .rig import InboundRig, rigged
from .scenarios import played

_FOR_PARKED: Final = 120.0
"""Seconds for statuses that wait for their message; the keeper of a worker looks every 2 s."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is. `rate` are new items a second at most."""

    items: int
    customers: int
    rate: float
    pace: Pace
    webs: int = 2
    workers: int = 2
    late: int = 40


SHORT: Final = Form(items=20_000, customers=300, rate=1_000, pace=Pace(kills=14, restarts=3, every=1.5))
LONG: Final = Form(items=1_000_000, customers=3_000, rate=1_200, pace=Pace(kills=210, restarts=16, every=5.0), late=400)


class Outcome(msgspec.Struct, frozen=True):
    found: Found
    kills: int
    restarts: int


def plan_of(form: Form, seed: int) -> Plan:
    base = int(time.time()) // 60 * 60 - (HOURS + 1) * 3600
    return Plan(seed=seed, items=form.items, base=base, customers=form.customers, late=form.late)


async def play(stage: Stage, form: Form, seed: int, say: Callable[[str], None]) -> Outcome:
    """One run from an empty database to the comparison."""
    async with rigged(stage, plan_of(form, seed), webs=form.webs) as rig:
        async with running(rig, form.pace, workers=form.workers) as fleet:
            async with asyncio.TaskGroup() as group:
                group.create_task(fleet.faults())
                await _offer_all(rig, fleet, form, say)
                fleet.calm.set()
            await rig.meta.settled()
            say(f"all answered after {fleet.kills} kills and {fleet.restarts} restarts; draining")
            await rig.drained(for_parked=_FOR_PARKED)
            if replayed := await rig.replayed():
                say(f"{replayed} deliveries were set aside after three deaths, and are replayed")
                await rig.drained()
        found = await rig.compared()
        say(f"{rig.ledger.counts()}: {found}")
        return Outcome(found, fleet.kills, fleet.restarts)


async def _offer_all(rig: InboundRig, fleet: Fleet, form: Form, say: Callable[[str], None]) -> None:
    """At the pace of the form; the last items wait until there were as many faults as asked for."""
    began = time.monotonic()
    plan = rig.plan
    offered = 0
    late: list[int] = []
    for new, batches in windows(plan):
        owns = owns_of(plan)[new.start // 5 : new.stop // 5]
        await rig.know([own for own in owns if not plan.is_late(own)])
        await rig.know(late)  # of the window before: their statuses are parked
        late = [own for own in owns if plan.is_late(own)]
        for batch in batches:
            await rig.meta.offer(batch)
            offered += len(batch.numbers)
            due = began + offered / form.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if new.stop == plan.items and offered >= plan.items - WINDOW // 10:
                await fleet.enough.wait()
        say(f"{new.stop} of {plan.items} items, {fleet.kills} kills, {fleet.restarts} restarts")
    await rig.know(late)


async def _all_mutants(stage: Stage, say: Callable[[str], None]) -> int:
    """How many of the broken variants were noticed."""
    noticed = 0
    for name in MUTANTS:
        found = await played(stage, name, name)
        is_caught = found.counts[MUTANTS[name].fault] > 0
        noticed += is_caught
        say(f"{name}: {'caught' if is_caught else 'NOT CAUGHT'}: {dict(found.counts)}")
    return noticed


async def _everything(stage: Stage, form: Form, seed: int) -> bool:
    """Prints the last line; True if all is well."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcome = await play(stage, form, seed, _say)
    noticed = await _all_mutants(stage, _say)
    counts = {fault.value: outcome.found.counts[fault] for fault in Fault}
    report = {"items": form.items, "kills": outcome.kills, "restarts": outcome.restarts, **counts}
    report |= {"mutants_caught": noticed, "mutants": len(MUTANTS)}
    _say(msgspec.json.encode(report).decode())
    return not any(counts.values()) and noticed == len(MUTANTS)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for the terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ledger.inbound.run", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"{LONG.items} items and {LONG.pace.kills} kills")
    parser.add_argument("--seed", type=int, help="printed, so that a bad run can be repeated")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    form = LONG if options.long else SHORT
    _say(f"seed {seed}: {form.items} items, at least {form.pace.kills} kills and {form.pace.restarts} restarts")
    with (
        tempfile.TemporaryDirectory(prefix="inbox-ledger-") as folder,
        warmed() as warm,
        staged(Path(folder), warm) as stage,
    ):
        is_well = asyncio.run(_everything(stage, form, seed))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
