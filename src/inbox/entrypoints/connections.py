"""Which streams and sockets are open, from the first byte to the last: to end them all, and to bound the idle ones."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """*Idle* is a socket on which nothing is subscribed or joined: it stands in no count of the feed."""

    idle_for: float = 10.0
    """Seconds."""
    idle: int = 100
    idle_of_address: int = 10
    subscribe_every: float = 1.0
    """Seconds between two subscriptions of one connection."""
    go_within: float = 3.0
    """Seconds that are left to all when the process stops, while the worker finishes what it has in hand."""
    server_stops_within: float = 5.0
    """Seconds. The server waits until every answer was read, for ever: who does not read must not keep the process."""


class Room:
    """Places for idle sockets of one kind, so many for all and so many for one address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, address: str) -> Iterator["Place"]:
        """That of one connection, not taken yet; given back at the end in any case."""
        place = Place(self, address)
        try:
            yield place
        finally:
            place.leave()

    def take(self, address: str) -> bool:
        if self._taken.total() >= self.limits.idle or self._taken[address] >= self.limits.idle_of_address:
            return False
        self._taken[address] += 1
        return True

    def give_back(self, address: str) -> None:
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Place:
    def __init__(self, room: Room, address: str) -> None:
        self._room = room
        self._address = address
        self._is_taken = False

    def take(self) -> bool:
        """False if there is none left."""
        self._is_taken = self._is_taken or self._room.take(self._address)
        return self._is_taken

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._room.give_back(self._address)


class Connections:
    """Those of this process."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.unjoined = Room(limits)
        """Strangers, of Supabase Realtime: each channel shows its token later. Apart from those who sign in at once."""
        self.unsubscribed = Room(limits)
        self._open: set[asyncio.Future[None]] = set()
        self._none = asyncio.Event()
        self._none.set()
        self._is_stopping = False

    @contextmanager
    def held(self) -> Iterator["asyncio.Future[None]"]:
        """Around the whole life of a connection, its last word included. The future is done when it has to end."""
        stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._is_stopping:
            stopping.set_result(None)
        self._open.add(stopping)
        self._none.clear()
        try:
            yield stopping
        finally:
            self._open.discard(stopping)
            stopping.cancel()
            if not self._open:
                self._none.set()

    @property
    def count(self) -> int:
        return len(self._open)

    def stop(self) -> None:
        """Tells all of them to end; those that still come end at once."""
        self._is_stopping = True
        for stopping in self._open:
            if not stopping.done():
                stopping.set_result(None)

    async def over(self, within: float) -> bool:
        """Waits until none is open; False if some still are after so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._none.wait()
        except TimeoutError:
            return False
        return True
