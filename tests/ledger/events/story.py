"""The story: writers and clients while web sides die; then everybody's books are compared."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import aiohttp
import msgspec

from .books import Fault, Talk, compared
from .clients import Client
from .stage import Stage, Web, World, free_ports

_TOLD_EVERY: Final = 15.0
_DELAY: Final = 0.25
_CATCH_UP_WITHIN: Final = 30.0


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is. A web side is killed every `kill_every` seconds."""

    changes: int
    clients: int = 50
    writers: int = 3
    webs: int = 2
    accounts: int = 8
    talks: int = 25
    kill_every: float = 6.0
    mutant: str | None = None
    """A broken variant of the web sides, which lives: nobody is killed."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    changes: int
    heard: int
    kills: int
    connections: int
    resets: int
    faults: Counter[Fault]


async def played(stage: Stage, form: Form, seed: int, say: Callable[[str], None]) -> Told:
    chance = random.Random(seed)  # noqa: S311 - a story that can be told again
    world = await stage.fill(form.accounts, form.talks)
    ports = free_ports(form.webs)
    async with AsyncExitStack() as stack:
        webs = [await stack.enter_async_context(stage.web(port, form.mutant)) for port in ports]
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        rights = [
            frozenset(chance.sample(world.accounts, chance.randint(1, form.accounts - 1))) for _ in range(form.clients)
        ]
        clients = [Client(session, ports, await stage.key(sorted(may)), chance.randrange(10**9)) for may in rights]
        await asyncio.gather(*(client.begin() for client in clients))
        over = asyncio.Event()
        changes: Counter[Talk] = Counter()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.play(over))
            async with (
                _killed(webs, 0.0 if form.mutant else form.kill_every, chance) as kills,
                asyncio.TaskGroup() as writing,
            ):
                reporter = group.create_task(_report(changes, form, say))
                for n in range(form.writers):
                    writing.create_task(_written(stage, world, form, chance.randrange(10**9) + n, changes))
            reporter.cancel()
            over.set()
        last = await stage.last()
        with suppress(TimeoutError):  # who cannot catch up has missed something: the comparison says what
            async with asyncio.timeout(_CATCH_UP_WITHIN):
                await asyncio.gather(*(client.catch_up(last) for client in clients))
    of = {str(place.talk): str(place.account) for place in world.places}
    faults: Counter[Fault] = Counter()
    for client, may in zip(clients, rights, strict=True):
        faults += compared(changes, of, frozenset(map(str, may)), client.heard)
    return Told(
        changes=changes.total(),
        heard=sum(len(client.heard) for client in clients),
        kills=kills[0],
        connections=sum(client.connections for client in clients),
        resets=sum(client.resets for client in clients),
        faults=faults,
    )


async def _written(stage: Stage, world: World, form: Form, seed: int, changes: Counter[Talk]) -> None:
    share = form.changes // form.writers
    async for done in stage.written(world.places, changes=share, delay=_DELAY, seed=seed):
        changes.update(talk for talk, _ in done.changes)


@asynccontextmanager
async def _killed(webs: Sequence[Web], every: float, chance: random.Random) -> AsyncIterator[list[int]]:
    """Kills them one after the other while the block runs; the count is the first of the list. All live at its end."""
    kills = [0]

    async def kill() -> None:
        while every:
            await asyncio.sleep(every * (0.5 + chance.random()))
            web = chance.choice(webs)
            web.kill()
            kills[0] += 1
            await asyncio.sleep(chance.random())
            web.start()
            await web.ready()

    task = asyncio.create_task(kill())
    try:
        yield kills
    finally:
        task.cancel()
        await asyncio.wait((task,))
        for web in webs:
            web.revive()
            await web.ready()


async def _report(changes: Counter[Talk], form: Form, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_TOLD_EVERY)
        say(f"  {changes.total()} of {form.changes} changes committed")
