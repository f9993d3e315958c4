"""For each broken variant the shortest story in which it does harm, every time and not by luck."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from crash.service import Service
from crash.stage import Stage
from ledger.mutating import SOUND
from ledger.waiting import stopped, until

from .books import Found
from .faults import TOO_LATE
from .plan import Plan, Said
from .rig import OutboundRig, rigged

PLAN: Final = Plan(seed=7, sends=1, conversations=1)
FIRST: Final = Said(0, 0)
_WITHIN: Final = 40.0
_BUSY: Final = 1.5
"""Seconds that a call takes, less than anybody's patience."""
_ON_WIRE: Final = "select exists (select from outbox where state = 'wire')"


async def played(stage: Stage, story: str, mutant: str) -> Found:
    """What the comparison finds after the story of one mutant, played with that mutant or with our code as it is.

    WhatsApp says nothing of what it took, so that nothing is put right by a status. A mutant need not come to an end.
    """
    async with rigged(stage, PLAN, status_within=timedelta()) as rig:
        await rig.emulator.call("PATCH", "/behaviour", {"auto_statuses": False})
        await STORIES[story](rig, mutant)
        with suppress(*() if mutant == SOUND else (AssertionError,)):
            await rig.drained(seconds=_WITHIN)
        return await rig.compared()


async def _serving(rig: OutboundRig, mutant: str, *parts: str, failpoints: str = "", stops: bool = False) -> Service:
    command = ["outbound", mutant, *parts, *(["--stops"] if stops else [])]
    service = await rig.start(command, module="ledger.mutated", failpoints=failpoints)
    if "web" in parts:
        await service.ready(rig.client)
    return service


async def _died(service: Service) -> None:
    async with asyncio.timeout(_WITHIN):
        await service.ended()


async def _answer_is_late(rig: OutboundRig, mutant: str) -> None:
    await rig.faults.once({"action": "delay", "delay": TOO_LATE})
    await _serving(rig, mutant, "web", "worker")
    await rig.say(FIRST)
    await until(rig.faults.is_struck)


async def _answer_is_lost(rig: OutboundRig, mutant: str) -> None:
    await rig.faults.once({"action": "reset_after_accept"})
    await _serving(rig, mutant, "web", "worker")
    await rig.say(FIRST)
    await until(rig.faults.is_struck)


async def _killed_with_the_answer(rig: OutboundRig, mutant: str) -> None:
    """WhatsApp took the message, and the worker dies before it has written that down."""
    await _killed_at(rig, mutant, "outbox.settle:before")


async def _killed_at_the_fence(rig: OutboundRig, mutant: str) -> None:
    await _killed_at(rig, mutant, "outbox.to_wire:before")


async def _killed_at(rig: OutboundRig, mutant: str, point: str) -> None:
    await _serving(rig, mutant, "web")
    await rig.say(FIRST)
    await _died(await _serving(rig, mutant, "worker", failpoints=f"{point}=kill"))
    await rig.lapse(everything=True)
    await _serving(rig, mutant, "worker")


async def _comes_back(rig: OutboundRig, mutant: str) -> None:
    """A worker stands still with its claim, which ends. Another sends the message, and in this moment it goes on."""
    await rig.faults.once({"action": "delay", "delay": _BUSY})
    sleeper, _ = await asyncio.gather(_serving(rig, mutant, "worker", stops=True), _serving(rig, mutant, "web"))
    await rig.say(FIRST)
    await stopped(sleeper)
    await rig.lapse(everything=True)
    await _serving(rig, mutant, "worker")
    await rig.until(_ON_WIRE)
    sleeper.go_on()


async def _killed_after_the_answer(rig: OutboundRig, mutant: str) -> None:
    """The API has answered that it has the message, and dies."""
    web = await _serving(rig, mutant, "web")
    await rig.say(FIRST)
    await web.kill()
    await _serving(rig, SOUND, "web", "worker")


STORIES: Final[Mapping[str, Callable[[OutboundRig, str], Awaitable[None]]]] = {
    "requeue_on_read_timeout": _answer_is_late,
    "reaper_requeues_wire": _killed_with_the_answer,
    "no_fence": _killed_at_the_fence,
    "no_token_check": _comes_back,
    "ack_without_commit": _killed_after_the_answer,
    "retry_decorator_on_send": _answer_is_lost,
}
