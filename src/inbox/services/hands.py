"""Free hands of the worker in this process: they send a message as soon as it is stored, nobody has to look for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inbox.ports.records import Claimed


class Hands:
    """None at all where no worker runs in this process."""

    def __init__(self) -> None:
        self._free: Callable[[], int] = _none
        self._begin: Callable[[Claimed], None] | None = None
        self._held = 0

    @contextmanager
    def lent(self, free: Callable[[], int], begin: Callable[[Claimed], None]) -> Iterator[None]:
        """The hands of a worker, while the block runs: how many are `free` now, and what makes one `begin` to send."""
        self._free, self._begin = free, begin
        try:
            yield
        finally:
            self._free, self._begin = _none, None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """True if there was a free one: nobody else holds it while the block runs.

        A worker that looks for work meanwhile does not know of it: so many more sends than usual may be under way once.
        """
        is_held = self._free() > self._held
        self._held += is_held
        try:
            yield is_held
        finally:
            self._held -= is_held

    def begin(self, claimed: Claimed) -> bool:
        """Sends what was claimed for the hand that is held. False if the worker has stopped meanwhile: nobody does."""
        if self._begin is None:
            return False
        self._begin(claimed)
        return True


def _none() -> int:
    return 0
