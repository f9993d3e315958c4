"""The worker: one loop per kind of work, and what becomes of a failure.

Loops wake by a signal and look by themselves as well: polling alone is enough. Work that fails in an orderly way is due
again after a wait; work that fails in a way nobody foresaw keeps its lease, so that its lane counts the attempt and is
worked on alone next time. No failure ends a loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import Context
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import msgspec
import structlog

from inbox.domain.errors import InboxError, Kind, LeaseLost
from inbox.domain.signals import Resync, WorkWaiting
from inbox.domain.work import Lane, WorkKind, back_off
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.monitoring import Gate
from inbox.ports.records import Claimed, HeadTaken, Outgoing
from inbox.services.bot import Bot
from inbox.services.ingest import Ingest
from inbox.services.media_files import MediaFiles
from inbox.services.outbound import Outbound
from inbox.services.read_receipts import ReadReceipts

RETRIED: Final = frozenset({Kind.THROTTLED, Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.UNCERTAIN})
"""Kinds that pass by themselves: the lane is due again after a back-off."""
_INGEST_LANES: Final = 64
_SHORT_REST: Final = 0.05
_PARTS: Final = 8
_FEWEST: Final = 2
_COMPANY_SECONDS: Final = 0.01
_LONGEST_WAITS: Final = {WorkKind.TURN: 5.0}
"""Seconds, for what must not wait long after an outage: a customer waits for the bot for two minutes at most."""

_log = structlog.stdlib.get_logger("inbox.worker")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many sends, bot turns, fetches of files and receipts are worked on at once; the rhythm of loops in seconds.

    `poll` is the longest rest, `drain` the time for work in hand after `stop`. `gates` are the circuits behind sends
    and turns, if there are any.
    """

    sends: int
    turns: int
    fetches: int = 4
    receipts: int = 4
    poll: float = 0.25
    heartbeat: float = 5.0
    reap: float = 2.0
    drain: float = 20.0
    gates: Mapping[WorkKind, Gate] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work and the lanes that it holds. A text that `work` returns is its outcome, for the metrics."""

    lanes: Sequence[Lane]
    work: Callable[[], Awaitable[object]]


Start: TypeAlias = Callable[[Sequence[Lane]], Awaitable[Sequence[Job]]]
"""Makes jobs of claimed lanes."""


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Who does the work of each kind."""

    ingest: Ingest
    outbound: Outbound
    bot: Bot
    media_files: MediaFiles
    receipts: ReadReceipts


class Worker:
    """Runs until it is told to stop, then finishes what is on the wire."""

    def __init__(
        self,
        database: Database,
        events: Events,
        metrics: Metrics,
        limits: Limits,
        services: Services,
    ) -> None:
        self._database = database
        self._events = events
        self._metrics = metrics
        self._limits = limits
        self._ingest = services.ingest
        self._outbound = services.outbound
        self._bot = services.bot
        self._media_files = services.media_files
        self._receipts = services.receipts
        self._gates = limits.gates
        self._spans = metrics.spans
        self._wakes = {kind: asyncio.Event() for kind in WorkKind}
        self._rests = dict.fromkeys(WorkKind, _SHORT_REST)
        self._is_short = dict.fromkeys(WorkKind, False)
        self._leases: dict[WorkKind, dict[tuple[str, int], Lane]] = {kind: {} for kind in WorkKind}
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
            keepers = [group.create_task(self._every(self._limits.reap, self._reap))]
            keepers += [
                group.create_task(self._every(self._limits.heartbeat, partial(self._extend, kind))) for kind in WorkKind
            ]
            resumed = {WorkKind.SEND: self._outbound.resume, WorkKind.TURN: self._bot.resume}
            followers = [
                group.create_task(self._follow(kind, gate, resumed[kind])) for kind, gate in self._gates.items()
            ]
            loops = [
                group.create_task(self._loop(WorkKind.INGEST, self._ingest_jobs, slots=1, lanes=_INGEST_LANES)),
                group.create_task(self._loop(WorkKind.SEND, self._send_jobs, slots=self._limits.sends)),
                group.create_task(self._loop(WorkKind.TURN, self._turn_jobs, slots=self._limits.turns)),
                group.create_task(self._loop(WorkKind.MEDIA, self._media_jobs, slots=self._limits.fetches)),
                group.create_task(self._loop(WorkKind.RECEIPT, self._receipt_jobs, slots=self._limits.receipts)),
            ]
            await asyncio.gather(*loops)
            for task in (listener, *keepers, *followers):
                task.cancel()

    # --- loops --------------------------------------------------------------------------------------------------------

    async def _loop(self, kind: WorkKind, start: Start, *, slots: int, lanes: int = 1) -> None:
        """Claims lanes for free slots, `lanes` for each, and runs what `start` makes of them side by side."""
        running: set[asyncio.Task[None]] = set()
        trials: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as jobs:
            stopping = jobs.create_task(self._stopping.wait())
            begin = partial(self._begin, jobs, running)
            with self._lent(running, slots, begin) if kind is WorkKind.SEND else nullcontext():
                while not self._stopping.is_set():
                    if len(running) >= slots:
                        self._is_short[kind] = False  # whoever becomes due meanwhile is looked for first
                        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
                        await self._company(slots - len(running), slots)
                        continue
                    room = self._room(kind, has_trial=bool(trials))
                    for job in await self._next(kind, start, (slots - len(running)) * lanes, room):
                        task = begin(job)
                        if room == 1:
                            trials.add(task)
                            task.add_done_callback(partial(self._tried, kind, trials))
                    if self._is_short[kind]:
                        await self._rest(kind)
            await self._drain(running)

    def _begin(
        self, jobs: asyncio.TaskGroup, running: set[asyncio.Task[None]], job: Job, context: Context | None = None
    ) -> asyncio.Task[None]:
        task = jobs.create_task(self._run(job), context=context)
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    def _lent(
        self, running: set[asyncio.Task[None]], slots: int, begin: Callable[[Job, Context], object]
    ) -> AbstractContextManager[None]:
        """What is stored in this process is sent at once, if a slot is free that nothing else waits for.

        None is while the loop looks for work, before it found that no more is due, or while a circuit holds sends back.
        """

        def free() -> int:
            is_idle = self._is_short[WorkKind.SEND] and not self._wakes[WorkKind.SEND].is_set()
            is_open = not self._stopping.is_set() and self._room(WorkKind.SEND, has_trial=False) is None
            return slots - len(running) if is_idle and is_open else 0

        def send(claimed: Claimed) -> None:
            # A context of its own: whoever stored it lends it neither request id nor span.
            work = partial(self._deliver, claimed.head, claimed.lane)
            begin(Job(lanes=[claimed.lane], work=work), Context())

        return self._outbound.hands.lent(free, send)

    async def _company(self, free: int, slots: int) -> None:
        """Where slots get free one after the other, lanes for some of them are claimed together.

        A single slot lets some work gather: small rounds one after the other cost far more than few larger ones.
        """
        if free < max(_FEWEST, slots // _PARTS):
            await _first(self._stopping, _COMPANY_SECONDS)

    async def _drain(self, running: set[asyncio.Task[None]]) -> None:
        if running:
            _, late = await asyncio.wait(running, timeout=self._limits.drain)
            for task in late:
                task.cancel()

    def _room(self, kind: WorkKind, *, has_trial: bool) -> int | None:
        """None is no limit, 1 a trial of a circuit, 0 only work that has not heard yet that it has to wait.

        Turns are not held here: they have a limit, and somebody has to see that it is reached.
        """
        room = self._gates[kind].room() if kind is WorkKind.SEND and kind in self._gates else None
        return 0 if room is not None and has_trial else room

    def _tried(self, kind: WorkKind, trials: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        trials.discard(task)
        self._wakes[kind].set()

    async def _next(self, kind: WorkKind, start: Start, most: int, room: int | None) -> Sequence[Job]:
        """What there is to do now. Rests when it cannot be found out."""
        self._wakes[kind].clear()
        self._is_short[kind] = False
        try:
            claimed = await self._database.work.claim(kind, room or most, untried=room == 0)
            if claimed:
                self._rests[kind] = _SHORT_REST
            jobs = await self._started(claimed, start) if claimed else []
            self._is_short[kind] = not claimed or (kind is WorkKind.SEND and _is_all(claimed, room or most))
        except InboxError as error:
            _log.warning("claim_failed", kind=kind.value, code=error.code)
        except Exception:  # noqa: BLE001 - the boundary: a bug must not end the loop
            # What was claimed keeps its lease and comes alone next time.
            _log.exception("claim_failed", kind=kind.value)
        else:
            return jobs
        await _first(self._stopping, back_off(1).total_seconds())
        return []

    async def _rest(self, kind: WorkKind) -> None:
        """Short after work, because a number that found no token may have one soon; longer and longer without any."""
        rest = min(self._rests[kind], self._limits.poll)
        self._rests[kind] = 2 * rest
        await _first(self._wakes[kind], rest)

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
            with self._held(job.lanes):
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
                await self._database.work.retry(lane, _wait_of(lane))
        except InboxError as again:
            _log.warning("lease_left_to_expire", kind=lanes[0].kind.value, code=again.code)

    @contextmanager
    def _held(self, lanes: Sequence[Lane]) -> Iterator[None]:
        """Keeps the leases while the block runs. One that is extended a moment too late is not ours any more."""
        held = self._leases[lanes[0].kind]
        held |= {(lane.key, lane.fence): lane for lane in lanes}
        try:
            yield
        finally:
            for lane in lanes:
                held.pop((lane.key, lane.fence), None)

    async def _extend(self, kind: WorkKind) -> None:
        if held := list(self._leases[kind].values()):
            await self._database.work.extend(held)

    async def _every(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await going_on("keeper_failed", act)

    async def _follow(self, kind: WorkKind, gate: Gate, resume: Callable[[int | None], Awaitable[None]]) -> None:
        """Whenever the circuit lets something through, what waits for it is due at once."""
        seen = 0
        while True:
            seen = await gate.moved(seen)
            room = gate.room()
            if room != 0:
                await going_on("resume_failed", partial(resume, room))
            self._wakes[kind].set()

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

    async def _media_jobs(self, lanes: Sequence[Lane]) -> Sequence[Job]:
        there = await self._media_files.expire(lanes)
        return [Job(lanes=[lane], work=partial(self._media_files.work, lane)) for lane in there]

    async def _receipt_jobs(self, lanes: Sequence[Lane]) -> Sequence[Job]:
        return [Job(lanes=[lane], work=partial(self._receipts.work, lane)) for lane in lanes]

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
            return await self._deliver(taken.head, taken.lane)
        if taken.wait is not None:
            await self._database.work.retry(taken.lane, taken.wait)
            return "waits"
        await self._database.work.finish([taken.lane])
        return "nothing_to_send"

    async def _deliver(self, head: Outgoing, lane: Lane) -> str:
        with self._spans.span("send", head.traceparent) as span:
            state = await self._outbound.deliver(head, lane)
            span.note("outcome", state.value)
            return state

    async def _reap(self) -> None:
        if await self._database.outbox.reap():
            self._wakes[WorkKind.SEND].set()


def _wait_of(lane: Lane) -> timedelta:
    """After a failure that may pass."""
    most = _LONGEST_WAITS.get(lane.kind)
    return back_off(lane.retries + 1) if most is None else back_off(lane.retries + 1, most=most)


def _is_all(claimed: Sequence[Lane], asked: int) -> bool:
    """True if hardly any more send lanes are due: whatever opens another one says so. A suspect comes alone."""
    return len(claimed) < asked and not any(lane.is_suspect for lane in claimed)


async def going_on(event: str, act: Callable[[], Awaitable[object]]) -> None:
    """For what comes again by itself: a failure of `act` is logged as `event` and ends here."""
    try:
        await act()
    except InboxError as error:
        _log.warning(event, code=error.code)
    except Exception:  # noqa: BLE001 - the boundary: a bug must not end what goes round
        _log.exception(event)


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Returns when `event` is set, and after `seconds` in any case."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
