"""Who listens to the feed: how many, for what, and with which rights."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec

from inbox.domain.access import Subject
from inbox.domain.errors import Overloaded
from inbox.domain.feed_errors import TooManyConnections
from inbox.domain.ids import AccountId, ConversationId
from inbox.entrypoints.taps import Closing, Tap
from inbox.ports.team import RIGHTS_SECONDS, Team


class FeedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """`connections` to this process, those of one person or program, and how long one lasts, in seconds."""

    connections: int = 5_000
    per_user: int = 50
    lifetime: float = 900.0


class Listeners:
    """Of one process."""

    def __init__(self, limits: FeedLimits, team: Team, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._team = team
        self._clock = clock
        self._taps: set[Tap] = set()
        self._wanting: dict[UUID | None, set[Tap]] = {}
        self._held: Counter[Subject] = Counter()
        self._unproven: deque[tuple[float, Tap]] = deque()
        self._rights_version = -1

    def __len__(self) -> int:
        return len(self._taps)

    @contextmanager
    def joined(self, tap: Tap) -> Iterator[None]:
        """It is told of events inside. Raises `TooManyConnections` (of one person), `Overloaded`."""
        if len(self._taps) >= self._limits.connections:
            raise Overloaded("This process takes no more listeners.")
        if self._held[tap.subject] >= self._limits.per_user:
            raise TooManyConnections("You have as many connections as you may.")
        self._held[tap.subject] += 1
        self._taps.add(tap)
        self._unproven.append((self._clock(), tap))
        keys = tap.view.interest.keys()
        for key in keys:
            self._wanting.setdefault(key, set()).add(tap)
        try:
            yield
        finally:
            self._taps.discard(tap)
            self._forget(tap, keys)

    def who(self, account_id: AccountId | None, conversation_id: ConversationId | None) -> Iterable[Tap]:
        """Each of them once: a listener stands under the narrowest things that it wants."""
        yield from tuple(self._wanting.get(None, ()))
        for thing in (account_id, conversation_id):
            if thing is not None:
                yield from tuple(self._wanting.get(thing, ()))

    def close(self, reason: Closing) -> None:
        """Everybody's connection."""
        for tap in tuple(self._taps):
            tap.close(reason)

    async def prove(self, rights_version: int) -> None:
        """To be called with each look at the log, before its events are told: who may listen is what the rights were.

        Raises what the database raises; then the next look asks about all of them once more.
        """
        taps: list[Tap] = []
        if rights_version != self._rights_version:
            self._unproven.clear()
            taps = list(self._taps)
        # What a request knew of its caller may be that much older than its connection.
        while self._unproven and self._unproven[0][0] <= self._clock() - RIGHTS_SECONDS:
            taps.append(self._unproven.popleft()[1])
        if not taps:
            self._rights_version = rights_version
            return
        self._rights_version = -1  # all of them once more if this fails
        actors = await self._team.actors({tap.subject for tap in taps})
        for tap in taps:
            actor = actors.get(tap.subject)
            if actor is None or not tap.view.is_of(actor):
                tap.close(Closing.RIGHTS)
        self._rights_version = rights_version

    def _forget(self, tap: Tap, keys: Iterable[UUID | None]) -> None:
        self._held[tap.subject] -= 1
        if not self._held[tap.subject]:
            del self._held[tap.subject]
        for key in keys:
            self._wanting[key].discard(tap)
            if not self._wanting[key]:
                del self._wanting[key]
