"""The bus within one process: bounded queues, and `Resync` instead of a silent gap."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from inbox.domain.signals import Resync, Signal
from inbox.ports.events import Wanted

QUEUE: Final = 1_000
"""Signals that a subscriber may be behind; then it is told to look at everything again."""


class MemoryEvents:
    """Delivers to subscribers of this process."""

    def __init__(self) -> None:
        self._subscribers: set[_Subscription] = set()

    def publish(self, *signals: Signal) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber.put(signals)

    @asynccontextmanager
    async def subscribe(self, wanted: Wanted | None = None) -> AsyncIterator[AsyncIterator[Signal]]:
        subscription = _Subscription(wanted)
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)


class _Subscription(AsyncIterator[Signal]):
    """Survives a cancelled wait: nothing is taken before it is returned."""

    def __init__(self, wanted: Wanted | None) -> None:
        self._wanted = wanted
        self._waiting: deque[Signal] = deque()
        self._has_some = asyncio.Event()

    def put(self, signals: tuple[Signal, ...]) -> None:
        for signal in signals:
            if not self._is_wanted(signal):
                continue
            if not self._waiting or self._waiting[-1] != signal:  # equal hints in a row say no more than one
                self._waiting.append(signal)
        if len(self._waiting) > QUEUE:
            self._waiting.clear()
            self._waiting.append(Resync())
        if self._waiting:
            self._has_some.set()

    def _is_wanted(self, signal: Signal) -> bool:
        return self._wanted is None or isinstance(signal, Resync) or self._wanted(signal)

    async def __anext__(self) -> Signal:
        while not self._waiting:
            self._has_some.clear()
            await self._has_some.wait()
        return self._waiting.popleft()
