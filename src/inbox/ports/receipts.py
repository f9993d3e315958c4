"""What customers are told about reading and writing: what is stored of it, and who may say that somebody writes."""

from typing import Protocol

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId, ConversationId


class PendingReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The newest message that somebody has read.

    Without a channel nothing is to be told any more: it is too late, switched off, or the account is paused or gone.
    """

    wamid: str
    channel: Channel | None


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """The newest message of a customer, and how its account is reached."""

    wamid: str
    channel: Channel


class ReadReceipts(Protocol):
    """Accounts that are deactivated, paused or switched off tell nothing, nor do numbers with the Business app."""

    async def want(self, account_id: AccountId, conversation_id: ConversationId) -> bool:
        """The customer is to hear that everything up to now was read: stores it and enqueues the lane `receipt`.

        The conversation is locked. False if there is nothing to tell: no message of the customer that WhatsApp still
        knows, or none since the last time.
        """
        ...

    async def pending(self, account_id: AccountId, conversation_id: ConversationId) -> PendingReceipt | None:
        """What the lane of the conversation is about. Raises `SecretUnreadable`."""
        ...

    async def forget(self, account_id: AccountId, conversation_id: ConversationId, wamid: str) -> None:
        """It was not told: who reads the conversation again, wants it anew. A newer message stays wanted."""
        ...

    async def incoming(self, account_id: AccountId, conversation_id: ConversationId) -> Incoming | None:
        """What a sign of writing answers; None if the account shows none. Raises `SecretUnreadable`."""
        ...


class Typing(Protocol):
    """Tells customers that somebody writes. Best effort."""

    def begins(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        """Returns at once, and never fails. Repetitions within a moment are dropped."""
        ...
