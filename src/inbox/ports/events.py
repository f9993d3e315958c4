"""Hints between processes. A hint makes things fast, never right: every reader also looks by itself now and then."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from inbox.domain.signals import Signal

Wanted: TypeAlias = Callable[[Signal], bool]
"""Whether a subscriber wants to hear a signal. Quick, and never raises."""


class Events(Protocol):
    """The bus."""

    def publish(self, *signals: Signal) -> None:
        """Tells every process, this one included. Never blocks and never raises; bounded, may be lost."""
        ...

    def subscribe(self, wanted: Wanted | None = None) -> AbstractAsyncContextManager[AsyncIterator[Signal]]:
        """Signals from now on. Yields `Resync` after any gap: a lost connection, a full queue.

        Of the others only those that are `wanted`: where many listen, each for one thing, waking them all for
        everything would cost more than what they wait for. The iterator survives a wait that was cancelled.
        """
        ...
