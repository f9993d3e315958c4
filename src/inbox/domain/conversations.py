"""A conversation: one customer with one account."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.ids import AccountId, ContactId, ConversationId, UserId

WINDOW: Final = timedelta(hours=24)
"""The customer service window: from Meta's time of the newest message of the customer (Meta, pricing and windows)."""


class HandoverReason(StrEnum):
    """Why the bot went silent, as operators read it."""

    ASKED = "customer_asked_human"
    MODEL = "model_wants_human"
    UNAVAILABLE = "model_unavailable"
    GATE = "answer_not_allowed"
    TOO_OLD = "too_old"
    UNSURE = "low_confidence"
    LOOP = "loop"
    BUDGET = "budget_spent"
    UNDELIVERED = "answer_not_delivered"


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The state that decisions are made on; always read in the transaction that acts.

    `epoch` rises with every switch of the bot, every message of a person, and whenever somebody is given the
    conversation to look after; not with what programs send. An answer of the bot that was computed for an older epoch
    is dropped.
    """

    id: ConversationId
    account_id: AccountId
    contact_id: ContactId | None
    client_number: str
    unread_count: int
    bot_enabled: bool
    epoch: int
    last_inbound_at: datetime | None
    window_expires_at: datetime | None
    handed_over_at: datetime | None
    handover_reason: str | None
    assignee_id: UserId | None = None
    assigned_at: datetime | None = None
    bot_suggests: bool = False

    def is_window_open(self, now: datetime) -> bool:
        """True while free text may be sent."""
        return self.window_expires_at is not None and now < self.window_expires_at
