"""What screens are shown: shaped once, by the query, and returned as they are. Keys are those of the REST contract.

The items of lists are positional, so that a row becomes an item without a mapping in between: the columns of a query
have the order of the fields.
"""

from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.domain.access import Expanded

Timestamp: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with `Z` and always six digits: front ends sort these strings and page by them."""


class AccountItem(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    slug: str
    phone_number: str | None
    phone_number_id: str


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


class ConversationItem(ConversationRow, frozen=True):
    """One line of the list. `contacts` is one object or null, in spite of its name."""

    contacts: ContactName | None


class MessageItem(msgspec.Struct, frozen=True):
    """One bubble. `delivery_state` is the inner state of an outbound message; `status` knows six words only."""

    id: UUID
    conversation_id: UUID
    direction: str
    content_text: str | None
    timestamp: Timestamp
    wa_message_id: str | None
    message_type: str | None
    status: str | None
    media_id: str | None
    media_mime_type: str | None
    media_filename: str | None
    error_message: str | None
    actor: str | None
    client_id: str | None
    delivery_state: str | None


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


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a send so far. `state` is the inner state."""

    id: UUID
    state: str
    wamid: str | None
    error_code: int | None
    error_message: str | None
    reason: str | None


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """Open work of one kind: how many lanes wait, and for how many seconds the oldest is due."""

    kind: str
    waiting: int
    oldest_seconds: float
