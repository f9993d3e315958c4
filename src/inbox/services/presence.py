"""Who of the team looks at a conversation or writes in it. Told, never stored: true for some seconds only."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from inbox.domain.access import Actor, ActorKind, Permission
from inbox.domain.errors import ConversationNotFound, PermissionDenied
from inbox.domain.ids import ConversationId, UserId
from inbox.domain.presence import GOOD_FOR, Presence
from inbox.domain.signals import ColleagueSeen
from inbox.ports.events import Events
from inbox.services.rights import Rights

_MOST_CONVERSATIONS: Final = 10_000
_MOST_COLLEAGUES: Final = 50
"""In one conversation; who comes later is not shown."""
_SAME_FOR: Final = 2.0
"""Seconds in which the same state is not told again: everybody who listens would hear it."""


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """`good_for` is how many seconds this is true, unless it is said again."""

    user_id: UserId
    display_name: str | None
    state: Presence
    good_for: float


class Colleagues:
    """One per process. Hears what every process says, and forgets by itself."""

    def __init__(self, rights: Rights, events: Events, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, never set back."""
        self._rights = rights
        self._events = events
        self._clock = clock
        self._seen: dict[ConversationId, dict[UserId, tuple[ColleagueSeen, float]]] = {}
        self._told: dict[tuple[UserId, ConversationId], tuple[Presence, float]] = {}
        self._shown_by: Counter[tuple[UserId, ConversationId]] = Counter()

    def come(self, user_id: UserId, conversation_id: ConversationId) -> None:
        """One more connection shows the person there: `left` is not told before all of them are gone.

        Of this process: who looks from connections to two processes is gone with the first, until it is said again.
        """
        self._shown_by[user_id, conversation_id] += 1

    def go(self, user_id: UserId, conversation_id: ConversationId) -> None:
        """The connection shows the person there no longer. To be called once for each `come`."""
        self._shown_by[user_id, conversation_id] -= 1
        if not self._shown_by[user_id, conversation_id]:
            del self._shown_by[user_id, conversation_id]

    async def tell(self, actor: Actor, conversation_id: ConversationId, state: Presence) -> list[Colleague]:
        """Tells the others what is news to them, and returns who else is there. Nobody waits for anybody.

        Raises `ConversationNotFound`, and `PermissionDenied` for who may not see the conversation, and for programs.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_VIEW, account_id, ConversationNotFound)
        if actor.kind is not ActorKind.PERSON:
            raise PermissionDenied
        name = (await self._rights.me(actor)).profile.display_name
        if self._is_news(actor.user_id, conversation_id, state):
            seen = ColleagueSeen(
                account_id=account_id,
                conversation_id=conversation_id,
                user_id=actor.user_id,
                display_name=name,
                state=state,
            )
            self._events.publish(seen)
            self.hear(seen)
        return [one for one in self.of(conversation_id) if one.user_id != actor.user_id]

    def _is_news(self, user_id: UserId, conversation_id: ConversationId, state: Presence) -> bool:
        """Asked once for each thing that is said: who gets True tells it."""
        key, now = (user_id, conversation_id), self._clock()
        if state is Presence.LEFT and self._shown_by[key]:
            return False
        while self._told and (oldest := next(iter(self._told.items())))[1][1] <= now - _SAME_FOR:
            del self._told[oldest[0]]
        said, _ = self._told.get(key, (None, now))
        if said is state:
            return False
        self._told.pop(key, None)
        if len(self._told) >= _MOST_CONVERSATIONS:
            del self._told[next(iter(self._told))]
        self._told[key] = (state, now)  # the newest stands last
        return True

    def hear(self, seen: ColleagueSeen) -> None:
        """To be called with what comes over the bus."""
        there = self._seen.pop(seen.conversation_id, {})
        now = self._clock()
        there = {user: (one, until) for user, (one, until) in there.items() if until > now and user != seen.user_id}
        if seen.state is not Presence.LEFT and len(there) < _MOST_COLLEAGUES:
            there[seen.user_id] = (seen, now + GOOD_FOR[seen.state])
        if there:
            self._seen[seen.conversation_id] = there  # the newest stands last
            if len(self._seen) > _MOST_CONVERSATIONS:
                del self._seen[next(iter(self._seen))]

    def of(self, conversation_id: ConversationId) -> Sequence[Colleague]:
        """Who is there at this moment, as far as this process heard."""
        now = self._clock()
        return [
            Colleague(
                user_id=one.user_id, display_name=one.display_name, state=one.state, good_for=round(until - now, 1)
            )
            for one, until in self._seen.get(conversation_id, {}).values()
            if until > now
        ]
