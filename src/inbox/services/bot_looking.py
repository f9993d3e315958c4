"""What a turn finds: something to answer or to wait for, an answer that was lost, a hand-over without a summary."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.domain.bot import TURN_AGE_SECONDS, Mode, left_to_gather
from inbox.domain.bot_profile import Profile
from inbox.domain.bot_schedule import may_answer
from inbox.domain.bot_verdict import FINAL
from inbox.domain.clock import Clock
from inbox.domain.content import Media
from inbox.domain.conversations import Conversation, HandoverReason
from inbox.domain.ids import ConversationId, TurnId, uuid7
from inbox.ports.bot import PastTurn, StoredFile
from inbox.ports.database import Database, Transaction
from inbox.ports.records import BotTurn, History
from inbox.services.bot_context import Contexts, Talk
from inbox.services.bot_handover import Undelivered
from inbox.services.bot_talk import Past, Unanswered, mode_of, past_of, unanswered, undelivered

_FILE_SECONDS: Final = 10.0
"""So long a turn waits for a file on its way into our store."""
_LOOK_FOR_FILE: Final = timedelta(seconds=1)
UNSUMMARISED: Final = frozenset({HandoverReason.UNAVAILABLE, HandoverReason.BUDGET})
"""Reasons for which the model is not asked again."""
_SUMMARY_WITHIN: Final = timedelta(minutes=10)
"""Later whoever goes on has read the conversation."""


class Unsummarised(msgspec.Struct, frozen=True, kw_only=True):
    """A hand-over of which nobody has written yet what happened before it."""

    talk: Talk


class Looking:
    """Reads the conversation behind its lock."""

    def __init__(self, database: Database, contexts: Contexts, clock: Clock, *, summarises: bool) -> None:
        self._database = database
        self._contexts = contexts
        self._now = clock
        self._summarises = summarises

    async def look(
        self, profile: Profile, conversation_id: ConversationId
    ) -> Talk | timedelta | Undelivered | Unsummarised | None:
        """What is to be done first: customers before summaries. A time if there may be more to wait for.

        None if there is nothing. Raises `ConversationNotFound`.
        """
        account_id = profile.account_id
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(account_id, conversation_id)
            if mode_of(conversation) is Mode.OFF and conversation.handed_over_at is None:
                return None
            past = await past_of(tx, account_id, conversation_id, conversation.epoch)
            waits = unanswered(past)
            if conversation.bot_enabled and (lost := undelivered(past, self._now())) is not None:
                return _lost(profile, conversation, lost, is_last=waits is None)
            if waits is not None and self._is_ours(profile, conversation, waits):
                found = await self._to_answer(tx, profile, conversation, waits)
                if found is not None:
                    return found
            return await self._to_summarise(tx, profile, conversation, past)

    def _is_ours(self, profile: Profile, conversation: Conversation, waits: Unanswered) -> bool:
        mode = mode_of(conversation)
        if mode is not Mode.AUTO:
            return mode is Mode.SUGGEST
        return may_answer(profile.behaviour.schedule, self._now()) and not _is_somebodys(conversation, waits.waiting)

    async def _to_answer(
        self, tx: Transaction, profile: Profile, conversation: Conversation, waits: Unanswered
    ) -> Talk | timedelta | None:
        account_id, conversation_id = conversation.account_id, conversation.id
        files = await tx.bot.files(account_id, [m.id for m in waits.waiting if isinstance(m.content, Media)])
        left = self._left_to_wait(profile, waits, files)
        if left:
            return left
        turn = await tx.bot.open_turn(
            BotTurn(
                id=TurnId(uuid7()),
                account_id=account_id,
                conversation_id=conversation_id,
                trigger_message_id=waits.waiting[-1].id,
                epoch=conversation.epoch,
                mode=mode_of(conversation),
            )
        )
        if turn is None:
            return None
        return Talk(
            turn=turn,
            profile=profile,
            client_number=conversation.client_number,
            contact_name=await tx.conversations.contact_name(account_id, conversation_id),
            history=waits.read,
            waiting=waits.waiting,
            begun_at=waits.begun_at,
            since=await tx.bot.last_handover(account_id, conversation_id, list(FINAL)),
            files=files,
        )

    def _left_to_wait(self, profile: Profile, waits: Unanswered, files: Sequence[StoredFile]) -> timedelta | None:
        """For more of what the customer writes, or for files that the model can read; None to wait for nothing."""
        now, settings, waiting = self._now(), self._contexts.settings, waits.waiting
        left = left_to_gather(waits.first_at, waiting[-1].at, now, settings.quiet, settings.gather)
        if left:
            return left
        coming = {file.message_id for file in files if file.is_coming}
        is_fresh = timedelta() <= now - waiting[-1].at < timedelta(seconds=_FILE_SECONDS)
        # Who sends one file after the other waits for some of them, and not for ever.
        is_early = now - waits.first_at < settings.gather + timedelta(seconds=_FILE_SECONDS)
        if is_fresh and is_early and any(m.id in coming and self._contexts.takes(m, profile, None) for m in waiting):
            return _LOOK_FOR_FILE
        return None

    async def _to_summarise(
        self, tx: Transaction, profile: Profile, conversation: Conversation, past: Past
    ) -> Unsummarised | None:
        if not self._summarises or conversation.handed_over_at is None:
            return None
        account_id, conversation_id = conversation.account_id, conversation.id
        turn = await tx.bot.unsummarised(account_id, conversation_id, within=_SUMMARY_WITHIN, but_for=UNSUMMARISED)
        if turn is None:
            return None
        talk = Talk(
            turn=turn,
            profile=profile,
            client_number=conversation.client_number,
            contact_name=None,
            history=past.history,
            waiting=[message for message in past.history if message.id == turn.trigger_message_id],
            since=await tx.bot.last_handover(account_id, conversation_id, list(FINAL), besides=turn.id),
        )
        return Unsummarised(talk=talk)


def is_young(waits: Unanswered, now: datetime) -> bool:
    """True if the assistant still answers what waits."""
    return (now - waits.waiting[-1].at).total_seconds() <= TURN_AGE_SECONDS


def _is_somebodys(conversation: Conversation, waiting: Sequence[History]) -> bool:
    """True if what waits was there when somebody was given the conversation: it is theirs to answer."""
    return conversation.assigned_at is not None and waiting[-1].at <= conversation.assigned_at


def _lost(profile: Profile, conversation: Conversation, lost: PastTurn, *, is_last: bool) -> Undelivered:
    turn = BotTurn(
        id=lost.id,
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        trigger_message_id=lost.message_id,
        epoch=lost.epoch,
    )
    return Undelivered(turn=turn, profile=profile, reason=lost.answer_reason or "failed", is_last=is_last)
