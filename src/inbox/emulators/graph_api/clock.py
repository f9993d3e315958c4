"""The emulator's clock: timestamps, windows and expiries follow it; it can stand still and jump."""

import time
from collections.abc import Callable


class EmulatorClock:
    """Unix seconds in UTC."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        return self._wall() + self._offset if self._frozen is None else self._frozen

    @property
    def is_frozen(self) -> bool:
        return self._frozen is not None

    def freeze(self, at: float | None = None) -> None:
        """Stand still at a moment, or at this one."""
        self._frozen = self.now() if at is None else at

    def advance(self, seconds: float) -> None:
        """Jump, forwards or backwards; a frozen clock stays frozen."""
        if self._frozen is None:
            self._offset += seconds
        else:
            self._frozen += seconds

    def run(self) -> None:
        """Go on from where the clock stands."""
        if self._frozen is not None:
            self._offset = self._frozen - self._wall()
            self._frozen = None

    def reset(self) -> None:
        self._offset = 0.0
        self._frozen = None
