"""What goes in and out of storage: values of the database port, shaped for the work that is done with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from inbox.domain.access import Grant
from inbox.domain.accounts import Channel
from inbox.domain.bot import Mode
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.events import Event
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId, TurnId, UserId
from inbox.domain.inbound import Effect, InboundMessage, InboundStatus, Unknown
from inbox.domain.media import MediaState
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.domain.outgoing import Sendable
from inbox.domain.work import Lane
from inbox.ports.media import Stored
from inbox.ports.views import MessageItem


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One stored POST of Meta. `traceparent` (W3C) names the trace it belongs to, if there is one."""

    id: DeliveryId
    lane: str
    body: bytes
    received_at: datetime
    tries: int
    traceparent: str | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """An inbound message with the id it will have; `position` is its place in its delivery."""

    id: MessageId
    delivery_id: DeliveryId
    position: int
    message: InboundMessage
    traceparent: str | None = None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An effect with its place in its delivery."""

    delivery_id: DeliveryId
    position: int
    effect: Effect


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """An item that cannot be applied: kept, counted, shown, replayable."""

    delivery_id: DeliveryId
    position: int
    item: Unknown


class InboundBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Decoded deliveries, flattened. Applying is idempotent and independent of order.

    `quiet_for` is the bot's quiet period: a new message makes a turn due that much later, `gather_for` after the first
    one at the latest.
    """

    messages: Sequence[Received] = ()
    statuses: Sequence[InboundStatus] = ()
    effects: Sequence[Placed] = ()
    set_aside: Sequence[SetAside] = ()
    done: Sequence[DeliveryId] = ()
    undecodable: Sequence[tuple[DeliveryId, str]] = ()
    quiet_for: timedelta = timedelta(seconds=3)
    gather_for: timedelta = timedelta(seconds=10)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch really changed: repetitions change nothing."""

    new_messages: int
    new_statuses: int
    unrouted: int


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a send lane, claimed with a fresh token."""

    id: MessageId
    account_id: AccountId
    conversation_id: ConversationId
    channel: Channel
    is_paused: bool
    to: Address
    content: Content | Sendable
    attempt: int
    token: UUID
    author: Author
    reply_to_wamid: str | None
    traceparent: str | None = None


class HeadTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What a send lane holds: a message to send, a wait, or nothing."""

    lane: Lane
    head: Outgoing | None = None
    wait: timedelta | None = None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is the caller's to send, and the lane that it holds for it."""

    lane: Lane
    head: Outgoing


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A usual line that is stored.

    `is_prompt`: its turn comes at once, its lane waits for nothing. `claimed` if it is the caller's to send.
    """

    is_prompt: bool
    claimed: Claimed | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attempt, to be written if the token still fits.

    `state` is where the row goes; `wait` when it goes back to `queued`; `pause` stops the account for this reason;
    `throttled` is what WhatsApp found too fast: the `number` or the `pair`; `rests` is how long nothing of the number
    leaves from now on.
    """

    message_id: MessageId
    account_id: AccountId
    token: UUID
    state: State
    wamid: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    reason: str | None = None
    wait: timedelta | None = None
    pause: str | None = None
    throttled: Literal["number", "pair"] | None = None
    rests: timedelta | None = None
    unknown_for: timedelta | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """To whom an object belongs."""

    account_id: AccountId
    conversation_id: ConversationId


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An outbound message with its row in the outbox. `epoch` is set for the bot only.

    `by_program` says that no person wrote it, but a program with an API key. `reply_to_wamid` is what it quotes.
    `send_at` is set for one that waits for its time. `text` is what the conversation shows where the content alone does
    not tell.
    """

    id: MessageId
    account_id: AccountId
    conversation_id: ConversationId
    content: Content | Sendable
    author: Author
    author_id: UserId | None
    at: datetime
    expires_at: datetime
    client_id: str | None = None
    epoch: int | None = None
    turn_id: TurnId | None = None
    part: int = 0
    by_program: bool = False
    reply_to_wamid: str | None = None
    send_at: datetime | None = None
    text: str | None = None


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """Scope of a key: caller and call. `request_hash` tells whether the body is the same."""

    account_id: AccountId
    caller: UserId
    call: str
    key: str
    request_hash: bytes


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A message that WhatsApp took and failed later, about which a person has just decided.

    `event` is what everybody is told, `reply_to_wamid` what it quotes.
    """

    event: Event
    reply_to_wamid: str | None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A message that another one can quote or react to. `at` is its time."""

    wamid: str
    at: datetime


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """What others added to a thread, oldest first. `newest_at` is the time of its last message, whoever wrote it."""

    messages: Sequence[MessageItem]
    newest_at: datetime | None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When the customer wrote last, and until when free text may be sent; None for never."""

    last_inbound_at: datetime | None
    expires_at: datetime | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the bot reads it. `by_program` says that no person wrote it, but a program with an API key."""

    id: MessageId
    is_inbound: bool
    author: str | None
    content_text: str | None
    content: Content | None
    at: datetime
    by_program: bool = False


class BotTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer in the making."""

    id: TurnId
    account_id: AccountId
    conversation_id: ConversationId
    trigger_message_id: MessageId
    epoch: int
    mode: Mode = Mode.AUTO


class PendingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's file that is still only at WhatsApp. `kind` is the message type, `mime_type` WhatsApp's word.

    `blocked_for` is the time for which the account should ask for no file: too many calls failed of late.
    """

    message_id: MessageId
    account_id: AccountId
    media_id: str
    kind: str | None
    mime_type: str | None
    expected_sha256: str | None
    expires_at: datetime
    tries: int
    blocked_for: timedelta | None = None


class MediaOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt to keep a file; `pending` if it is tried again."""

    state: MediaState
    reason: str | None = None
    stored: Stored | None = None


class FilesOfConversation(msgspec.Struct, frozen=True, kw_only=True):
    """How many files of a conversation stand where, and the messages whose files still have to be fetched."""

    counts: Mapping[MediaState, int]
    waiting: Sequence[MessageId]


class AppSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An app secret that an account has of its own: it proves deliveries about this number and this WABA only."""

    phone_number_id: str
    secret: bytes
    waba_id: str | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"AppSecret(phone_number_id={self.phone_number_id!r})"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of permission codes."""

    id: UUID
    slug: str
    name: str
    description: str | None
    permissions: tuple[str, ...]


class RoleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to write anew; UNSET leaves a value as it is."""

    slug: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    permissions: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What a change named and nothing stored has."""

    roles: frozenset[UUID]
    accounts: frozenset[UUID]
    codes: frozenset[str]


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a program. Of its secret only the SHA-256 is stored; `hint` is what people recognise it by."""

    id: UUID
    name: str
    digest: bytes
    hint: str
    grants: tuple[Grant, ...]
    created_by: UserId
    created_at: datetime
    expires_at: datetime | None
