"""Who sees which event, and where in the log somebody stands."""

import re
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.events import Event, kind_of
from inbox.domain.feed_errors import CursorExpired
from inbox.domain.ids import AccountId, ConversationId

_CURSOR: Final = re.compile(r"([0-9a-f]{12})-([0-9]{1,18})", re.ASCII)
SEEN_WITH: Final = {
    "message": Permission.MESSAGES_VIEW,
    "conversation": Permission.CONVERSATIONS_VIEW,
    "bot": Permission.CONVERSATIONS_VIEW,
    "contact": Permission.CONTACTS_VIEW,
    "account": Permission.ACCOUNTS_VIEW,
    "template": Permission.MESSAGES_VIEW,
}
"""By the first word of an event's kind: the code that shows the same thing in REST."""


class Cursor(msgspec.Struct, frozen=True):
    """Everything up to the event with this number was seen.

    `generation` names one unbroken history of the log: a restored or failed-over database begins another one, in which
    the numbers mean something else.
    """

    generation: str
    id: int

    def __str__(self) -> str:
        """Opaque to clients, and safe in an URL and a header."""
        return f"{self.generation}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises `CursorExpired` for what was never a cursor too: the remedy is the same."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise CursorExpired
        return cls(found[1], int(found[2]))


class Horizon:
    """Up to which number of the log everything is decided: committed and to be seen, or never to be there.

    Numbers are drawn before they are committed, so the greatest number that is seen says nothing about smaller ones.
    Whoever draws one is a *writer* from before the draw until what it wrote can be seen. So of all numbers drawn at one
    moment, those who were writers a moment later decide: when the last of them is over, so are the numbers.
    """

    def __init__(self) -> None:
        self._last = 0
        self._writers: frozenset[str] = frozenset()
        self._waits_for: int | None = None

    @property
    def is_waiting(self) -> bool:
        """True while there are numbers that writers have not decided: it is worth looking again soon."""
        return self._waits_for is not None

    def look(self, last: int, writers: frozenset[str]) -> int:
        """The number up to which all is decided: what is read of the log after this call has every event up to it.

        `last` is the greatest number that was ever drawn, `writers` were read *after* it.
        """
        if self._waits_for is not None:
            self._writers &= writers
            if not self._writers:
                self._last, self._waits_for = self._waits_for, None
        if self._waits_for is None and last > self._last:
            if writers:
                self._waits_for, self._writers = last, writers
            else:
                self._last = last
        return self._last


class Interest(msgspec.Struct, frozen=True):
    """What somebody wants to hear of; None means all they may see. `presence`: also what colleagues do."""

    accounts: frozenset[AccountId] | None = None
    conversations: frozenset[ConversationId] | None = None
    presence: bool = False

    def keys(self) -> tuple[UUID | None, ...]:
        """The narrowest things that are wanted, or None for all: who wants something is looked up by them."""
        narrowest = self.accounts if self.conversations is None else self.conversations
        return (None,) if narrowest is None else tuple(narrowest)

    def wants(self, account_id: AccountId | None, conversation_id: ConversationId | None) -> bool:
        """Events of no account, about a contact for one, are for those who want all accounts."""
        if self.conversations is not None and conversation_id not in self.conversations:
            return False
        return self.accounts is None or account_id in self.accounts


class View:
    """What one person sees of the log: their rights and what they want, with the answers remembered."""

    def __init__(self, actor: Actor, interest: Interest) -> None:
        self.actor = actor
        self.interest = interest
        self._known: dict[tuple[Permission, AccountId | None], bool] = {}

    def is_of(self, actor: Actor) -> bool:
        """True if the rights of `actor` are those of this view; the order of grants never matters."""
        return actor.is_active == self.actor.is_active and set(actor.grants) == set(self.actor.grants)

    def shows(self, event: Event) -> bool:
        return self.interest.wants(event.account_id, event.conversation_id) and self.may(
            seen_with(event), event.account_id
        )

    def hears(self, account_id: AccountId, conversation_id: ConversationId) -> bool:
        """True if what colleagues do in the conversation is to be told."""
        is_wanted = self.interest.presence and self.interest.wants(account_id, conversation_id)
        return is_wanted and self.may(Permission.CONVERSATIONS_VIEW, account_id)

    def may(self, code: Permission, account_id: AccountId | None) -> bool:
        """The rule of REST: for an account, or everywhere for what belongs to none."""
        key = (code, account_id)
        if key not in self._known:
            self._known[key] = self.actor.holds(code) if account_id is None else self.actor.may(code, account_id)
        return self._known[key]


def require_any(actor: Actor) -> None:
    """Raises `PermissionDenied` for who may see no kind of event anywhere."""
    if not any(actor.may_anywhere(code) for code in (Permission.MESSAGES_VIEW, Permission.CONVERSATIONS_VIEW)):
        actor.require_anywhere(Permission.ACCOUNTS_VIEW)


def seen_with(event: Event) -> Permission:
    """The code that is needed to be told."""
    return SEEN_WITH[kind_of(event).partition(".")[0]]
