"""What screens are shown: shaped once, by the query, and returned as they are. Keys are those of the REST contract.

The items of lists are positional, so that a row becomes an item without a mapping in between: the columns of a query
have the order of the fields.
"""

from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.domain.access import Expanded
from inbox.domain.bot import Mode
from inbox.domain.bot_profile import Behaviour, CustomField, TemplateConfig
from inbox.domain.inbound import Severity
from inbox.domain.media import MediaState
from inbox.domain.messages import Status

Timestamp: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with `Z` and always six digits: front ends sort these strings and page by them."""
Direction: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": ["inbound", "outbound"]})]
MediaWord: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(MediaState)})]
TypedContent: TypeAlias = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object", "required": ["type"]})]
"""JSON as it is stored: `type` says which kind of `domain.content` it is."""
Context: TypeAlias = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
Stored: TypeAlias = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
BotMode: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(Mode)})]
MessageStatus: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(Status)})]


class AccountItem(msgspec.Struct, frozen=True):
    """A number. `read_receipts` and `typing_indicators` say what its customers are told."""

    id: UUID
    name: str
    slug: str
    phone_number: str | None
    phone_number_id: str
    read_receipts: bool
    typing_indicators: bool


class ContactName(msgspec.Struct, frozen=True):
    display_name: str | None
    whatsapp_number: str


class ConversationRow(msgspec.Struct, frozen=True):
    """The plain row, without the contact: front ends merge it over their list item."""

    id: UUID
    contact_id: UUID | None
    account_id: UUID
    client_number: str
    is_group: bool
    is_favorite: bool
    unread_count: int
    status: str
    updated_at: Timestamp
    bot_enabled: bool
    bot_last_reply_at: Timestamp | None
    window_expires_at: Timestamp | None
    handed_over_at: Timestamp | None
    handover_reason: str | None
    free_entry_until: Timestamp | None
    assignee_id: UUID | None
    bot_mode: BotMode
    """`auto` exactly if `bot_enabled`; with `suggest` the assistant writes for the team only."""
    preferences: dict[str, str]
    """What the customer told WhatsApp about a category of messages: `{"marketing_messages": "stop"}`."""


class ConversationItem(ConversationRow, frozen=True):
    """One line of the list. `contacts` is one object or null, in spite of its name."""

    contacts: ContactName | None


class ReactionItem(msgspec.Struct, frozen=True, kw_only=True):
    """`sender` is the customer (`contact`) or our side (`business`)."""

    emoji: str
    sender: Annotated[str, Meta(extra_json_schema={"enum": ["contact", "business"]})] = msgspec.field(name="from")
    at: Timestamp


class MessageItem(msgspec.Struct, frozen=True):
    """One bubble. `delivery_state` is the inner state of an outbound message; `status` knows six words only.

    `error_message` says why it failed, and what to do about it if it is `unconfirmed`.

    `content` is the typed content and `context` what came with it (forwarded, the advertisement); a revoked message
    and those of the existing system have no content. `media_state` is that of the file in our own store.
    `scheduled_at` is the time for which a message was scheduled: until then it stands where it was written, later where
    it was sent.
    """

    id: UUID
    conversation_id: UUID
    direction: Direction
    content_text: str | None
    timestamp: Timestamp
    wa_message_id: str | None
    message_type: str | None
    status: MessageStatus | None
    media_id: str | None
    media_mime_type: str | None
    media_filename: str | None
    error_message: str | None
    actor: str | None
    client_id: str | None
    delivery_state: str | None
    content: TypedContent | None
    reply_to_wamid: str | None = None
    edited_at: Timestamp | None = None
    revoked_at: Timestamp | None = None
    context: Context | None = None
    reactions: tuple[ReactionItem, ...] = ()
    reply_to_message_id: UUID | None = None
    media_state: MediaWord | None = None
    scheduled_at: Timestamp | None = None


class MoreOfMessage(msgspec.Struct, frozen=True):
    """What few messages have: the fields of `MessageItem` with a default, in their order.

    `context` is JSON, `null` for most.
    """

    reply_to_wamid: str | None
    edited_at: Timestamp | None
    revoked_at: Timestamp | None
    context: msgspec.Raw
    reactions: tuple[ReactionItem, ...]
    reply_to_message_id: UUID | None
    media_state: MediaWord | None
    scheduled_at: Timestamp | None


class ScheduledItem(msgspec.Struct, frozen=True):
    """A message that waits for its time, `scheduled_at`; `timestamp` is that of the request."""

    id: UUID
    conversation_id: UUID
    scheduled_at: Timestamp
    timestamp: Timestamp
    message_type: str
    content_text: str | None
    content: TypedContent
    client_id: str | None
    reply_to_wamid: str | None


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    email: str | None
    display_name: str | None
    is_active: bool
    created_at: Timestamp


class RoleItem(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    role_id: UUID
    role_slug: str | None
    role_name: str | None
    account_id: UUID | None


class OverrideItem(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    permission_code: str
    account_id: UUID | None
    is_allowed: bool


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `/auth/me`."""

    id: UUID
    email: str | None
    profile: ProfileRow
    permissions: Expanded
    roles: list[RoleItem]
    overrides: list[OverrideItem]


class PermissionItem(msgspec.Struct, frozen=True):
    code: str
    label: str | None
    description: str | None


class RoleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A role. `permissions` are sorted in lists, and in the order given in the answer to a change."""

    id: UUID
    slug: str
    name: str
    description: str | None
    created_at: Timestamp
    permissions: list[str]


class UserOverride(msgspec.Struct, frozen=True, kw_only=True):
    """As in `/auth/me`, with the user's id, which administrators get."""

    id: UUID
    user_id: UUID
    permission_code: str
    account_id: UUID | None
    is_allowed: bool


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    email: str | None
    display_name: str | None
    is_active: bool
    created_at: Timestamp
    roles: list[RoleItem]
    overrides: list[UserOverride]


class ApiKeyGrant(msgspec.Struct, frozen=True, kw_only=True):
    permission_code: str
    account_id: UUID | None


class ApiKeyItem(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a program, without its secret; `hint` shows the beginning."""

    id: UUID
    name: str
    hint: str
    permissions: list[ApiKeyGrant]
    created_by: UUID | None
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None


class AuditItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit trail."""

    id: UUID
    at: Timestamp
    actor_kind: str
    actor_id: UUID | None
    action: str
    target: str | None
    account_id: UUID | None
    details: dict[str, str | int | bool | list[str] | None]


class NoticeItem(msgspec.Struct, frozen=True, kw_only=True):
    """What Meta said about a WABA, a number or a template. `raw` is what it is made of, in Meta's words.

    `account_id` is null if it is about several accounts, or about none that is connected.
    """

    id: UUID
    account_id: UUID | None
    waba_id: str | None
    field: str
    event: str
    severity: Annotated[str, Meta(extra_json_schema={"enum": list(Severity)})]
    text: str
    occurred_at: Timestamp
    received_at: Timestamp
    raw: Stored


class PreferenceItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer told WhatsApp about a category of messages of one account: `stop` or `resume`."""

    account_id: UUID
    category: str
    value: str
    changed_at: Timestamp


class ContactItem(msgspec.Struct, frozen=True):
    id: UUID
    whatsapp_number: str
    display_name: str | None
    created_at: Timestamp
    preferences: list[PreferenceItem]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in our own store: bytes, type by content, and SHA-256 in hexadecimal digits."""

    size: int
    mime_type: str
    sha256: str

    @property
    def etag(self) -> str:
        """Strong: equal files have equal ones (RFC 9110)."""
        return f'"{self.sha256}"'


class MediaRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of the file of a message. `filename` may be a hash.

    Broken rows have no conversation, or no account either. A file of ours lies in the store under `upload_id`.
    """

    account_id: UUID | None
    conversation_id: UUID | None
    message_type: str | None
    media_id: str | None
    mime_type: str | None
    filename: str | None
    upload_id: UUID | None = None
    stored: StoredFile | None = None


class BotProfileRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant knows. While nothing is stored its texts are empty, `id` and `updated_at` are left out."""

    id: UUID | msgspec.UnsetType = msgspec.UNSET
    account_id: UUID
    business_name: str | None
    description: str | None
    address: str | None
    hours: str | None
    knowledge_base: str | None
    custom_fields: list[CustomField]
    updated_at: Timestamp | msgspec.UnsetType = msgspec.UNSET
    template_config: TemplateConfig
    behaviour: Behaviour = Behaviour()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a send so far. `state` is the inner state.

    `is_postponed`: it waits in a lane that was given back, or whose number rests, and that nobody works on, so it may
    take a while.
    """

    id: UUID
    state: str
    is_postponed: bool
    wamid: str | None
    error_code: int | None
    error_message: str | None
    reason: str | None


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """Open work of one kind: how many lanes wait, and for how many seconds the oldest is due."""

    kind: str
    waiting: int
    oldest_seconds: float
