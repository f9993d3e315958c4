"""What of a conversation waits for the assistant, since when, and what came in while it was thinking."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.domain.bot import TURN_AGE_SECONDS, Mode, wakes_bot
from inbox.domain.bot_context import MOST_MESSAGES
from inbox.domain.bot_verdict import FINAL
from inbox.domain.content import is_readable
from inbox.domain.conversations import Conversation
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.ports.bot import PastTurn
from inbox.ports.database import Transaction
from inbox.ports.records import BotTurn, History

_UNFINISHED: Final = frozenset({"open", "dropped"})
"""Turns that nothing came of: what they were to answer waits on."""
_LOST: Final = frozenset({State.FAILED, State.EXPIRED})
_NOT_GONE: Final = _LOST | {State.QUEUED, State.CLAIMED, State.CANCELLED}
"""An answer of before the last take-over that stands so has not got to the customer, and never will."""
_YOUNG: Final = timedelta(seconds=TURN_AGE_SECONDS)
_STALE: Final = timedelta(days=1)
"""An answer that was lost longer ago is no news: people have seen that it failed."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in a conversation, oldest first, and what the assistant did about it. `epoch` is that of now."""

    history: Sequence[History]
    turns: Sequence[PastTurn]
    epoch: int


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """The customer's messages that wait, oldest first, never empty; `read` is the conversation with them at its end.

    `first_at` is when the first of them was written that no turn has dealt with and that is not too old for one,
    `begun_at` when the first was that a turn has taken up: a customer who goes on writing moves neither.
    """

    read: Sequence[History]
    waiting: Sequence[History]
    first_at: datetime
    begun_at: datetime


async def talk_of(tx: Transaction, account_id: AccountId, conversation_id: ConversationId) -> list[History]:
    """The newest messages, oldest first, without those that nobody would answer: notices, empty texts."""
    history = await tx.messages.history(account_id, conversation_id, MOST_MESSAGES)
    return [
        message
        for message in history
        if (message.content_text or "").strip() and (message.content is None or wakes_bot(message.content))
    ]


async def past_of(tx: Transaction, account_id: AccountId, conversation_id: ConversationId, epoch: int) -> Past:
    """Of a locked conversation: without what the assistant said before `epoch` and did not get out in time."""
    history = await talk_of(tx, account_id, conversation_id)
    turns = await tx.bot.turns_about(account_id, conversation_id, [m.id for m in history if m.is_inbound])
    unsaid = {turn.answer_id for turn in turns if _is_unsaid(turn, epoch)}
    return Past(history=[message for message in history if message.id not in unsaid], turns=turns, epoch=epoch)


def undelivered(past: Past, now: datetime) -> PastTurn | None:
    """The turn whose answer was the assistant's last word and has not got to the customer, if a person may not know."""
    places = {message.id: place for place, message in enumerate(past.history)}
    spoke = [
        turn
        for turn in past.turns
        if turn.mode is Mode.AUTO and turn.state in ("answered", "handed_over") and turn.message_id in places
    ]
    last = max(spoke, key=lambda turn: (places[turn.message_id], turn.epoch), default=None)
    if last is None or last.state != "answered" or last.epoch != past.epoch or last.answer_state not in _LOST:
        return None
    return last if last.answer_since is not None and now - last.answer_since < _STALE else None


def unanswered(past: Past) -> Unanswered | None:
    """None if nothing waits."""
    history, turns, epoch = past.history, past.turns, past.epoch
    waiting = _waiting(history, turns, epoch)
    if not waiting:
        return None
    done = {turn.message_id for turn in turns if turn.state not in _UNFINISHED and not _is_taken_back(turn, epoch)}
    tried = {turn.message_id for turn in turns if turn.state in _UNFINISHED and turn.epoch == epoch}
    last_done = max((place for place, message in enumerate(waiting) if message.id in done), default=-1)
    fresh = waiting[last_done + 1 :] or waiting[-1:]
    begun = next((message for message in fresh if message.id in tried), fresh[-1])
    waits = {message.id for message in waiting}
    return Unanswered(
        # An answer that was given while the customer went on writing stands before what it did not answer.
        read=[*(message for message in history if message.id not in waits), *waiting],
        waiting=waiting,
        first_at=next(message.at for message in fresh if fresh[-1].at - message.at <= _YOUNG),
        begun_at=begun.at,
    )


def _waiting(history: Sequence[History], turns: Sequence[PastTurn], epoch: int) -> list[History]:
    """Since our last message, or what the assistant's last answer answered: newer ones may have come before it.

    What a program sent is no answer: whoever wrote before it waits on, unless it is so much older than the newest that
    it will have spoken for the team.
    """
    covered = {turn.message_id for turn in turns if _covers(turn, epoch)}
    is_known = any(message.id in covered for message in history)
    waiting: list[History] = []
    for message in reversed(history):
        if message.id in covered:
            break
        if message.is_inbound:
            waiting.append(message)
        elif message.by_program:
            if waiting and waiting[0].at - message.at > _YOUNG:
                break
        elif message.author != Author.BOT or not is_known:
            break
    return waiting[::-1]


def _covers(turn: PastTurn, epoch: int) -> bool:
    """True if nothing waits up to the message of `turn`: it was answered, or needed no answer."""
    if turn.mode is not Mode.AUTO or turn.state in _UNFINISHED or _is_taken_back(turn, epoch):
        return False
    return turn.has_answer or (turn.state == "silent" and turn.epoch == epoch)


def _is_unsaid(turn: PastTurn, epoch: int) -> bool:
    """True if its answer was overtaken on its way out, or was lost before that: the customer has not got it."""
    return turn.epoch < epoch and turn.answer_state in _NOT_GONE


def _is_taken_back(turn: PastTurn, epoch: int) -> bool:
    """True if what it answered waits again. What it left to people for good does not."""
    return _is_unsaid(turn, epoch) and turn.handover not in FINAL


def said_since_text(history: Sequence[History], sentences: frozenset[str]) -> bool:
    """True if one of `sentences` was sent since the customer last wrote something readable."""
    for message in reversed(history):
        if message.is_inbound and (message.content is None or is_readable(message.content)):
            return False
        if not message.is_inbound and message.content_text in sentences:
            return True
    return False


def mode_of(conversation: Conversation) -> Mode:
    if conversation.bot_enabled:
        return Mode.AUTO
    return Mode.SUGGEST if conversation.bot_suggests else Mode.OFF


def newer(turn: BotTurn, read: Sequence[History], history: Sequence[History]) -> list[History] | None:
    """What came since `read` was, after the message of `turn`, but for what programs sent.

    None if that message is there no more.
    """
    places = [place for place, message in enumerate(history) if message.id == turn.trigger_message_id]
    if not places:
        return None
    known = {message.id for message in read}
    return [message for message in history[places[0] + 1 :] if message.id not in known and not message.by_program]
