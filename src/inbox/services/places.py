"""A number of things at once, of which one account has half at most."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId


class Places:
    """Nobody waits for one: who finds none is told so at once."""

    def __init__(self, most: int, full: Callable[[], InboxError]) -> None:
        """`full` makes what is raised when there is none."""
        self._most = most
        self._full = full
        self._taken: Counter[AccountId] = Counter()

    def require(self, account_id: AccountId) -> None:
        """Raises what `full` makes if there is none for the account now."""
        if self._taken.total() >= self._most or self._taken[account_id] >= max(1, self._most // 2):
            raise self._full()

    @contextmanager
    def taken(self, account_id: AccountId) -> Iterator[None]:
        """Takes one while the block runs. Raises what `full` makes."""
        self.require(account_id)
        self._taken[account_id] += 1
        try:
            yield
        finally:
            self._taken -= Counter([account_id])  # who has none left is forgotten
