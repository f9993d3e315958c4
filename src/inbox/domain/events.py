"""What changed, as the event log tells it: which thing, and in which way.

Rows stay for days, so no event holds what a customer wrote or what somebody is called: whoever is told of a change gets
the message and the conversation as they are then.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.domain.access import Actor, ActorKind
from inbox.domain.conversations import HandoverReason
from inbox.domain.ids import AccountId, ContactId, ConversationId, MessageId, UserId
from inbox.domain.inbound import Severity
from inbox.domain.media import MediaState
from inbox.domain.messages import Author, Status
from inbox.domain.outbound import State

Moment: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with `Z` and six digits, as in every answer."""


class By(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. `id` is that of the person, or of the program's API key; the service itself has none."""

    kind: ActorKind
    id: UUID | None

    @classmethod
    def actor(cls, actor: Actor) -> "By":
        return cls(kind=actor.kind, id=None if actor.kind is ActorKind.SYSTEM else actor.user_id)


SERVICE: Final = By(kind=ActorKind.SYSTEM, id=None)
"""Nobody did it: a webhook came, a time was over, the assistant answered."""


class _OfConversation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    account_id: AccountId
    conversation_id: ConversationId


class _OfMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Rows of the existing system may lie outside of any conversation."""

    account_id: AccountId
    conversation_id: ConversationId | None
    message_id: MessageId


class _OfAccount(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    account_id: AccountId
    conversation_id: None = None


# --- messages ---------------------------------------------------------------------------------------------------------


class MessageCreated(_OfConversation, frozen=True, kw_only=True, tag="message.created"):
    """A bubble more. `author_id` is the person or API key that wrote it, `client_id` the caller's own name for it.

    `delivery_state` is that of a message of ours: `scheduled` stands where it was written until its time comes.
    """

    message_id: MessageId
    direction: Literal["inbound", "outbound"]
    message_type: str
    status: Status
    author: Author
    author_id: UUID | None = None
    client_id: str | None = None
    delivery_state: State | None = None


class MessageStep(StrEnum):
    """What became of what a message says."""

    EDITED = "edited"
    REVOKED = "revoked"
    CONTENT = "content"
    """Its real content came after a placeholder."""
    CONTEXT = "context"
    """What it quotes, what led to it, or when it was written became known."""


class MessageUpdated(_OfMessage, frozen=True, kw_only=True, tag="message.updated"):
    """It says something else than before."""

    change: MessageStep


class StatusChanged(_OfMessage, frozen=True, kw_only=True, tag="message.status"):
    """Where a message of ours stands. `delivery_state` is null if the inner state is that of before, or there is none.

    `claimed` and `wire`, which last for moments, are not told, but what follows them is. `wa_message_id` is null if
    nobody knows it or if it does not matter, `error_code` is Meta's, `reason` our own word for why it was not sent.
    `timestamp` is there if the message has another place in its conversation now.
    """

    status: Status
    wa_message_id: str | None = None
    delivery_state: State | None = None
    error_code: int | None = None
    reason: str | None = None
    timestamp: Moment | None = None


class MediaChanged(_OfMessage, frozen=True, kw_only=True, tag="message.media"):
    """What became of the message's file; `reason` is a word of ours, if it could not be had."""

    media_state: MediaState
    reason: str | None


class ReactionChanged(_OfMessage, frozen=True, kw_only=True, tag="message.reaction"):
    """The reaction of one side to the message; null as `emoji`: it was taken back."""

    emoji: str | None
    sender: Literal["contact", "business"] = msgspec.field(name="from")
    at: Moment


class MessageDoubled(_OfMessage, frozen=True, kw_only=True, tag="message.doubled"):
    """WhatsApp took one message twice. It must never happen, so people are told."""

    wa_message_id: str | None
    other_wa_message_id: str


# --- conversations ----------------------------------------------------------------------------------------------------


class Cause(StrEnum):
    """Why a line of the list is another one. `history`, `thread`: open threads are to be read anew as well."""

    MESSAGE = "message"
    """Something was written in either direction: place in the list, unread count, window."""
    HISTORY = "history"
    """Older messages were filled in."""
    WINDOW = "window"
    """The customer service window closed, or the free entry point moved."""
    CONTACT = "contact"
    """Name or number of its contact, or whose conversation it is."""
    PREFERENCES = "preferences"
    THREAD = "thread"
    """It took in the messages of another conversation."""


class ConversationCreated(_OfConversation, frozen=True, kw_only=True, tag="conversation.created"):
    by: By


class ConversationUpdated(_OfConversation, frozen=True, kw_only=True, tag="conversation.updated"):
    """Its line of the list is another one. One of each transaction, however much it changed."""

    cause: Cause


class ConversationRead(_OfConversation, frozen=True, kw_only=True, tag="conversation.read"):
    unread_count: int
    by: By


class ConversationUnread(_OfConversation, frozen=True, kw_only=True, tag="conversation.unread"):
    unread_count: int
    by: By


class FavoriteSet(_OfConversation, frozen=True, kw_only=True, tag="conversation.favorite"):
    is_favorite: bool
    by: By


class BotSwitched(_OfConversation, frozen=True, kw_only=True, tag="conversation.bot"):
    """The operator's switch. It ends a hand-over; answers of an older `epoch` do not go out any more.

    `suggests`: the assistant writes for people only.
    """

    enabled: bool
    suggests: bool = False
    epoch: int
    by: By


class BotHandedOver(_OfConversation, frozen=True, kw_only=True, tag="bot.handed_over"):
    """A person has to go on."""

    reason: HandoverReason
    bot_enabled: bool


class BotSuggested(_OfConversation, frozen=True, kw_only=True, tag="bot.suggested"):
    """There is another suggestion for the team, an answer to everything up to the message."""

    message_id: MessageId


class BotSummarised(_OfConversation, frozen=True, kw_only=True, tag="bot.summarised"):
    """What happened before a hand-over can be read now."""


class ConversationMerged(_OfConversation, frozen=True, kw_only=True, tag="conversation.merged"):
    """The conversation is gone: its messages are in another one of the same account."""

    into: ConversationId


class ConversationAssigned(_OfConversation, frozen=True, kw_only=True, tag="conversation.assigned"):
    """Whose conversation it is now; null: nobody's."""

    assignee_id: UserId | None
    by: By


# --- accounts and what belongs to them --------------------------------------------------------------------------------


class AccountStep(StrEnum):
    """What happened to an account. `limits`: how fast its number may send."""

    CREATED = "created"
    CHANGED = "changed"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    LIMITS = "limits"


class AccountUpdated(_OfAccount, frozen=True, kw_only=True, tag="account.updated"):
    """`changed` names what was written, never what it says."""

    change: AccountStep
    changed: tuple[str, ...] = ()


class AccountPaused(_OfAccount, frozen=True, kw_only=True, tag="account.paused"):
    """WhatsApp refuses to serve it: messages wait. `reason` is a word of ours."""

    reason: str


class AccountResumed(_OfAccount, frozen=True, kw_only=True, tag="account.resumed"):
    """Messages go out again."""


class NoticeStored(_OfAccount, frozen=True, kw_only=True, tag="account.notice"):
    """Meta said something about the number, its WABA or a template of it: quality, limits, status."""

    notice_id: UUID
    field: str
    event: str
    severity: Severity
    text: str


class TemplateUpdated(_OfAccount, frozen=True, kw_only=True, tag="template.updated"):
    """What is known of a message template is something else than before."""

    template_id: UUID
    name: str
    language: str
    status: str | None


# --- contacts ---------------------------------------------------------------------------------------------------------


class ContactStep(StrEnum):
    CREATED = "created"
    """It is shown from now on."""
    CHANGED = "changed"
    MERGED = "merged"
    """It is gone: it is part of another one."""
    DELETED = "deleted"


class ContactUpdated(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="contact.updated"):
    """Contacts belong to all accounts: those whose lists show the name are told by `conversation.updated`."""

    account_id: None = None
    conversation_id: None = None
    contact_id: ContactId
    change: ContactStep
    into: ContactId | None = None


Event: TypeAlias = (
    MessageCreated
    | MessageUpdated
    | StatusChanged
    | MediaChanged
    | ReactionChanged
    | MessageDoubled
    | ConversationCreated
    | ConversationUpdated
    | ConversationRead
    | ConversationUnread
    | FavoriteSet
    | BotSwitched
    | BotHandedOver
    | BotSuggested
    | BotSummarised
    | ConversationMerged
    | ConversationAssigned
    | AccountUpdated
    | AccountPaused
    | AccountResumed
    | NoticeStored
    | TemplateUpdated
    | ContactUpdated
)
"""One row of the log, visible exactly if its change is."""


def kind_of(event: Event) -> str:
    """The word by which front ends know it."""
    return str(event.__struct_config__.tag)
