"""What every bus between processes does, whatever its wire: signals travel in letters.

A signal reaches own subscribers directly, the others with the next letter; those of one moment share one, because a
letter costs the wire more than what is in it. That the log grew is said in company, or 4 ms later: whoever writes to it
has something better to do at that moment. Whenever something may have been lost, `Resync` takes its place.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

import msgspec

from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.signals import LogGrew, Resync, Signal
from inbox.ports.events import Wanted

BACKLOG: Final = 10_000
"""Different signals that may wait for the wire; then the others are told to look at everything again."""
STALE_SECONDS: Final = 5.0
"""So they are if the wire was not there for longer: what somebody was typing then is not true any more."""
_GATHER_SECONDS: Final = 0.004


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """What travels: who sent it, and the signals."""

    origin: str
    signals: list[Signal]


class Letters:
    """The bus of one process without its wire."""

    def __init__(
        self, *, most_bytes: int, clock: Callable[[], float] = time.monotonic, gather: float = _GATHER_SECONDS
    ) -> None:
        """A letter has `most_bytes` at most; a signal that does not fit is a `Resync` for the others.

        `gather` are the seconds between two letters, and those that `LogGrew` waits for company.
        """
        self._gather = gather
        self._local = MemoryEvents()
        self._origin = secrets.token_hex(8)
        self._most_bytes = most_bytes
        self._clock = clock
        self._waiting: dict[Signal, None] = {}
        """Each once, where it was said last."""
        self._waiting_since = 0.0
        self._has_some = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._next_at = 0.0

    def publish(self, *signals: Signal) -> None:
        self._local.publish(*signals)
        self._post(*signals)

    def subscribe(self, wanted: Wanted | None = None) -> AbstractAsyncContextManager[AsyncIterator[Signal]]:
        return self._local.subscribe(wanted)

    async def outgoing(self, *, within: float) -> list[str]:
        """The next letters, as soon as there are any, but not sooner than `gather` after the last ones.

        `LogGrew` alone waits as long. None of them after `within` seconds: time to see whether the wire still holds.
        """
        clock = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._has_some.wait()
        if self._has_some.is_set() and not self._is_urgent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather):
                    await self._is_urgent.wait()
        await asyncio.sleep(max(0.0, self._next_at - clock()))
        self._next_at = clock() + self._gather
        self._has_some.clear()
        self._is_urgent.clear()
        signals = list(self._waiting)
        if signals and self._clock() - self._waiting_since > STALE_SECONDS:
            signals = [Resync()]
        self._waiting.clear()
        return list(self._packed(signals)) if signals else []

    def lost(self) -> None:
        """The letters that were taken last may not have arrived, and the others do not see that gap."""
        self._post(Resync())

    def received(self, letter: str) -> None:
        try:
            opened = msgspec.json.decode(letter, type=Letter)
        except msgspec.DecodeError:  # a process of another version speaks: whatever it said, look again
            self.missed()
            return
        if opened.origin != self._origin:
            self._local.publish(*opened.signals)

    def missed(self) -> None:
        """Letters of others may have been lost."""
        self._local.publish(Resync())

    def empty(self) -> str:
        """A letter that says nothing, to try the wire with."""
        return self._written([])

    def _post(self, *signals: Signal) -> None:
        if not signals:
            return
        if not self._waiting:
            self._waiting_since = self._clock()
        for signal in signals:
            self._waiting.pop(signal, None)
            self._waiting[signal] = None
        if len(self._waiting) > BACKLOG:
            self._waiting = {Resync(): None}
        self._has_some.set()
        if any(type(signal) is not LogGrew for signal in signals):
            self._is_urgent.set()

    def _packed(self, signals: list[Signal]) -> Iterator[str]:
        """As few letters as fit."""
        letter = self._written(signals)
        if len(letter.encode()) <= self._most_bytes:
            yield letter
        elif len(signals) == 1:
            yield self._written([Resync()])
        else:
            middle = len(signals) // 2
            yield from self._packed(signals[:middle])
            yield from self._packed(signals[middle:])

    def _written(self, signals: list[Signal]) -> str:
        return msgspec.json.encode(Letter(self._origin, signals)).decode()
