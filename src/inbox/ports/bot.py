"""What is kept of the assistant: what it knows, its turns, and what they cost. All raise what `ports.database` says."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from inbox.domain.access import Reach
from inbox.domain.bot import Mode
from inbox.domain.bot_profile import Profile
from inbox.domain.conversations import HandoverReason
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId
from inbox.domain.outbound import State
from inbox.ports.records import BotTurn
from inbox.ports.views import ConversationItem, Timestamp


class TurnEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a turn ended. `state` is `answered`, `handed_over`, `dropped`, `silent` or `suggested`.

    `answer` is what was said or suggested, `prompt` the name of the file that it was asked with, `cost` in micro-units.
    """

    state: str
    reason: str | None = None
    answer: str | None = None
    handover: HandoverReason | None = None
    model: str | None = None
    tokens: tuple[int, int] = (0, 0)
    cost: int | None = None
    confidence: float | None = None
    prompt: str | None = None


class PastTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a turn about everything up to `message_id`. `has_answer` if it said or suggested something.

    `answer_id` is the message that it sent, which stands in `answer_state` since `answer_since`. `answer_reason` says
    why it was not sent.
    """

    id: TurnId
    message_id: MessageId
    epoch: int
    mode: Mode
    state: str
    has_answer: bool
    handover: HandoverReason | None = None
    answer_id: MessageId | None = None
    answer_state: State | None = None
    answer_since: datetime | None = None
    answer_reason: str | None = None


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What was used, or may be: calls of the model, tokens, and money in micro-units."""

    turns: int
    tokens: int
    cost: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the model that is about to be made, counted on `day` (UTC) for a customer and for all of an account."""

    account_id: AccountId
    conversation_id: ConversationId
    day: date
    charge: Charge


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's file. `is_coming` if it is still only at WhatsApp; else, with a `size`, it is in our store."""

    message_id: MessageId
    is_coming: bool
    mime_type: str | None
    size: int | None


class SuggestedSource(msgspec.Struct, frozen=True, kw_only=True):
    """An approved article that a suggestion rests on, as it was then."""

    article_id: UUID
    version: int
    title: str


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant would answer to everything up to `message_id`. `confidence`, 0 to 1, is the model's own."""

    id: UUID
    message_id: UUID
    text: str
    confidence: float | None
    model: str | None
    created_at: Timestamp
    sources: list[SuggestedSource]


class Suggested(msgspec.Struct, frozen=True, kw_only=True):
    """Null as long as there is none, and as soon as somebody answered or took over."""

    suggestion: Suggestion | None


class ConversationDetails(ConversationItem, frozen=True):
    """A line of the list, and what the assistant says of the conversation that it handed over.

    `handover_summary` is null for callers who may not read messages, and if no model could write one.
    """

    handover_summary: str | None


class BotQueries(Protocol):
    """Reads, one statement each."""

    async def details(
        self, reach: Reach, conversation_id: ConversationId, *, readable: Reach
    ) -> ConversationDetails | None:
        """None if there is no such conversation within `reach`. The summary is for who may read within `readable`."""
        ...

    async def suggestion(self, reach: Reach, conversation_id: ConversationId) -> Suggested | None:
        """The newest one. None if there is no such conversation within `reach`."""
        ...

    async def text_of(
        self, account_id: AccountId, conversation_id: ConversationId, message_id: MessageId
    ) -> str | None:
        """What a message says, empty if it says nothing; None if the conversation has no such message."""
        ...


class Bot(Protocol):
    async def put_profile(self, profile: Profile, *, keeps_behaviour: bool = False) -> None:
        """Replaces the whole profile, or all but how the assistant behaves. Raises `AccountNotFound`."""
        ...

    async def open_turn(self, turn: BotTurn) -> BotTurn | None:
        """Stores the turn, or returns the open one of the same trigger and epoch.

        Other open turns of the conversation are overtaken by it: they are `dropped`. None if that one is closed
        already. Raises `ConversationNotFound`.
        """
        ...

    async def turns_about(
        self, account_id: AccountId, conversation_id: ConversationId, message_ids: Sequence[MessageId]
    ) -> list[PastTurn]:
        """The turns of the conversation that one of these messages gave rise to."""
        ...

    async def close_turn(self, turn: BotTurn, end: TurnEnd) -> None:
        """A closed turn stays as it is."""
        ...

    async def undelivered(self, turn: BotTurn, reason: str) -> bool:
        """The answer of this turn did not get to the customer: a person has to go on. False if that is known."""
        ...

    async def is_loss_told(self, account_id: AccountId, conversation_id: ConversationId, *, since: datetime) -> bool:
        """True if after `since` people were alerted of an answer that did not get to this customer."""
        ...

    async def unsummarised(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        *,
        within: timedelta,
        but_for: Collection[HandoverReason],
    ) -> BotTurn | None:
        """The last turn that handed over, if nobody tried to summarise it and it did so `within` that time.

        None as well if it did so `but_for` one of these reasons.
        """
        ...

    async def summarise(self, turn: BotTurn, summary: str) -> ConversationId | None:
        """What a person should know who goes on after this turn; empty if nothing could be written.

        Returns where the turn is: it may have moved since.
        """
        ...

    async def last_handover(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        reasons: Sequence[HandoverReason],
        *,
        besides: TurnId | None = None,
    ) -> datetime | None:
        """When a turn `besides` this one last handed the conversation over for one of `reasons`."""
        ...

    async def files(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> list[StoredFile]: ...

    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        """Counts a call against what a customer and an account may use in a day, both or neither.

        False, and nothing is counted, if one of them has used up one of its limits: so concurrent calls pass a limit
        together by no more than the last of them. To be called in a transaction of its own.
        """
        ...

    async def settle(self, call: Reservation, used: Charge) -> None:
        """Replaces what was reserved by what was used. Once only, in a transaction of its own."""
        ...
