"""For each broken variant the shortest story in which it does harm, every time and not by luck."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncpg

from crash.service import Service
from crash.stage import Stage
from ledger.mutating import SOUND
from ledger.waiting import stopped

from .books import Found, owns_of
from .items import NUMBERS, Plan, Said, expected
from .mutants import MUTANTS
from .rig import InboundRig, rigged

PLAN: Final = Plan(seed=7, items=20, base=1_700_000_000, customers=3)
"""The items of every story. Few customers, so that they meet."""
_MUTATED: Final = "ledger.mutated"
_WITHIN: Final = 25.0
_ONE_WAITS, _TWO_WAIT = (
    f"select count(*) >= {count} from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"  # noqa: S608
    for count in (1, 2)
)
_NOTHING_LEFT: Final = "select not exists (select from deliveries where state = 'open')"


async def played(stage: Stage, story: str, mutant: str) -> Found:
    """What the comparison finds after the story of one mutant, played with that mutant or with our code as it is."""
    async with rigged(stage, PLAN) as rig:
        await rig.know(owns_of(PLAN))
        if mutant in MUTANTS and (schema := MUTANTS[mutant].schema):
            await rig.database.ask(schema)
        await STORIES[story](rig, mutant)
        await rig.drained(seconds=_WITHIN)
        return await rig.compared()


async def _serving(rig: InboundRig, mutant: str, *parts: str, failpoints: str = "") -> Service:
    service = await rig.start(["inbound", mutant, *parts], module=_MUTATED, failpoints=failpoints)
    if "web" in parts:
        await service.ready(rig.client)
    return service


async def _whole(rig: InboundRig, mutant: str) -> None:
    """One webhook with all items."""
    await _serving(rig, mutant, "web", "worker")
    await rig.deliver(*range(PLAN.items))


async def _killed_after_the_answers(rig: InboundRig, mutant: str) -> None:
    web = await _serving(rig, mutant, "web")
    for numbers in (range(10), range(10, 20)):
        await rig.deliver(*numbers)
    await web.kill()
    await _serving(rig, SOUND, "web", "worker")


async def _two_at_once(rig: InboundRig, mutant: str) -> None:
    """Two workers have looked and not yet inserted: somebody holds the contacts and conversations until both wait."""
    await _serving(rig, mutant, "web", "worker")
    here, there = _of_both_numbers()
    await rig.deliver(*(n for n in range(PLAN.items) if n not in {here, there}))
    await rig.until(_NOTHING_LEFT)
    await rig.start(["inbound", mutant, "worker"], module=_MUTATED)
    connection = await asyncpg.connect(rig.database.url)
    try:
        async with connection.transaction():
            await connection.execute("select from contacts for update")
            await connection.execute("select from conversations for update")
            await rig.deliver(here, there)
            await rig.until(_ONE_WAITS)
            await rig.deliver(there, here)
            await rig.until(_TWO_WAIT)
    finally:
        await connection.close()
    await rig.until(_NOTHING_LEFT)


def _of_both_numbers() -> tuple[int, int]:
    """A message to each of our numbers."""
    rows = {n: expected(PLAN, n) for n in range(PLAN.items)}
    said = [(n, row.number) for n, row in rows.items() if isinstance(row, Said)]
    here, there = (next(n for n, number in said if number == ours.id) for ours in NUMBERS)
    return here, there


async def _backwards(rig: InboundRig, mutant: str) -> None:
    """The items one by one, so that the last status of a message comes first."""
    await _serving(rig, mutant, "web", "worker")
    for n in reversed(range(PLAN.items)):
        await rig.deliver(n)


async def _database_fails_once(rig: InboundRig, mutant: str) -> None:
    await _serving(rig, mutant, "web", "worker", failpoints="tx.apply:before=raise@1")
    await rig.deliver(*range(PLAN.items))


async def _twice(rig: InboundRig, mutant: str) -> None:
    await _serving(rig, mutant, "web", "worker")
    await rig.deliver(*range(PLAN.items))
    await rig.until(_NOTHING_LEFT)
    await rig.deliver(*reversed(range(PLAN.items)))


async def _comes_back(rig: InboundRig, mutant: str) -> None:
    """A worker stands still with its page. Its lease ends, another takes the lane and dies. Then it goes on."""
    sleeper, _ = await asyncio.gather(
        rig.start(["inbound", mutant, "worker", "--stops"], module=_MUTATED), _serving(rig, SOUND, "web")
    )
    here, there = _of_both_numbers()
    rest = [n for n in range(PLAN.items) if n not in {here, there}]
    await rig.deliver(here, *rest)
    await stopped(sleeper)
    await rig.deliver(here, there)
    await rig.lapse(everything=True)
    heir = await rig.start(["worker"], failpoints="tx.apply:before=kill")
    async with asyncio.timeout(_WITHIN):
        await heir.ended()
    sleeper.go_on()
    await sleeper.terminate()
    await rig.lapse(everything=True)
    await rig.start(["inbound", SOUND, "worker"], module=_MUTATED)


STORIES: Final[Mapping[str, Callable[[InboundRig, str], Awaitable[None]]]] = {
    "ack_before_commit": _killed_after_the_answers,
    "check_then_insert": _two_at_once,
    "plain_update_of_statuses": _backwards,
    "first_item_only": _whole,
    "swallowed_error_marked_done": _database_fails_once,
    "lease_without_fence": _comes_back,
    "first_number_for_all": _whole,
    "unread_by_delivery": _twice,
}
