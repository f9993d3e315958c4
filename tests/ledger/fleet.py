"""Web and worker processes under a supervisor, and whoever kills them and their database."""

import asyncio
import math
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import msgspec

from crash.service import Service
from inbox.main import embedded
from inbox.main.embedded_cluster import _server_processes

from .rig import Rig
from .waiting import until

_LAPSE_EVERY: Final = 0.5
_STARTS_AGAIN_AFTER: Final = 0.3
_STARTS_WITHIN: Final = 60.0
_OLD_ENOUGH: Final = 1.0
"""A process is killed when it has worked for so many seconds; before, it only starts."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How many kills and restarts there must be at least, and the mean seconds from one fault to the next.

    `webs` is the share of kills that hit a web process; of the others half hit one worker, half all of them. `ends` is
    no fault more than that.
    """

    kills: int
    restarts: int
    every: float
    webs: float = 0.6
    ends: bool = False


class Slot:
    """One place in the fleet: its process is started again whenever it ended."""

    def __init__(self, rig: Rig, command: Sequence[str], port: int | None = None) -> None:
        self._rig = rig
        self._command = command
        self._port = port
        self._service: Service | None = None
        self._since = math.inf

    @property
    def is_settled(self) -> bool:
        service = self._service
        return service is not None and service.is_running and time.monotonic() - self._since > _OLD_ENOUGH

    async def run(self) -> None:
        while True:
            self._since = math.inf
            service = self._service = await self._rig.start(self._command, port=self._port)
            try:
                if self._port is not None:
                    # A process that dies while it starts is started again as well.
                    with suppress(AssertionError, TimeoutError, httpx.HTTPError):
                        await service.ready(self._rig.client)
                self._since = time.monotonic()
                await service.ended()
            finally:
                await service.kill()
            await asyncio.sleep(_STARTS_AGAIN_AFTER)

    async def kill(self) -> bool:
        """SIGKILL; False if there was nothing alive to kill."""
        service = self._service
        if service is None or not service.is_running:
            return False
        await service.kill()
        return True


class Fleet:
    """Two web and two worker processes, say, and the faults that befall them."""

    def __init__(self, rig: Rig, pace: Pace, workers: int) -> None:
        self.kills = 0
        self.restarts = 0
        self.webs = [Slot(rig, ["serve", "--no-worker"], port) for port in rig.ports]
        self.workers = [Slot(rig, ["worker"]) for _ in range(workers)]
        self._rig = rig
        self._pace = pace
        self._chance = random.Random(f"{rig.seed}:faults")  # noqa: S311 - when a process dies is no secret
        self._servers = ExitStack()
        self.enough = asyncio.Event()
        self.calm = asyncio.Event()

    async def ready(self) -> None:
        await _settled([*self.webs, *self.workers])

    async def faults(self) -> None:
        """Until `calm`: processes die, and now and then the database. `enough` is set after as many as were asked for.

        Restarts are spread evenly among the kills.
        """
        pace = self._pace
        while not (self.calm.is_set() or (pace.ends and self.enough.is_set())):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.calm.wait(), pace.every * self._chance.uniform(0.5, 1.5))
            if self.calm.is_set():
                return
            if self.restarts < (self.kills + 1) * pace.restarts // max(1, pace.kills):
                await self._restart_database()
            else:
                await self._kill_some()
            if self.kills >= pace.kills and self.restarts >= pace.restarts:
                self.enough.set()

    async def time_passes(self) -> None:
        while True:
            await asyncio.sleep(_LAPSE_EVERY)
            await self._rig.lapse()

    async def _kill_some(self) -> None:
        """A web process, a worker, or all workers at once."""
        fate = self._chance.random()
        if fate < self._pace.webs:
            await self._kill([self._chance.choice(self.webs)])
        elif fate < (1 + self._pace.webs) / 2:
            await self._kill([self._chance.choice(self.workers)])
        else:
            await self._kill(self.workers)
            await self._rig.lapse(everything=True)

    async def _kill(self, slots: Sequence[Slot]) -> None:
        await _settled(slots)
        killed = sum(await asyncio.gather(*(slot.kill() for slot in slots)))
        self.kills += killed
        self._rig.ledger.add("kill", processes=killed)

    async def _restart_database(self) -> None:
        """kill -9 of all its processes, or an immediate shutdown; then it is started on the same files."""
        data_dir = self._rig.stage.server.data_dir
        is_shutdown = self._chance.random() < 0.5
        if is_shutdown:
            os.kill(_postmaster(data_dir), signal.SIGQUIT)
        else:
            for pid in _server_processes(data_dir):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._rig.ledger.add("restart", how="immediate" if is_shutdown else "kill -9")
        await asyncio.sleep(self._chance.uniform(0.0, 0.5))
        server = await asyncio.to_thread(embedded.start, data_dir)
        await asyncio.to_thread(self._servers.callback, server.stop)
        self.restarts += 1

    def close(self) -> None:
        self._servers.close()


@asynccontextmanager
async def running(rig: Rig, pace: Pace, *, workers: int) -> AsyncIterator[Fleet]:
    """All of it works; what is alive at the end is killed with the rig."""
    fleet = Fleet(rig, pace, workers)
    async with AsyncExitStack() as stack:
        stack.callback(fleet.close)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        keepers = [group.create_task(slot.run()) for slot in (*fleet.webs, *fleet.workers)]
        keepers.append(group.create_task(fleet.time_passes()))
        try:
            await fleet.ready()
            yield fleet
        finally:
            for keeper in keepers:
                keeper.cancel()


async def _settled(slots: Sequence[Slot]) -> None:
    async def look() -> bool:
        return all(slot.is_settled for slot in slots)

    await until(look, seconds=_STARTS_WITHIN)


def _postmaster(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().partition("\n")[0])
