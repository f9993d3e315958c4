"""Two people must not answer past each other: who answers may say what they saw last of the conversation.

What is compared is the order of the thread. WhatsApp stamps what customers write with whole seconds and may be late:
such a message takes its place above what was shown as the newest. Whoever names that one is not refused, because those
who saw the late message name the same one, and would be refused for ever.
"""

from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.errors import Invalid
from inbox.domain.ids import MessageId
from inbox.domain.sending_errors import ConversationMoved
from inbox.ports.database import Transaction
from inbox.ports.records import NewMessage

MOST_SHOWN: Final = 20
"""How much of what others added whoever missed it is shown."""
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""By how much the clocks of processes, and Meta's, may differ; what is further ahead is no matter of clocks."""
_TICK: Final = timedelta(microseconds=1)


class LastSeen(msgspec.Struct, frozen=True):
    """The newest message that the sender of another one saw; None if there was none to see."""

    message_id: MessageId | None


async def behind_all(tx: Transaction, new: NewMessage, last_seen: LastSeen, *, may_read: bool) -> NewMessage:
    """The message, with its place behind everything that the locked conversation has.

    So whoever saw less is told of it, whatever the clocks say. Raises `ConversationMoved` if somebody else added
    something, which is shown if the sender `may_read`, and `Invalid` for a message that the conversation does not have.
    """
    found = await tx.messages.unseen(
        new.account_id, new.conversation_id, last_seen.message_id, by=new.author_id, limit=MOST_SHOWN + 1
    )
    if found is None:
        raise Invalid("body.expected_last_message_id", "a message of this conversation")
    if found.messages:
        shown = found.messages[-MOST_SHOWN:] if may_read else []
        raise ConversationMoved(shown, has_more=len(shown) < len(found.messages))
    if found.newest_at is None or not new.at <= found.newest_at < new.at + _CLOCKS_DIFFER:
        return new
    return msgspec.structs.replace(new, at=found.newest_at + _TICK)
