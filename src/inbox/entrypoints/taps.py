"""One listener to the feed: where it stands, what it may see, and why it was closed."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from inbox.domain.access import Subject
from inbox.domain.feed import Cursor, View
from inbox.domain.feed_errors import CursorExpired
from inbox.domain.signals import ColleagueSeen
from inbox.ports.feed import Delivered, Logged

_MOST_WHISPERS: Final = 200
PAGE: Final = 200
"""Rows of the log that are read at once for somebody who is behind."""

_encode: Final = msgspec.json.Encoder().encode


class Closing(StrEnum):
    """Why a listener hears no more. It may come back with its last cursor, and misses nothing."""

    RESET = "reset"
    RIGHTS = "rights_changed"
    LIFETIME = "reauthenticate"
    SLOW = "too_slow"
    REPLACED = "replaced"
    STOPPING = "stopping"


class TapClosed(Exception):
    """Raised by `Tap.take`."""

    def __init__(self, reason: Closing) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Item:
    """An event in memory. What it is about is read once, and its JSON written once, for whoever is told first."""

    __slots__ = ("_json", "cursor", "delivered", "logged")

    def __init__(self, logged: Logged) -> None:
        self.logged = logged
        self.delivered: Delivered | None = None
        self.cursor = b""
        self._json: bytes | None = None

    @property
    def id(self) -> int:
        return self.logged.id

    @property
    def json(self) -> bytes:
        """`delivered` as JSON. Raises LookupError as long as nobody filled it."""
        if self._json is None:
            if self.delivered is None:
                raise LookupError("an event that nobody filled")
            self._json = _encode(self.delivered)
        return self._json

    def fill(self, delivered: Delivered) -> None:
        self.delivered = delivered
        self.cursor = delivered.cursor.encode()


class Taken(msgspec.Struct, frozen=True):
    """What came: events in order, and what colleagues do, which is in no log. Both empty when nothing came in time.

    `is_reset`: the log does not reach back to where the listener was. What it shows must be read anew; the events that
    follow begin here and now.
    """

    items: Sequence[Item] = ()
    whispers: Sequence[ColleagueSeen] = ()
    is_reset: bool = False


class Source(Protocol):
    """What a tap needs of the feed."""

    @property
    def head(self) -> Cursor: ...

    def clock(self) -> float: ...

    def recent(self, after: int) -> Sequence[Item] | None:
        """What came after the number, from memory; None if it does not reach back that far."""
        ...

    async def older(self, view: View, after: int) -> tuple[Sequence[Item], int]: ...

    async def fill(self, items: Sequence[Item]) -> None: ...


class Tap:
    """Pulls. It holds no events, only a position; the feed says when there is something for it."""

    def __init__(self, source: Source, subject: Subject, view: View, after: int | None, ends_at: float) -> None:
        """`after` None: where the listener was, nobody knows any more.

        `ends_at` is a time of `source.clock`: then the caller has to show who it is once more.
        """
        self.subject = subject
        self.view = view
        self._source = source
        self._after = source.head.id if after is None else after
        self._is_reset = after is None
        self._ends_at = ends_at
        self._is_told = True
        self._told = asyncio.Event()
        self._whispers: deque[ColleagueSeen] = deque(maxlen=_MOST_WHISPERS)
        self._closed: Closing | None = None
        self.pace = 0.5 + random.random() / 2  # noqa: S311 - no secret
        """A share of the time between two signs of life, another one for each: a crowd that came at once must not be
        told at once for ever."""

    @property
    def cursor(self) -> Cursor:
        """Everything up to here was taken, or is not for this listener."""
        head = self._source.head
        return Cursor(head.generation, self._after if self._is_told else max(self._after, head.id))

    @property
    def is_told(self) -> bool:
        """True if it will look for events by itself."""
        return self._is_told

    def tell(self, before: int) -> None:
        """There is something for it after the number `before`."""
        if not self._is_told:
            # All that came up to there was for others.
            self._is_told, self._after = True, max(self._after, before)
        self._told.set()

    def whisper(self, seen: ColleagueSeen) -> None:
        """The oldest is forgotten when nobody takes them: they are true for some seconds only."""
        self._whispers.append(seen)
        self._told.set()

    def renew(self, seconds: float) -> None:
        """The caller has shown once more who it is: it may listen for so many seconds from now on."""
        self._ends_at = self._source.clock() + seconds
        self._told.set()

    def close(self, reason: Closing) -> None:
        """The first reason counts."""
        self._closed = self._closed or reason
        self._told.set()

    async def take(self, within: float) -> Taken:
        """What came, after at most `within` seconds. Raises `TapClosed`, and what the database raises.

        After any error, and when it is cancelled, what was not returned comes again.
        """
        waits_until = self._source.clock() + within
        while True:
            self._told.clear()
            self._check()
            items = await self._next() if self._is_told else ()
            whispers, is_reset = tuple(self._whispers), self._is_reset
            self._whispers.clear()
            self._is_reset = False
            left = waits_until - self._source.clock()
            if items or whispers or is_reset or left <= 0:
                return Taken(items, whispers, is_reset)
            if not self._is_told:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, max(0.0, self._ends_at - self._source.clock()))):
                        await self._told.wait()

    def check(self) -> None:
        """Raises `TapClosed`. For each piece of what was taken: a listener may be slow, and sending it last."""
        self._check()

    def _check(self) -> None:
        if self._closed is None and self._source.clock() >= self._ends_at:
            self._closed = Closing.LIFETIME
        if self._closed is not None:
            raise TapClosed(self._closed)

    async def _next(self) -> Sequence[Item]:
        """The next events that may be shown; it is "not told" any more once it has caught up."""
        recent = self._source.recent(self._after)
        if recent is None:
            try:
                items, after = await self._source.older(self.view, self._after)
            except CursorExpired:
                items, after, self._is_reset = (), self._source.head.id, True
            self._check()
            self._after = after
            return items
        items = [item for item in recent if item.logged.event is not None and self.view.shows(item.logged.event)]
        items = items[:PAGE]
        before, is_done = self._after, False
        if len(items) < PAGE:
            self._after, self._is_told = max(self._after, self._source.head.id), False
        else:
            self._after = items[-1].id
        try:
            await self._source.fill(items)
            self._check()
            is_done = True
        finally:
            if not is_done:  # nobody got them: they come again
                self._after, self._is_told = before, True
        return items
