"""A round of the main job with a kill in it: play, die, restart, drain, compare."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx
import msgspec

from . import people
from .evidence import Database, Emulator, read_rows, read_story, read_waiting
from .oracle import SENT, Complaint, Evidence, complaints, unconfirmed
from .service import LOOK_EVERY, Service
from .stage import NUMBER, NUMBER_ID, Stage

DRAINS_WITHIN: Final = 40.0
_QUICK: Final = {
    "latency": (0.01, 0.03),
    "sent_delay": (0.01, 0.03),
    "delivered_delay": (0.01, 0.05),
    "read_delay": (0.02, 0.08),
    "retry_delays": (0.1, 0.2, 0.4),
    "webhook_timeout": 5.0,
    "check_window": False,
    "duplicate_every": 3,
    "reorder": 0.03,
}
"""Statuses come at once and in disorder, every third delivery comes twice, and refusals are repeated quickly."""

_OPEN_WORK: Final = """
select (select count(*) from lanes where ver > done) + (select count(*) from deliveries where state = 'open')
       + (select count(*) from outbox where state in ('queued', 'claimed', 'wire', 'unknown'))
"""
# What the dead process had asked for may still be under way.
_ALONE: Final = """
select count(*) = 1 from pg_stat_activity where datname = current_database() and backend_type = 'client backend'
"""
# A minute goes by: leases are over, timers ring, and what is on the wire has been there too long.
_MINUTE: Final = """
with l as (update lanes set due = due - interval '60 s' where ver > done)
update outbox
set lease_until = lease_until - interval '60 s', wire_at = wire_at - interval '60 s',
    not_before = not_before - interval '60 s', updated_at = updated_at - interval '60 s',
    unknown_until = unknown_until - interval '60 s'
where state in ('queued', 'claimed', 'wire', 'unknown')
"""
# What is unknown keeps its followers waiting for 15 s, and is given to a person after ten minutes without an echo.
_FOLLOWERS: Final = """
with unknown as (
  update outbox set updated_at = updated_at - interval '15 s' where state = 'unknown' returning conversation_id::text
)
update lanes set due = now() where kind = 'send' and attempts = 0 and key in (select conversation_id from unknown)
"""
_TEN_MINUTES: Final = """
update outbox set unknown_until = unknown_until - interval '10 min'
where state = 'unknown' and not exists (select from deliveries where state = 'open')
"""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a round ended. `died` says that the failpoint killed the process, and not we from outside.

    `story` is told only if there are complaints.
    """

    died: bool
    complaints: list[Complaint]
    on_wire: int
    closed_by_echo: int
    unconfirmed: int
    story: list[str]


class World:
    """One database, the emulators, and the services that come and go on them."""

    def __init__(
        self, stage: Stage, environment: Mapping[str, str], database_url: str, client: httpx.AsyncClient
    ) -> None:
        self.client = client
        self.database = Database(database_url)
        self.emulator = Emulator(stage.graph_url, client)
        self._stage = stage
        self._environment = environment
        self._services: list[Service] = []

    async def open(self) -> None:
        """The emulator starts anew, with our number."""
        await self.emulator.call("POST", "/reset")
        await self.emulator.call("PATCH", "/behaviour", _QUICK)
        number = {"id": NUMBER_ID, "phone": NUMBER}
        await self.emulator.call("POST", "/wabas", {"name": "Atelier", "numbers": [number]})

    async def close(self) -> None:
        for service in self._services:
            await service.kill()

    async def start(self, failpoints: str = "", command: Sequence[str] = ("serve",)) -> Service:
        """`inbox serve`, or another command of it; not yet ready."""
        environment = {**self._environment, "INBOX_TEST_FAILPOINTS": failpoints}
        service = await Service.start(
            self._stage.warm, command, environment, self._stage.url, self._stage.folder / "inbox.log"
        )
        self._services.append(service)
        return service

    async def play(self) -> people.Said:
        return await people.play(self.emulator, self._stage.url, self.client)

    async def until(self, statement: str) -> None:
        """Looks until `statement` gives something true."""
        async with asyncio.timeout(DRAINS_WITHIN):
            answer = await self.database.value(statement)
            while not answer:
                await asyncio.sleep(LOOK_EVERY)
                answer = await self.database.value(statement)

    async def minute_after_the_kill(self) -> frozenset[str]:
        """The ids of the messages that were on the wire; then a minute passes. To be called when no worker runs."""
        on_wire = await self.database.ask("select id::text from outbox where state = 'wire'")
        await self.database.ask(_MINUTE)
        return frozenset(row[0] for row in on_wire)

    async def drained(self) -> None:
        """Waits until nothing is left to do on either side.

        Time passes for what is unknown, once the emulator is quiet.
        """
        try:
            async with asyncio.timeout(DRAINS_WITHIN):
                is_drained = await self._is_drained()
                while not is_drained:
                    await asyncio.sleep(LOOK_EVERY)
                    is_drained = await self._is_drained()
        except TimeoutError:
            waiting = "\n".join([*await read_waiting(self.database), *await read_story(self.database)])
            raise AssertionError(f"not drained after {DRAINS_WITHIN:.0f} s:\n{waiting}") from None

    async def _is_drained(self) -> bool:
        """The database's silence counts only if the emulator was silent before and after, with nothing in between."""
        before = await self.emulator.quiet()
        if before is None:
            return False
        if await self.database.value(_OPEN_WORK):
            await self.database.ask(_FOLLOWERS)
            await self.database.ask(_TEN_MINUTES)
            return False
        return await self.emulator.quiet() == before

    async def verdict(self, said: people.Said, on_wire: frozenset[str], *, died: bool) -> Verdict:
        """Compares both sides; to be called when all is drained."""
        rows = await read_rows(self.database)
        books = await self.emulator.read_books(said.texts)
        found = complaints(Evidence(books=books, rows=rows, posts=said.posts, on_wire=on_wire))
        ends = {row.id: row.state for row in rows.outbound}
        return Verdict(
            died=died,
            complaints=found,
            on_wire=len(on_wire),
            closed_by_echo=sum(ends[message_id] in SENT for message_id in on_wire),
            unconfirmed=unconfirmed(rows),
            story=await read_story(self.database) if found else [],
        )


@asynccontextmanager
async def world(stage: Stage, environment: Mapping[str, str], database_url: str) -> AsyncIterator[World]:
    """Killed when the block ends, whatever still runs."""
    async with httpx.AsyncClient(timeout=15.0, trust_env=False) as client:
        world = World(stage, environment, database_url, client)
        await world.open()
        try:
            yield world
        finally:
            await world.close()


@asynccontextmanager
async def fresh_world(stage: Stage) -> AsyncIterator[World]:
    """On a database of its own, a copy of the seeded one."""
    database = stage.database()
    url = await asyncio.to_thread(database.__enter__)
    try:
        environment = {**stage.environment, "INBOX_DATABASE_URL": url}
        async with world(stage, environment, url) as one:
            yield one
    finally:
        await asyncio.to_thread(database.__exit__, None, None, None)


async def killed_at(stage: Stage, failpoints: str, *, kill_after: float | None = None) -> Verdict:
    """Plays the main job on a service that `failpoints` kill, restarts it without them, and compares.

    A service that has done everything before its failpoint came is killed from outside; so is, after that many seconds,
    one with `kill_after`.
    """
    async with fresh_world(stage) as world, asyncio.TaskGroup() as group:
        first = await world.start(failpoints)
        playing = group.create_task(world.play())
        died = await _killed(world, first, playing, kill_after)
        await world.until(_ALONE)
        on_wire = await world.minute_after_the_kill()
        second = await world.start()
        await second.ready(world.client)
        said = await playing
        await world.drained()
        return await world.verdict(said, on_wire, died=died)


async def _killed(world: World, service: Service, playing: asyncio.Task[people.Said], kill_after: float | None) -> bool:
    """Returns when the service is dead: True if it was its failpoint."""
    ended = asyncio.create_task(service.ended())
    done = asyncio.create_task(_done(world, playing, kill_after))
    try:
        await asyncio.wait([ended, done], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await done
            await service.kill()
            return False
        assert ended.result() == -signal.SIGKILL, service.said()
        return True
    finally:
        done.cancel()
        await asyncio.wait([done, ended])


async def _done(world: World, playing: asyncio.Task[people.Said], kill_after: float | None) -> None:
    if kill_after is not None:
        await asyncio.sleep(kill_after)
        return
    await asyncio.wait([playing])
    await world.drained()
