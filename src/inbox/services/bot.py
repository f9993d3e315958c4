"""A turn of the assistant: decide, ask, check, answer; and step back where a person has to go on.

The model is asked outside of any transaction. Its answer is queued only if nothing has moved meanwhile: the epoch, the
mode and the newest message are checked again in the transaction that queues it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.bot import (
    MODEL_WAIT_SECONDS,
    SENTENCES,
    TURN_AGE_SECONDS,
    UNREADABLES,
    Decision,
    Mode,
    Said,
    is_loop,
)
from inbox.domain.bot_verdict import Verdict, handed_over, judged
from inbox.domain.clock import Clock
from inbox.domain.conversations import Conversation, HandoverReason
from inbox.domain.copilot_errors import BudgetSpent
from inbox.domain.errors import AccountNotFound, CircuitOpen, ConversationNotFound, Overloaded
from inbox.domain.events import BotSuggested
from inbox.domain.ids import ConversationId
from inbox.domain.knowledge import Source
from inbox.domain.upstream_errors import ModelRefused, ModelSilent, ModelThrottled, ModelUnavailable
from inbox.domain.work import MAX_ATTEMPTS, Lane, WorkKind
from inbox.ports.bot import TurnEnd
from inbox.ports.database import Database, Transaction
from inbox.ports.llm import Answer
from inbox.ports.receipts import Typing
from inbox.ports.records import BotTurn, History
from inbox.services.bot_budget import Spender, Spending
from inbox.services.bot_context import Asked, Contexts, Talk
from inbox.services.bot_handover import Stepping, Undelivered, locked, say
from inbox.services.bot_looking import UNSUMMARISED, Looking
from inbox.services.bot_profiles import BotProfiles
from inbox.services.bot_summary import Summaries
from inbox.services.bot_talk import mode_of, newer, past_of, said_since_text
from inbox.services.rights import Rights
from inbox.services.waiting import Waiting

_MODEL_FAULTS: Final = (ModelRefused, ModelSilent, ModelThrottled, ModelUnavailable, Overloaded)


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn comes to, and what it was made of. `answer` is the model's."""

    verdict: Verdict
    answer: Answer[Decision] | None = None
    asked: Asked | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the answer rests on, as far as the model was really given it."""
        if self.answer is None or self.asked is None:
            return ()
        offered = self.asked.offered
        return tuple(offered[name] for name in dict.fromkeys(self.answer.value.sources) if name in offered)


class Bot:
    """One turn at a time per conversation."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        contexts: Contexts,
        clock: Clock,
        *,
        summaries: Summaries | None = None,
        typing: Typing | None = None,
    ) -> None:
        """`contexts` knows the model and the settings. Without `summaries` nobody gets any.

        `typing` tells the customer while the model is asked.
        """
        self._database = database
        self._profiles = BotProfiles(database, rights)
        self._contexts = contexts
        self._settings = contexts.settings
        self._now = clock
        self._spending = Spending(database, contexts.settings, clock)
        self._stepping = Stepping(database, contexts.settings, clock)
        self._looking = Looking(database, contexts, clock, summarises=summaries is not None)
        self._summaries = summaries
        self._typing = typing
        self._waiting = Waiting()

    async def work(self, lane: Lane) -> str:
        """One turn of the conversation that the lane names. Returns how it ended, for the metrics."""
        if lane.account_id is None:
            raise LookupError(f"turn lane without account: {lane.key}")
        try:
            profile = await self._profiles.of(lane.account_id)
            found = await self._looking.look(profile, ConversationId(UUID(lane.key)))
        except (AccountNotFound, ConversationNotFound):
            found = None  # somebody deleted it
        if isinstance(found, Talk):
            return await self._turn(found, lane)
        if isinstance(found, timedelta):
            await self._database.work.put_off(lane, found)
            return "gathers"
        if isinstance(found, Undelivered):
            await self._stepping.undelivered(found)
            await self._database.work.put_off(lane, timedelta())  # there may be more to do
            return "undelivered"
        if found is not None and self._summaries is not None:
            return await self._summaries.make(found.talk, lane)
        await self._database.work.finish([lane])
        return "nothing_to_say"

    async def resume(self, most: int | None) -> None:
        """The model may be there again: `most` of the turns that wait for it are due now, None is all."""
        await self._database.work.hurry(WorkKind.TURN, self._waiting.take(most))

    async def _turn(self, talk: Talk, lane: Lane) -> str:
        verdict = self._without_model(talk)
        if lane.attempts > MAX_ATTEMPTS:
            # Worker after worker died with this turn: a person goes on.
            verdict = _unavailable(talk, "worker_died")
        try:
            outcome = await self._answered(talk) if verdict is None else _Outcome(verdict=verdict)
        except CircuitOpen as error:
            left = timedelta(seconds=MODEL_WAIT_SECONDS) - (self._now() - _begun_at(talk))
            if left > timedelta(0) and talk.turn.mode is Mode.AUTO:
                # Nobody was asked, so nothing is lost yet. The lane is due when the limit is reached, or sooner.
                await self._database.work.put_off(lane, left)
                self._waiting.add(lane.key)
                return "waits"
            outcome = _Outcome(verdict=_unavailable(talk, error.code))
        return (await self._close(talk, outcome, lane)).state

    # --- before the model ---------------------------------------------------------------------------------------------

    def _without_model(self, talk: Talk) -> Verdict | None:
        """The cases that code decides alone."""
        if talk.turn.mode is Mode.SUGGEST:
            return None
        if (self._now() - _begun_at(talk)).total_seconds() > TURN_AGE_SECONDS:
            return handed_over(HandoverReason.TOO_OLD, "too_old", talk.sentences)
        said = [
            Said(is_inbound=m.is_inbound, author=m.author, text=m.content_text or "", at=m.at)
            for m in talk.history
            if not m.by_program
        ]
        if is_loop(said, self._now(), self._settings.loop):
            return handed_over(HandoverReason.LOOP, "loop", talk.sentences)
        return None

    # --- the model ----------------------------------------------------------------------------------------------------

    async def _answered(self, talk: Talk) -> _Outcome:
        """Raises `CircuitOpen`, for then the model was not asked."""
        try:
            async with asyncio.timeout(self._settings.turn_seconds):
                asked = await self._contexts.of(talk)
                return await self._ask(talk, asked) if asked.is_readable else _unreadable(talk)
        except TimeoutError:
            return _Outcome(verdict=_unavailable(talk, "turn_timeout"))

    async def _ask(self, talk: Talk, asked: Asked) -> _Outcome:
        """Raises `CircuitOpen`."""
        turn, behaviour = talk.turn, talk.profile.behaviour
        typing = self._typing if turn.mode is Mode.AUTO else None
        try:
            answer = await self._spending.complete(
                self._contexts.assistant,
                asked.prompt,
                Decision,
                spender=Spender.of(talk.profile, turn.conversation_id),
                tokens=asked.tokens,
                begins=partial(typing.begins, turn.account_id, turn.conversation_id) if typing else None,
            )
        except BudgetSpent:
            return _Outcome(verdict=handed_over(HandoverReason.BUDGET, "budget_spent", talk.sentences), asked=asked)
        except _MODEL_FAULTS as error:
            return _Outcome(verdict=_unavailable(talk, error.code), asked=asked)
        least = self._settings.min_confidence if behaviour.min_confidence is None else behaviour.min_confidence
        verdict = judged(answer.value, asked.allowed, talk.sentences, least)
        return _Outcome(verdict=verdict, answer=answer, asked=asked)

    # --- after the model ----------------------------------------------------------------------------------------------

    async def _close(self, talk: Talk, outcome: _Outcome, lane: Lane) -> Verdict:
        """Returns what really became of the turn."""
        turn, verdict = talk.turn, outcome.verdict
        if turn.mode is Mode.SUGGEST:
            verdict = _suggested(verdict)
        backup = await self._stepping.backup_conversation(turn.account_id) if verdict.handover is not None else None
        async with self._database.transaction() as tx:
            conversation, backups = await locked(tx, turn, backup)
            history = (await past_of(tx, turn.account_id, turn.conversation_id, conversation.epoch)).history
            if not self._is_wanted(talk, conversation, newer(turn, talk.history, history)):
                verdict = Verdict(state="dropped", reason="overtaken")
            verdict, is_said = await self._acted(tx, talk, conversation, verdict, history, backups)
            if not is_said or self._is_looked_at_again(conversation, verdict):
                lane = msgspec.structs.replace(lane, ver=0)  # it stays open
            await tx.bot.close_turn(turn, _end(verdict, outcome))
            if verdict.is_of_model and outcome.sources:
                await tx.knowledge.used(turn.account_id, turn.id, outcome.sources)
            await tx.finish([lane])
        return verdict

    def _is_wanted(self, talk: Talk, conversation: Conversation, came: Sequence[History] | None) -> bool:
        """`came` is what was written meanwhile. A customer who does not stop writing is answered all the same."""
        turn = talk.turn
        if came is None or mode_of(conversation) is not turn.mode or conversation.epoch != turn.epoch:
            return False
        patience = self._settings.gather + timedelta(seconds=self._settings.turn_seconds)
        is_late = self._now() - _begun_at(talk) > patience
        return not came or (is_late and all(message.is_inbound for message in came))

    def _is_looked_at_again(self, conversation: Conversation, verdict: Verdict) -> bool:
        """True if what overtook the turn may want an answer as well, or whoever goes on a summary."""
        if verdict.state == "dropped":
            return mode_of(conversation) is not Mode.OFF
        if self._summaries is None or verdict.is_of_model:
            return False
        is_handed_over = verdict.handover is not None or conversation.handed_over_at is not None
        return is_handed_over and (verdict.handover or conversation.handover_reason) not in UNSUMMARISED

    async def _acted(
        self,
        tx: Transaction,
        talk: Talk,
        conversation: Conversation,
        verdict: Verdict,
        history: Sequence[History],
        backups: Iterable[Conversation],
    ) -> tuple[Verdict, bool]:
        """What became of the verdict; False if an answer was stored that may never be sent."""
        turn = talk.turn
        if verdict.handover is not None:
            return await self._stepping.hand_over(tx, turn, conversation, verdict, history, backups), True
        if turn.mode is Mode.SUGGEST:
            if verdict.is_of_model:
                await tx.record(_told(turn))
            return verdict, True
        if verdict.is_of_model and conversation.handed_over_at is not None:
            await tx.conversations.take_back(turn.account_id, turn.conversation_id)
        is_said = verdict.reply is None or await say(tx, turn, conversation, verdict.reply, self._now())
        return verdict, is_said


def _told(turn: BotTurn) -> BotSuggested:
    return BotSuggested(
        account_id=turn.account_id, conversation_id=turn.conversation_id, message_id=turn.trigger_message_id
    )


def _end(verdict: Verdict, outcome: _Outcome) -> TurnEnd:
    answer, asked = outcome.answer, outcome.asked
    return TurnEnd(
        state=verdict.state,
        reason=verdict.reason or _remark(outcome),
        answer=verdict.reply,
        handover=verdict.handover,
        model=answer.model if answer else None,
        tokens=(answer.usage.input, answer.usage.output) if answer else (0, 0),
        cost=answer.cost if answer else None,
        confidence=answer.value.confidence if answer else None,
        prompt=asked.prompt_name if asked else None,
    )


def _remark(outcome: _Outcome) -> str | None:
    """What administrators should know of an answer that was good for the customer."""
    if outcome.answer is not None and outcome.answer.is_fallback:
        return "other_model"
    return "no_sources" if outcome.asked is not None and outcome.asked.lacks_sources else None


def _unreadable(talk: Talk) -> _Outcome:
    """Said once until the customer writes something readable again."""
    if talk.turn.mode is Mode.SUGGEST or said_since_text(talk.history, UNREADABLES):
        return _Outcome(verdict=Verdict(state="silent", reason="unreadable_again"))
    return _Outcome(verdict=Verdict(reply=talk.sentences.unreadable, reason="unreadable"))


def _unavailable(talk: Talk, reason: str) -> Verdict:
    return handed_over(HandoverReason.UNAVAILABLE, reason, SENTENCES[talk.profile.behaviour.language])


def _suggested(verdict: Verdict) -> Verdict:
    """For the team, who are there already: nothing is handed over, and no fixed sentence is worth suggesting."""
    if verdict.is_of_model:
        return msgspec.structs.replace(verdict, state="suggested")
    return Verdict(state="silent", reason=verdict.reason)


def _begun_at(talk: Talk) -> datetime:
    """Since when the customer waits for this turn and for those that were overtaken: more messages do not move it."""
    return talk.begun_at or talk.waiting[-1].at
