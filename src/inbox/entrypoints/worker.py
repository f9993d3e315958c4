"""The worker: one loop per kind of work, and what becomes of a failure.

Loops wake by a signal and look by themselves as well: polling alone is enough. Work that fails in an orderly way is due
again after a wait; work that fails in a way nobody foresaw keeps its lease, so that its lane counts the attempt and is
worked on alone next time. No failure ends a loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeAlias

import msgspec
import structlog

from inbox.domain.errors import InboxError, Kind, LeaseLost
from inbox.domain.events import Resync, WorkWaiting
from inbox.domain.work import Lane, WorkKind, back_off
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.records import HeadTaken
from inbox.services.bot import Bot
from inbox.services.ingest import Ingest
from inbox.services.outbound import Outbound

RETRIED: Final = frozenset({Kind.THROTTLED, Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.UNCERTAIN})
"""Kinds that pass by themselves: the lane is due again after a back-off."""
_INGEST_LANES: Final = 64

_log = structlog.stdlib.get_logger("inbox.worker")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many sends and bot turns are worked on at once, and the rhythm of the loops in seconds.

    `poll` is the longest rest, `drain` the time for work in hand after `stop`.
    """

    sends: int
    turns: int
    poll: float = 0.25
    heartbeat: float = 5.0
    reap: float = 2.0
    drain: float = 20.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work and the lanes that it holds. A text that `work` returns is its outcome, for the metrics."""

    lanes: Sequence[Lane]
    work: Callable[[], Awaitable[object]]


Start: TypeAlias = Callable[[Sequence[Lane]], Awaitable[Sequence[Job]]]
"""Makes jobs of claimed lanes."""


class Worker:
    """Runs until it is told to stop, then finishes what is on the wire."""

    def __init__(
        self,
        database: Database,
        events: Events,
        metrics: Metrics,
        limits: Limits,
        *,
        ingest: Ingest,
        outbound: Outbound,
        bot: Bot,
    ) -> None:
        self._database = database
        self._events = events
        self._metrics = metrics
        self._limits = limits
        self._ingest = ingest
        self._outbound = outbound
        self._bot = bot
        self._spans = metrics.spans
        self._wakes = {kind: asyncio.Event() for kind in WorkKind}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """No new claims; `run` returns when the work in hand is done."""
        self._stopping.set()
        for wake in self._wakes.values():
            wake.set()

    async def run(self) -> None:
        """Works until `stop`."""
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(self._listen())
            keeper = group.create_task(self._every(self._limits.reap, self._reap))
            loops = [
                group.create_task(self._loop(WorkKind.INGEST, self._ingest_jobs, slots=1, lanes=_INGEST_LANES)),
                group.create_task(self._loop(WorkKind.SEND, self._send_jobs, slots=self._limits.sends)),
                group.create_task(self._loop(WorkKind.TURN, self._turn_jobs, slots=self._limits.turns)),
            ]
            await asyncio.gather(*loops)
            listener.cancel()
            keeper.cancel()

    # --- loops --------------------------------------------------------------------------------------------------------

    async def _loop(self, kind: WorkKind, start: Start, *, slots: int, lanes: int = 1) -> None:
        """Claims lanes for free slots, `lanes` for each, and runs what `start` makes of them side by side."""
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as jobs:
            stopping = jobs.create_task(self._stopping.wait())
            while not self._stopping.is_set():
                if len(running) >= slots:
                    await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    continue
                for job in await self._next(kind, start, (slots - len(running)) * lanes):
                    task = jobs.create_task(self._run(job))
                    running.add(task)
                    task.add_done_callback(running.discard)
            await self._drain(running)

    async def _drain(self, running: set[asyncio.Task[None]]) -> None:
        if running:
            _, late = await asyncio.wait(running, timeout=self._limits.drain)
            for task in late:
                task.cancel()

    async def _next(self, kind: WorkKind, start: Start, most: int) -> Sequence[Job]:
        """What there is to do now. Rests when there is nothing, and when it cannot be found out."""
        self._wakes[kind].clear()
        try:
            claimed = await self._database.work.claim(kind, most)
            if claimed:
                return await self._started(claimed, start)
        except InboxError as error:
            _log.warning("claim_failed", kind=kind.value, code=error.code)
        except Exception:  # noqa: BLE001 - the boundary: a bug must not end the loop
            # What was claimed keeps its lease and comes alone next time.
            _log.exception("claim_failed", kind=kind.value)
        else:
            await _first(self._wakes[kind], self._limits.poll)
            return []
        await _first(self._stopping, back_off(1).total_seconds())
        return []

    async def _started(self, lanes: Sequence[Lane], start: Start) -> Sequence[Job]:
        try:
            return await start(lanes)
        except InboxError as error:
            await self._failed(lanes, error)
            return []

    async def _run(self, job: Job) -> None:
        begun = time.monotonic()
        kind = job.lanes[0].kind.value
        try:
            outcome = await self._outcome(job)
        except Exception:  # noqa: BLE001 - the boundary: a bug must not end the loop
            # The lease stays: the lane counts the attempt and comes alone next time.
            outcome = "bug"
            _log.exception("work_failed", kind=kind)
        self._metrics.work(kind, outcome, time.monotonic() - begun)

    async def _outcome(self, job: Job) -> str:
        try:
            async with self._held(job.lanes):
                result = await job.work()
        except InboxError as error:
            await self._failed(job.lanes, error)
            return error.code
        return str(result) if isinstance(result, str) else "done"

    async def _failed(self, lanes: Sequence[Lane], error: InboxError) -> None:
        if isinstance(error, LeaseLost):
            return
        _log.warning("work_postponed", kind=lanes[0].kind.value, code=error.code, lanes=len(lanes))
        if error.kind not in RETRIED:
            return
        try:
            for lane in lanes:
                await self._database.work.retry(lane, back_off(lane.retries + 1))
        except InboxError as again:
            _log.warning("lease_left_to_expire", kind=lanes[0].kind.value, code=again.code)

    @asynccontextmanager
    async def _held(self, lanes: Sequence[Lane]) -> AsyncIterator[None]:
        """Keeps the lease while the block runs."""
        extend = partial(self._database.work.extend, lanes)
        heartbeat = asyncio.create_task(self._every(self._limits.heartbeat, extend))
        try:
            yield
        finally:
            heartbeat.cancel()
            await asyncio.wait([heartbeat])

    async def _every(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await act()
            except InboxError as error:
                _log.warning("keeper_failed", code=error.code)
            except Exception:  # noqa: BLE001 - the boundary: a bug must not end the worker
                _log.exception("keeper_failed")

    async def _listen(self) -> None:
        async with self._events.subscribe() as signals:
            async for signal in signals:
                if isinstance(signal, WorkWaiting):
                    self._wakes[signal.kind].set()
                elif isinstance(signal, Resync):
                    for wake in self._wakes.values():
                        wake.set()

    # --- work ---------------------------------------------------------------------------------------------------------

    async def _ingest_jobs(self, lanes: Sequence[Lane]) -> Sequence[Job]:
        return [Job(lanes=lanes, work=lambda: self._ingest.work(lanes))]

    async def _turn_jobs(self, lanes: Sequence[Lane]) -> Sequence[Job]:
        return [Job(lanes=[lane], work=partial(self._turn, lane)) for lane in lanes]

    async def _turn(self, lane: Lane) -> str:
        with self._spans.span("turn", lane.traceparent) as span:
            outcome = await self._bot.work(lane)
            span.note("outcome", outcome)
            return outcome

    async def _send_jobs(self, lanes: Sequence[Lane]) -> Sequence[Job]:
        """The next message of each lane; a slow send holds its own lane and nobody else's."""
        return [
            Job(lanes=[taken.lane], work=partial(self._send, taken))
            for taken in await self._database.outbox.take_heads(lanes)
        ]

    async def _send(self, taken: HeadTaken) -> str:
        if taken.head is not None:
            with self._spans.span("send", taken.head.traceparent) as span:
                state = await self._outbound.deliver(taken.head, taken.lane)
                span.note("outcome", state.value)
                return state
        if taken.wait is not None:
            await self._database.work.retry(taken.lane, taken.wait)
            return "waits"
        await self._database.work.finish([taken.lane])
        return "nothing_to_send"

    async def _reap(self) -> None:
        if await self._database.outbox.reap():
            self._wakes[WorkKind.SEND].set()


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Returns when `event` is set, and after `seconds` in any case."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
