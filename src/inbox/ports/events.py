"""Hints between processes. A hint makes things fast, never right: every reader also looks by itself now and then."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from inbox.domain.signals import Signal


class Events(Protocol):
    """The bus."""

    def publish(self, *signals: Signal) -> None:
        """Tells every process, this one included. Never blocks and never raises; bounded, may be lost."""
        ...

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Signal]]:
        """Signals from now on. Yields `Resync` after any gap: a lost connection, a full queue.

        The iterator survives a wait that was cancelled.
        """
        ...
