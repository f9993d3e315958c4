"""What goes in and out of storage: values of the database port, shaped for the work that is done with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from inbox.domain.access import Grant
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId, TurnId, UserId
from inbox.domain.inbound import InboundMessage, InboundStatus, Unknown
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.domain.work import Lane


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


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """An item that cannot be applied: kept, counted, shown, replayable."""

    delivery_id: DeliveryId
    position: int
    item: Unknown


class InboundBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Decoded deliveries, flattened. Applying is idempotent and independent of order.

    `quiet_for` is the bot's quiet period: a new message makes a turn due that much later.
    """

    messages: Sequence[Received] = ()
    statuses: Sequence[InboundStatus] = ()
    set_aside: Sequence[SetAside] = ()
    done: Sequence[DeliveryId] = ()
    undecodable: Sequence[tuple[DeliveryId, str]] = ()
    quiet_for: timedelta = timedelta(seconds=3)


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
    content: Content
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


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attempt, to be written if the token still fits.

    `state` is where the row goes; `wait` when it goes back to `queued`; `pause` stops the account with a reason.
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
    unknown_for: timedelta | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """To whom an object belongs."""

    account_id: AccountId
    conversation_id: ConversationId


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An outbound message with its row in the outbox. `epoch` is set for the bot only."""

    id: MessageId
    account_id: AccountId
    conversation_id: ConversationId
    content: Content
    author: Author
    author_id: UserId | None
    at: datetime
    expires_at: datetime
    client_id: str | None = None
    epoch: int | None = None
    turn_id: TurnId | None = None
    part: int = 0


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """Scope of a key: account, caller and call. `request_hash` tells whether the body is the same."""

    account_id: AccountId
    caller: UserId
    call: str
    key: str
    request_hash: bytes


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the bot reads it."""

    id: MessageId
    is_inbound: bool
    author: str | None
    content_text: str | None
    content: Content | None
    at: datetime


class BotTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer in the making."""

    id: TurnId
    account_id: AccountId
    conversation_id: ConversationId
    trigger_message_id: MessageId
    epoch: int


class AppSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An app secret that an account has of its own: it proves deliveries about this phone number id only."""

    phone_number_id: str
    secret: bytes

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
