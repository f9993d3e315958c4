"""The event log as its readers see it: numbered, and final up to a number that rises.

All methods raise `DatabaseUnavailable` and `DatabaseTimeout`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from inbox.domain.access import Reach, Subject
from inbox.domain.events import Event
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.ports.views import ConversationItem, MessageItem, Timestamp

WantedConversation: TypeAlias = tuple[AccountId, ConversationId]
WantedMessage: TypeAlias = tuple[AccountId, ConversationId, MessageId]


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """`generation` names the history; events up to the number `floor` may be gone."""

    generation: str
    floor: int


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What the log looks like at its end.

    `last` is the greatest number that was ever drawn; `writers` are the transactions that may have drawn a number up to
    it and were not over a moment later. When none of them is left, everything up to `last` is decided: it can be read,
    or will never be there. `rights_version` is that of `Team.rights_version`. `history` is another one after a restart,
    a crash, a failover or a restore of the database, and in another generation: what was known of writers and of
    numbers that were drawn is worth nothing then.
    """

    last: int
    writers: frozenset[str]
    rights_version: int
    history: str


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the log. None for `event` is one that a newer version of this service wrote."""

    id: int
    at: Timestamp
    event: Event | None


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is told. `cursor` says: everything up to this one was seen.

    `message` and `conversation` are what the event is about, as a thread and the list show it *now*, which may be newer
    than the event; null if there is none (any more), or it is elsewhere. They replace what a front end shows by `id`.
    """

    cursor: str
    at: Timestamp
    event: Event
    message: MessageItem | None = None
    conversation: ConversationItem | None = None


class EventLog(Protocol):
    async def begin(self) -> LogState:
        """Begins another generation, with an empty log, if the rows were written by another server than this one."""
        ...

    async def state(self) -> LogState: ...

    async def end(self) -> LogEnd: ...

    async def read(self, after: int, until: int, limit: int) -> Sequence[Logged]:
        """The first `limit` events with numbers in (after, until], by number. All accounts: the feed picks."""
        ...

    async def newest(self, until: int, limit: int) -> Sequence[Logged]:
        """The last `limit` events up to the number `until`, by number."""
        ...

    async def read_within(
        self, reach: Reach, interest: Interest, after: int, until: int, limit: int
    ) -> Sequence[Logged]:
        """The same of these accounts, and of none, only, and of what somebody wants."""
        ...

    async def has_new_lines(self, account_id: AccountId, after: int) -> bool:
        """True if an event after the number `after`, final or not, changed a line of the account's list.

        True also if events after it may be gone.
        """
        ...

    async def has_new_messages(self, account_id: AccountId, conversation_id: ConversationId, after: int) -> bool:
        """True if an event after the number `after`, final or not, is about the conversation or its messages.

        True also if events after it may be gone.
        """
        ...

    async def messages(self, wanted: Iterable[WantedMessage]) -> dict[MessageId, MessageItem]:
        """Messages as they are now, as threads show them; what is gone, or elsewhere, is missing."""
        ...

    async def conversations(self, wanted: Iterable[WantedConversation]) -> dict[ConversationId, ConversationItem]:
        """Conversations as they are now, as lists show them; what is gone is missing."""
        ...


class Tickets(Protocol):
    """Tickets stand for a caller in an URL, once and for some seconds, because tokens must never be in one."""

    async def issue(self, digest: bytes, subject: Subject, seconds: float) -> None:
        """Stores what is known of a new ticket; expired ones are removed on the way."""
        ...

    async def use(self, digest: bytes) -> Subject | None:
        """Whose ticket it was; None if it is unknown, used up or expired. Only one caller ever gets the answer."""
        ...
