"""Reads that need no atomicity, shaped for screens. One statement each, committed by itself.

All methods raise `DatabaseUnavailable` and `DatabaseTimeout`. Who may see what is part of the statement: an account, or
the `Reach` of the caller's right.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from msgspec import UNSET, UnsetType

from inbox.domain.access import Reach
from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.ports.records import AppSecret, Owner, Window
from inbox.ports.templates import TemplateFilter, TemplateRow
from inbox.ports.views import (
    AccountItem,
    BotProfileRow,
    ContactItem,
    ConversationItem,
    ConversationRow,
    MediaRow,
    MessageItem,
    NoticeItem,
    Outcome,
    ScheduledItem,
)

Before: TypeAlias = tuple[datetime, UUID | None]
"""Where a page begins: strictly older than the row with this time and id, or than this time."""
Assignee: TypeAlias = UserId | UnsetType | None
"""Who looks after a conversation; None for nobody, UNSET if it makes no difference."""


class Queries(Protocol):
    async def accounts(self, reach: Reach) -> list[AccountItem]:
        """Active accounts within `reach`, by name, then id."""
        ...

    async def active_account_ids(self) -> list[AccountId]: ...

    async def account_exists(self, account_id: AccountId) -> bool: ...

    async def existing_accounts(self, account_ids: Collection[AccountId]) -> set[AccountId]:
        """Those of them that are there, active or not."""
        ...

    async def owner_of_conversation(self, conversation_id: ConversationId) -> Owner | None: ...

    async def owners_of(self, conversation_ids: Collection[ConversationId]) -> list[Owner]:
        """Of those that are there, each once, in no order."""
        ...

    async def owner_of_message(self, message_id: MessageId) -> Owner | None:
        """None also for a broken row, which belongs to no conversation."""
        ...

    async def conversations(
        self, account_id: AccountId, *, limit: int, before: Before | None, assignee: Assignee = UNSET
    ) -> list[ConversationItem]:
        """Newest first by (updated_at, id), strictly older than `before`."""
        ...

    async def conversation(self, account_id: AccountId, conversation_id: ConversationId) -> ConversationRow | None: ...

    async def window(self, reach: Reach, conversation_id: ConversationId) -> Window | None:
        """The customer service window; None if there is no such conversation within `reach`."""
        ...

    async def messages(
        self, reach: Reach, conversation_id: ConversationId, *, limit: int, before: Before | None
    ) -> list[MessageItem] | None:
        """The newest `limit` messages strictly older than `before`, returned oldest to newest.

        None if there is no such conversation within `reach`.
        """
        ...

    async def scheduled(self, reach: Reach, conversation_id: ConversationId) -> list[ScheduledItem] | None:
        """What waits for its time, the earliest first. None if there is no such conversation within `reach`."""
        ...

    async def media(self, reach: Reach, message_id: MessageId) -> MediaRow | None:
        """What is known of the file of a message; None if there is no such message within `reach`.

        A broken row without an account is within the reach of those only who may see everything.
        """
        ...

    async def contacts(self, search: str | None, *, limit: int, before: Before | None) -> list[ContactItem]:
        """Newest first by (created_at, id). `search` is part of a name, or of a number whatever its separators."""
        ...

    async def notices_of(self, account_id: AccountId, *, limit: int, before: Before | None) -> list[NoticeItem]:
        """What Meta said about an account, newest first by (occurred_at, id)."""
        ...

    async def notices(self, reach: Reach, *, limit: int, before: Before | None) -> list[NoticeItem]:
        """The same of all accounts within `reach`; what belongs to no account is for those who may see everything."""
        ...

    async def templates(
        self, account_id: AccountId, wanted: TemplateFilter, *, limit: int, before: Before | None
    ) -> list[TemplateRow]:
        """What is known of the templates of the account's WABA, newest first by (created_at, id)."""
        ...

    async def template(self, account_id: AccountId, template_id: UUID) -> TemplateRow | None: ...

    async def templates_synced_at(self, account_id: AccountId) -> datetime | None:
        """When the list of the account's WABA was read; None if never."""
        ...

    async def bot_profile(self, account_id: AccountId) -> BotProfileRow | None:
        """The profile as it is shown, empty as long as nothing is stored; None if there is no such account."""
        ...

    async def outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome | None:
        """Where an outbound message stands, also one that the existing system sent. None for inbound ones."""
        ...

    async def account_by_verify_token(self, token: str) -> AccountId | None:
        """The account, active or not, whose verify token this is; looked up by keyed digest."""
        ...

    async def app_secrets(self) -> list[AppSecret]:
        """The app secrets that accounts have of their own. Raises `SecretUnreadable`."""
        ...

    async def ping(self) -> None:
        """One trivial query, at most 2 s."""
        ...
