"""What of the event log somebody is told, with the rows that the events are about."""

from collections.abc import Iterable, Sequence

from inbox.domain.access import Permission, Reach
from inbox.domain.events import Event, kind_of
from inbox.domain.feed import Cursor, View
from inbox.domain.feed_errors import CursorExpired
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.ports.feed import Delivered, EventLog, Logged, WantedConversation, WantedMessage
from inbox.ports.views import ConversationItem, MessageItem

_OF_CONVERSATIONS = ("conversation.", "bot.")
_STRETCH = 50_000
"""Events of the log that one statement looks at: who wants one conversation of a log of millions gets on as well."""


class Feeding:
    """Reads for those who are behind, and completes what is told."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def behind(self, view: View, after: Cursor, until: int, limit: int) -> tuple[Sequence[Logged], int]:
        """The next events after a cursor that `view` shows, and how far the log was read for them.

        That may be short of `until`, also if nothing was found. At most `limit` rows are read, of which some may not be
        shown. Raises `CursorExpired` if the log does not reach back that far.
        """
        until = min(until, after.id + _STRETCH)
        rows = await self._log.read_within(_reach(view), view.interest, after.id, until, limit)
        state = await self._log.state()  # after the rows: what is gone by now may have been missing among them
        if state.generation != after.generation or after.id < state.floor:
            raise CursorExpired
        shown = [row for row in rows if row.event is not None and view.shows(row.event)]
        return shown, until if len(rows) < limit else rows[-1].id

    async def delivered(self, generation: str, logged: Sequence[Logged]) -> list[Delivered]:
        """With their messages and conversations as they are now: two statements at most."""
        events = [row.event for row in logged if row.event is not None]
        messages, conversations = await self._messages(events), await self._conversations(events)
        return [
            Delivered(
                cursor=str(Cursor(generation, row.id)),
                at=row.at,
                event=row.event,
                message=messages.get(wanted[2]) if (wanted := _message_of(row.event)) else None,
                conversation=conversations.get(of[1]) if (of := _conversation_of(row.event)) else None,
            )
            for row in logged
            if row.event is not None
        ]

    async def _messages(self, events: Iterable[Event]) -> dict[MessageId, MessageItem]:
        wanted = {found for event in events if (found := _message_of(event))}
        return await self._log.messages(wanted) if wanted else {}

    async def _conversations(self, events: Iterable[Event]) -> dict[ConversationId, ConversationItem]:
        wanted = {found for event in events if (found := _conversation_of(event))}
        return await self._log.conversations(wanted) if wanted else {}


def _message_of(event: Event) -> WantedMessage | None:
    message_id: MessageId | None = getattr(event, "message_id", None)
    if message_id is None or event.account_id is None or event.conversation_id is None:
        return None
    return event.account_id, event.conversation_id, message_id


def _conversation_of(event: Event) -> WantedConversation | None:
    """Only of events that need the right to see conversations: that of messages shows no lines of the list."""
    if event.account_id is None or event.conversation_id is None:
        return None
    return (event.account_id, event.conversation_id) if kind_of(event).startswith(_OF_CONVERSATIONS) else None


def _reach(view: View) -> Reach:
    """All accounts of which any event may be shown: what the statement reads; `View` decides about each."""
    reaches = [view.actor.reach(code) for code in Permission]
    if any(reach.everywhere for reach in reaches):
        return Reach(everywhere=True, accounts=())
    accounts: set[AccountId] = {account for reach in reaches for account in reach.accounts}
    return Reach(everywhere=False, accounts=tuple(sorted(accounts)))
