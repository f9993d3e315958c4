"""What a send costs, how fast a backlog leaves, and whether a number keeps its limit.

    just bench-outbound [--only PART ...]

One run, one machine: service, workers, embedded PostgreSQL (as it is shipped), WhatsApp's emulator with 80 ms
of latency and the load generator share its cores. Parts: `own` (POST /messages/send until WhatsApp has answered, less
what the median call of the same clients straight to the emulator takes: what the service takes, with all files in
memory where there is /dev/shm), `floor` (there as well, the same of a bare service that does the least: how much of
`own` the machine takes), `async` (there as well, with `Prefer: respond-async`, nothing is taken off), `disk` (these
once more with the files on the disk: what that adds), `drain` (10,000 messages in 2,000 conversations of 4 numbers
without a limit, one worker process, 400 sends at once: from the first message on the wire to the last outcome in the
database), `rate` (one number at 80/s, three worker processes: messages that the emulator took in each second, from the
second second to the end of the backlog). The last line is one JSON object. No root is needed. Tables go to standard
error.
"""

import argparse
import asyncio
import json
import random
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final, NamedTuple

import aiohttp
import click
import httpx

from .folders import folder, has_memory
from .outbound_stage import CONVERSATIONS, TOKEN, OutboundStage, staged

_SAID: Final = "Bonjour, votre commande est prête."
_SENDS: Final = ("own", "floor", "async")
_PARTS: Final = (*_SENDS, "disk", "drain", "rate")
_CLIENTS: Final = 4
_EACH_CLIENT: Final = 200
_WARM_UP: Final = 10
_BACKLOG: Final = 10_000
_RATE: Final = 80
_PACED: Final = 2_400
_WORKERS: Final = 3
_WITHIN: Final = 180.0
_PAGE: Final = 10_000
_LOOK_EVERY: Final = 0.5
_PAUSE: Final = 0.1
"""Seconds between two sends of one client, on average: desks, not a flood, and nobody keeps step with anybody."""


class World(NamedTuple):
    """What the clients know: the service, a key, whom to write to, and the address that the service calls."""

    url: str
    key: str
    conversations: Sequence[str]
    direct: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=_PARTS, help="only these parts (repeatable)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = given.only or _PARTS
    found: dict[str, Any] = {"in_memory": has_memory()}
    try:
        if set(_SENDS) & set(parts):
            with folder(in_memory=True) as place, staged(place) as stage:
                found |= _sent(stage, parts)
        if {"disk", "drain", "rate"} & set(parts):
            with folder(in_memory=False) as place, staged(place) as stage:
                found |= _on_disk(stage, parts)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    click.echo(json.dumps(found))


def _sent(stage: OutboundStage, parts: Sequence[str], where: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    stage.rate()
    with stage.everything() as url:
        world = World(url, stage.key, stage.conversations(), stage.messages_url())
        if "own" in parts:
            less = statistics.median(asyncio.run(_calls(world)))
            found |= _told(f"{where}own", asyncio.run(_sends(world, "")), less=less)
        if "async" in parts:
            found |= _told(f"{where}async", asyncio.run(_sends(world, "respond-async")))
    if "floor" in parts:
        less = statistics.median(asyncio.run(_calls(world)))
        with stage.floor() as url:
            found |= _told(f"{where}floor", asyncio.run(_bare_sends(url)), less=less)
    return found


def _on_disk(stage: OutboundStage, parts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = _sent(stage, _SENDS, "disk_") if "disk" in parts else {}
    stage.rate()
    if "drain" in parts:
        found["drain_per_s"] = _drained(stage)
    if "rate" in parts:
        found |= {"rate_limit_set": _RATE, "rate_limit_seen": _paced(stage)}
    return found


# --- a send -----------------------------------------------------------------------------------------------------------


def _told(name: str, took: Sequence[float], less: float = 0.0) -> dict[str, float]:
    hundredths = statistics.quantiles(took, n=100)
    p50, p99 = (round(1000 * (one - less), 2) for one in (hundredths[49], hundredths[98]))
    taken_off = f" without the {1000 * less:.1f} ms of the emulator" if less else ""
    click.echo(f"{name}: {len(took)} sends, p50 {p50} ms, p99 {p99} ms{taken_off}", err=True)
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99}


async def _sends(world: World, prefer: str) -> list[float]:
    """Seconds of each POST /messages/send."""
    headers = {"authorization": f"Bearer {world.key}", **({"prefer": prefer} if prefer else {})}
    bodies = [{"conversation_id": one, "content": _SAID} for one in world.conversations]
    return await _called(f"{world.url}/api/messages/send", headers, bodies, 202 if prefer else 200)


async def _bare_sends(url: str) -> list[float]:
    """Seconds of each send of the bare service."""
    bodies = [{"to": f"+{33600000001 + n}", "content": _SAID} for n in range(CONVERSATIONS)]
    return await _called(url, {}, bodies, 200)


async def _calls(world: World) -> list[float]:
    """Seconds of each call straight to the emulator."""
    message = {"messaging_product": "whatsapp", "type": "text", "text": {"body": _SAID}}
    bodies = [{**message, "to": f"+{33600000001 + n}"} for n in range(CONVERSATIONS)]
    return await _called(world.direct, {"authorization": f"Bearer {TOKEN}"}, bodies, 200)


async def _called(url: str, headers: dict[str, str], bodies: Sequence[object], status: int) -> list[float]:
    """Some clients, each with a pause between two calls. Any other status ends the measurement."""
    took: list[float] = []

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        pauses = random.Random(number)  # noqa: S311 - no secret
        for n in range(_WARM_UP + _EACH_CLIENT):
            begun = time.perf_counter()
            async with session.post(url, json=bodies[(number * _EACH_CLIENT + n) % len(bodies)]) as answer:
                said = await answer.text()
            if answer.status != status:
                raise SystemExit(f"{url} answered {answer.status}: {said}")
            if n >= _WARM_UP:
                took.append(time.perf_counter() - begun)
            await asyncio.sleep(pauses.expovariate(1 / _PAUSE))

    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as group:
        for number in range(_CLIENTS):
            group.create_task(client(number, session))
    return took


# --- a backlog --------------------------------------------------------------------------------------------------------


def _drained(stage: OutboundStage) -> float:
    stage.queue(_BACKLOG // CONVERSATIONS)
    with stage.worker():
        processor = stage.processor()
        seen = _finished(stage)
        used = processor.told(_BACKLOG, "send")
    click.echo(f"drain: {seen['accepted']} sends in {seen['seconds']:.1f} s; {used}", err=True)
    return round(seen["accepted"] / seen["seconds"], 1)


def _paced(stage: OutboundStage) -> float:
    """Messages a second, without the first one, in which a number catches up with its burst."""
    stage.rate(_RATE)
    (account,) = stage.rows.ask("select id from whatsapp_accounts order by phone_number_id limit 1")
    stage.queue(_PACED // 400, conversations=400, account=account["id"])
    since = httpx.get(f"{stage.graph}/_emu/ledger", params={"limit": 0}).raise_for_status().json()["last_serial"]
    with ExitStack() as stack:
        for _ in range(_WORKERS):
            stack.enter_context(stage.worker())
        _finished(stage)
    asked = {"after": since, "limit": _PAGE, "kind": "send"}
    entries = httpx.get(f"{stage.graph}/_emu/ledger", params=asked).raise_for_status().json()["entries"]
    times = sorted(datetime.fromisoformat(entry["time"]).timestamp() for entry in entries)
    later = [at for at in times if at >= times[0] + 1]
    seen = (len(later) - 1) / (later[-1] - later[0])
    busiest = max(sum(at <= one < at + 1 for one in times) for at in times)
    click.echo(f"rate: {len(times)} sends, {seen:.2f}/s after the first second, {busiest} in the busiest one", err=True)
    return round(seen, 2)


def _finished(stage: OutboundStage) -> dict[str, Any]:
    """Waits until nothing is open. Raises SystemExit unless all was accepted."""
    give_up = time.monotonic() + _WITHIN
    while (seen := stage.finished())["open"]:
        if time.monotonic() > give_up:
            raise SystemExit(f"the backlog does not end: {seen}")
        time.sleep(_LOOK_EVERY)
    (lost,) = stage.rows.ask("select count(*) as lost from outbox where state <> 'accepted'")
    if lost["lost"]:
        raise SystemExit(f"{lost['lost']} messages were not accepted")
    return seen


if __name__ == "__main__":
    main()
