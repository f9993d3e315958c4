"""Which model is asked first: one that failed rests while there is another, so that nobody waits for it in vain."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

_AFTER: Final = 2
_REST: Final = 30.0
_MOST: Final = 100
"""Models that are remembered: profiles may name their own."""


class Standby:
    """One per process and vendor. After two failures in a row a model rests for half a minute; then one call tries."""

    def __init__(
        self, *, after: int = _AFTER, rest: float = _REST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rest` in seconds, `clock` in monotonic ones."""
        self._after = after
        self._rest = rest
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # in a row; until when it rests

    def in_order(self, models: Sequence[str]) -> list[str]:
        """`models` with those that rest at the end."""
        return sorted(dict.fromkeys(models), key=self._rests)

    def failed(self, model: str, *, for_long: bool = False) -> None:
        """`for_long` needs no second failure: the model is not there, or its quota is used up."""
        failures = self._failures.pop(model, (0, 0.0))[0] + 1
        failures = max(failures, self._after) if for_long else failures
        self._failures[model] = (failures, self._clock() + self._rest)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def answered(self, model: str) -> None:
        self._failures.pop(model, None)

    def _rests(self, model: str) -> bool:
        failures, until = self._failures.get(model, (0, 0.0))
        if failures < self._after:
            return False
        if self._clock() < until:
            return True
        # This call tries; until it knows more the others go on without the model.
        self._failures[model] = (failures, self._clock() + self._rest)
        return False
