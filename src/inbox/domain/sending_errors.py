"""What a message of ours cannot be, or be used for any more. Kinds and codes as in `inbox.domain.errors`."""

from collections.abc import Sequence

import msgspec

from inbox.domain.errors import InboxError, Kind


class ConversationIdRequired(InboxError):
    kind = Kind.REFUSED
    code = "conversation_id_required"


class InvalidPayload(InboxError):
    """No text, or none that WhatsApp takes."""

    kind = Kind.REFUSED
    code = "invalid_payload"

    def __init__(self, path: str, message: str) -> None:
        """As for `Invalid`."""
        super().__init__(f"{path}: {message}")
        self.errors = [{"path": path, "message": message}]


class ReactionRefused(InboxError):
    """WhatsApp would refuse it, or drop it without a word."""

    kind = Kind.CONFLICT
    code = "reaction_not_possible"
    message = "Only messages of the last 30 days that WhatsApp has can be reacted to."


class ConversationMoved(InboxError):
    """Somebody else was faster than whoever is about to answer. Nothing is stored."""

    kind = Kind.CONFLICT
    code = "conversation_moved"
    message = "Somebody else has added to the conversation since it was looked at."

    def __init__(self, added: Sequence[msgspec.Struct], *, has_more: bool) -> None:
        """`added` is what they added, as screens show it, oldest first; `has_more`: there is more than that."""
        super().__init__()
        self.added = added
        self.has_more = has_more


class MessageNotQueued(InboxError):
    """It left, may have left, or is over."""

    kind = Kind.CONFLICT
    code = "message_not_queued"
    message = "Only a message that still waits to be sent can be cancelled."


class MessageCancelled(InboxError):
    """The outcome of a message that a person took back or gave up: nothing is wrong with WhatsApp."""

    kind = Kind.CONFLICT
    code = "message_cancelled"
    message = "A person has cancelled this message, or given it up."


class MessageNotUndecided(InboxError):
    """It waits, was accepted, or somebody decided already."""

    kind = Kind.CONFLICT
    code = "message_not_undecided"
    message = "Only what failed, or may have been sent without a word, can be sent again or given up, and that once."


class TooManyScheduled(InboxError):
    """A conversation is no calendar, and its list of them is one page."""

    kind = Kind.CONFLICT
    code = "too_many_scheduled"
    message = "At most 100 messages of a conversation can wait for their time."
