"""Of each process one reader of the event log, and everybody who listens.

The feed reads what is final (`EventLog.end`), keeps the newest of it in memory, and tells those whose it is. Listeners
pull (`taps.py`): who is slow or was away reads from the log itself, so nothing is buffered for anybody. What a signal
lost is found at the next look, a second later. While nobody listens or polls, neither signals nor writers are followed.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from inbox.domain.access import Actor, Subject
from inbox.domain.errors import DatabaseTimeout, Overloaded
from inbox.domain.feed import Cursor, Horizon, Interest, View, require_any
from inbox.domain.feed_errors import CursorExpired
from inbox.domain.signals import ColleagueSeen, LogGrew, Resync
from inbox.entrypoints.listeners import FeedLimits, Listeners
from inbox.entrypoints.taps import PAGE, Closing, Item, Tap
from inbox.entrypoints.worker import going_on
from inbox.kit.gauges import Listening
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.feed import Delivered, EventLog, LogEnd
from inbox.services.feed import Feeding
from inbox.services.presence import Colleagues

_RECENT: Final = 2_000
"""Events in memory: who comes back after a short while needs no statement of their own."""
_STEP: Final = 500
_TOLD_AT_ONCE: Final = 20
"""Events between two pauses for others: with thousands of listeners each takes some milliseconds."""
_LOOK_EVERY: Final = 1.0
_SOON: Final = 0.002
_LATER: Final = 0.02
"""Seconds between two looks while a writer commits; they double up to this."""
_RESTS_AFTER: Final = 60.0
"""Seconds without a listener and without a poll. A resting feed is a look or two behind, until somebody comes."""
_BEGIN_WITHIN: Final = 5.0
_READERS: Final = 4
"""Listeners that read the log at the same time, and as many that are shown in: a crowd that comes back must leave
connections of the pool to others."""
_OPENING_WITHIN: Final = 15.0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Events that follow a cursor. `cursor` is where to go on, with an event or without; `has_more`: at once."""

    events: list[Delivered]
    cursor: str
    has_more: bool


class Feed:
    """Started by main; entered once."""

    def __init__(
        self,
        database: Database,
        events: Events,
        colleagues: Colleagues,
        limits: FeedLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_every: float = _LOOK_EVERY,
    ) -> None:
        """`clock` in seconds, never set back. `look_every` is how many seconds pass until a look without any signal."""
        self.clock = clock
        self._log: EventLog = database.event_log
        self._feeding = Feeding(database.event_log)
        self._events = events
        self._colleagues = colleagues
        self._limits = limits
        self._look_every = look_every
        self._hint = asyncio.Event()
        self._ready = asyncio.Event()
        self._is_readable = False
        self._history = ""
        self._read_to = 0
        self._drawn = 0
        self._head = Cursor("", 0)
        self._horizon = Horizon()
        self._waits_since = 0.0
        self._items: list[Item] = []
        self._items_after = 0
        self._unfilled: list[Item] = []
        self._filling = asyncio.Lock()
        self._reading = asyncio.Semaphore(_READERS)
        self._showing_in = asyncio.Semaphore(_READERS)
        self._listeners = Listeners(limits, database.team, clock)
        self._is_stopping = False
        self._is_followed = False
        self._looking = asyncio.Lock()
        self._wanted_until = clock()

    # --- running ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads and tells while the block runs; at its end every listener is told to come back elsewhere."""
        self._is_followed = True
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._follow())]
        try:
            yield
        finally:
            self._is_followed = False
            self.stop()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def stop(self) -> None:
        """Closes everybody's connection: this process ends."""
        self._is_stopping = True
        self._listeners.close(Closing.STOPPING)

    async def _listen(self) -> None:
        async with self._events.subscribe() as signals:
            async for signal in signals:
                match signal:
                    case LogGrew() if self._is_resting():
                        pass
                    case LogGrew() | Resync():
                        self._hint.set()
                    case ColleagueSeen():
                        self._colleagues.hear(signal)
                        self._whisper(signal)
                    case _:
                        pass

    async def _follow(self) -> None:
        pause = _SOON
        while True:
            self._hint.clear()
            before = self._read_to
            await going_on("feed_failed", self._look)
            if not self._is_readable:
                await asyncio.sleep(self._look_every)  # whatever the hints say: the database is in trouble
            elif not self._horizon.is_waiting or self._is_resting():  # under load it always waits for somebody
                await asyncio.sleep(_SOON)  # what is written meanwhile is read together
                pause = _SOON
                await self._hinted(self._look_every)
            else:
                pause = _SOON if self._read_to != before else min(2 * pause, _LATER)
                await asyncio.sleep(pause)

    async def _hinted(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hint.wait()

    def _is_resting(self) -> bool:
        return not len(self._listeners) and self.clock() >= self._wanted_until

    async def _look(self) -> None:
        async with self._looking:
            await self._step()

    async def _step(self) -> None:
        """One look, at the log that it was before, or from the beginning at another one."""
        is_done = False
        try:
            end = await self._log.end()
            if end.history != self._history or not self._is_readable:
                generation = (await self._log.begin()).generation
                end = await self._log.end()
                self._begin(generation, end)
            await self._listeners.prove(end.rights_version)
            await self._advance(end)
            self._is_readable = is_done = True
        finally:
            if not is_done:
                self._is_readable = False

    def _begin(self, generation: str, end: LogEnd) -> None:
        # After a crash numbers are drawn once more that nobody committed: what was seen of writers says nothing then.
        self._history, self._horizon, self._read_to = end.history, Horizon(), self._head.id
        if generation != self._head.generation:
            self._ready.clear()
            self._head, self._read_to = Cursor(generation, 0), 0
            self._items, self._unfilled = [], []
            self._listeners.close(Closing.RESET)

    # --- what is final ------------------------------------------------------------------------------------------------

    async def _advance(self, end: LogEnd) -> None:
        was_waiting = self._horizon.is_waiting
        until = self._horizon.look(end.last, end.writers)
        self._drawn = end.last
        if not was_waiting or until > self._read_to:
            self._waits_since = self.clock()
        if not self._ready.is_set():
            if until or not self._horizon.is_waiting:  # under load there is always somebody who writes
                await self._fetch_recent(until)
            return
        while self._read_to < until:
            rows = await self._log.read(self._read_to, until, _STEP)
            for begin in range(0, len(rows), _TOLD_AT_ONCE):
                self._tell([Item(row) for row in rows[begin : begin + _TOLD_AT_ONCE]])
                await asyncio.sleep(0)
            self._read_to = until if len(rows) < _STEP else rows[-1].id

    async def _fetch_recent(self, until: int) -> None:
        self._items = [Item(row) for row in await self._log.newest(until, _RECENT)]
        self._items_after = self._items[0].id - 1 if self._items else (await self._log.state()).floor
        self._head = Cursor(self._head.generation, self._items[-1].id if self._items else self._items_after)
        self._read_to = until
        self._ready.set()

    def _tell(self, items: list[Item]) -> None:
        """Without a pause in it: a listener who comes in finds the events, or is told of them.

        The head, and so every cursor, is the number of an event that was committed: others are drawn again after a
        crash.
        """
        before = self._head.id
        self._items += items
        if len(self._items) > 2 * _RECENT:
            self._items_after = self._items[-_RECENT - 1].id
            del self._items[:-_RECENT]
        self._head = Cursor(self._head.generation, items[-1].id)
        for item in items:
            if (event := item.logged.event) is None:
                continue
            is_wanted = False
            for tap in self._listeners.who(event.account_id, event.conversation_id):
                # Who was told looks at all of it; here it only matters whether somebody will.
                if tap.is_told or tap.view.shows(event):
                    is_wanted = True
                    tap.tell(before)
            if is_wanted:
                self._unfilled.append(item)
        del self._unfilled[:-PAGE]

    def _whisper(self, seen: ColleagueSeen) -> None:
        for tap in self._listeners.who(seen.account_id, seen.conversation_id):
            if tap.view.hears(seen.account_id, seen.conversation_id) and tap.subject.user_id != seen.user_id:
                tap.whisper(seen)

    # --- who may listen -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[None]:
        """Around the look at who comes to listen. Raises `Overloaded` for who stood in line too long."""
        try:
            async with asyncio.timeout(_OPENING_WITHIN):
                await self._showing_in.acquire()
        except TimeoutError as error:
            raise Overloaded("Too many come at once.") from error
        try:
            yield
        finally:
            self._showing_in.release()

    @asynccontextmanager
    async def listening(
        self, actor: Actor, interest: Interest, after: str | None, *, ends_at: float | None = None
    ) -> AsyncIterator[Tap]:
        """A listener, from the cursor on or from now on; one that is no good any more makes a reset.

        `ends_at`, a time of `clock`, is for who has shown some time ago who it is; others have a whole `lifetime`.

        Raises `TooManyConnections` (of one person), `Overloaded`, `PermissionDenied` for who may see
        nothing, and `DatabaseTimeout` or `DatabaseUnavailable` while the log cannot be read.
        """
        require_any(actor)
        await self._readiness()
        subject = Subject(user_id=actor.user_id, kind=actor.kind)
        ends_at = self.clock() + self._limits.lifetime if ends_at is None else ends_at
        tap = Tap(self, subject, View(actor, interest), await self._place(after), ends_at)
        if self._is_stopping:
            raise Overloaded("This process ends.")
        with self._listeners.joined(tap):
            yield tap

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Cursor:
        """Everything up to here was told."""
        return self._head

    @property
    def lifetime(self) -> float:
        """Seconds after which a listener has to show once more who it is."""
        return self._limits.lifetime

    @property
    def state(self) -> Listening:
        waits = self.clock() - self._waits_since if self._horizon.is_waiting else 0.0
        return Listening(len(self._listeners), waits)

    def mark(self) -> Cursor | None:
        """Where somebody stands who polls now, at most two seconds behind; None while the log cannot be read.

        With the next poll it is where everybody is: who polls keeps the feed from resting.
        """
        self._stay_awake()
        return self._head if self._ready.is_set() and self._is_readable else None

    async def page(self, actor: Actor, interest: Interest, after: Cursor | None, limit: int) -> Page:
        """What follows `after`, as it is asked for without staying; without a cursor nothing, and where to begin.

        Raises what `listening` raises.
        """
        require_any(actor)
        await self._readiness()
        head = self._head
        position = await self._from(after)
        if position >= head.id:  # another process is some milliseconds ahead
            return Page(events=[], cursor=str(Cursor(head.generation, position)), has_more=False)
        async with self._reading:
            rows, until = await self._feeding.behind(
                View(actor, interest), Cursor(head.generation, position), head.id, limit
            )
            events = await self._feeding.delivered(head.generation, rows)
        return Page(events=events, cursor=str(Cursor(head.generation, until)), has_more=until < head.id)

    async def _readiness(self) -> None:
        """Where nobody follows the log, each question is a look of its own; and so is the first one after a rest."""
        try:
            async with asyncio.timeout(_BEGIN_WITHIN):
                if not self._is_followed or self._is_resting():
                    await self._catch_up()
                await self._ready.wait()
        except TimeoutError as error:
            raise DatabaseTimeout from error
        self._stay_awake()

    async def _catch_up(self) -> None:
        async with self._looking:
            if not self._is_followed or self._is_resting():  # of a crowd the first one looks
                await self._step()
                self._stay_awake()

    def _stay_awake(self) -> None:
        if self._is_resting():
            self._hint.set()  # signals of this very moment were not followed
        self._wanted_until = self.clock() + _RESTS_AFTER

    async def _place(self, after: str | None) -> int | None:
        try:
            return await self._from(None if after is None else Cursor.parse(after))
        except CursorExpired:
            return None

    async def _from(self, after: Cursor | None) -> int:
        if after is None:
            return self._head.id
        if after.generation != self._head.generation:
            raise CursorExpired
        # Another process may be some milliseconds ahead of this one, but nobody is ahead of the log.
        if after.id > self._drawn and after.id > (await self._log.end()).last:
            raise CursorExpired
        return after.id

    def recent(self, after: int) -> Sequence[Item] | None:
        if after < self._items_after:
            return None
        return self._items[bisect_right(self._items, after, key=lambda item: item.id) :]

    async def older(self, view: View, after: int) -> tuple[Sequence[Item], int]:
        """Raises `CursorExpired` if the log does not reach back that far any more."""
        async with self._reading:
            head = self._head
            rows, until = await self._feeding.behind(view, Cursor(head.generation, after), head.id, PAGE)
            items = [Item(row) for row in rows]
            await self._fill(items)
        return items, until

    async def fill(self, items: Sequence[Item]) -> None:
        """With them those that others were told of at the same time: one statement is enough for a crowd."""
        if all(item.delivered is not None for item in items):
            return
        async with self._filling:
            others, self._unfilled = self._unfilled, []
            await self._fill([item for item in {*items, *others} if item.delivered is None])

    async def _fill(self, items: Sequence[Item]) -> None:
        if not items:
            return
        delivered = await self._feeding.delivered(self._head.generation, [item.logged for item in items])
        for item, one in zip(items, delivered, strict=True):
            item.fill(one)
