"""A turn of the assistant: decide, ask, check, answer; and step back where a person has to go on.

The model is asked outside of any transaction. Its answer is queued only if nothing has moved meanwhile: the epoch, the
mode and the newest message are checked again in the transaction that queues it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
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
    left_to_gather,
)
from inbox.domain.bot_profile import Profile
from inbox.domain.bot_schedule import may_answer
from inbox.domain.bot_verdict import FINAL, Verdict, handed_over, judged
from inbox.domain.clock import Clock
from inbox.domain.content import Media, Text
from inbox.domain.conversations import Conversation, HandoverReason
from inbox.domain.errors import AccountNotFound, CircuitOpen, ConversationNotFound, InboxError, Kind
from inbox.domain.events import BotSuggested
from inbox.domain.ids import ConversationId, MessageId, TurnId, uuid7
from inbox.domain.knowledge import Source
from inbox.domain.messages import Author
from inbox.domain.outbound import TTL_BOT
from inbox.domain.work import MAX_ATTEMPTS, Lane, WorkKind
from inbox.ports.bot import StoredFile, TurnEnd
from inbox.ports.database import Database, Transaction
from inbox.ports.llm import Answer
from inbox.ports.receipts import Typing
from inbox.ports.records import BotTurn, History, NewMessage
from inbox.services.accepting import put
from inbox.services.bot_budget import Spending
from inbox.services.bot_context import Asked, Contexts, Talk
from inbox.services.bot_handover import Stepping
from inbox.services.bot_profiles import BotProfiles
from inbox.services.bot_summary import Summaries
from inbox.services.bot_talk import Unanswered, mode_of, newer, said_since_text, talk_of, unanswered
from inbox.services.rights import Rights
from inbox.services.waiting import Waiting

_MODEL_FAULTS: Final = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.THROTTLED, Kind.MISCONFIGURED})
_FILE_SECONDS: Final = 10.0
"""So long a turn waits for a file on its way into our store."""
_LOOK_FOR_FILE: Final = timedelta(seconds=1)


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
        self._summaries = summaries
        self._typing = typing
        self._waiting = Waiting()

    async def work(self, lane: Lane) -> str:
        """One turn of the conversation that the lane names. Returns how it ended, for the metrics."""
        if lane.account_id is None:
            raise LookupError(f"turn lane without account: {lane.key}")
        try:
            profile = await self._profiles.of(lane.account_id)
            talk = await self._open(profile, ConversationId(UUID(lane.key)))
        except (AccountNotFound, ConversationNotFound):
            talk = None  # somebody deleted it
        if talk is None:
            await self._database.work.finish([lane])
            return "nothing_to_say"
        if isinstance(talk, timedelta):
            await self._database.work.retry(lane, talk)
            return "gathers"
        return await self._turn(talk, lane)

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
                await self._database.work.retry(lane, left)
                self._waiting.add(lane.key)
                return "waits"
            outcome = _Outcome(verdict=_unavailable(talk, error.code))
        verdict = await self._close(talk, outcome, lane)
        if verdict.handover is not None and self._summaries is not None:
            await self._summaries.make(talk, verdict.handover)
        return verdict.state

    # --- before the model ---------------------------------------------------------------------------------------------

    async def _open(self, profile: Profile, conversation_id: ConversationId) -> Talk | timedelta | None:
        """None if there is nothing to say, a time if there may be more to wait for."""
        account_id = profile.account_id
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(account_id, conversation_id)
            mode = mode_of(conversation)
            if mode is Mode.OFF or (mode is Mode.AUTO and not may_answer(profile.behaviour.schedule, self._now())):
                return None
            found = await unanswered(tx, account_id, conversation_id, conversation.epoch)
            if found is None or (mode is Mode.AUTO and _is_somebodys(conversation, found.waiting)):
                return None
            files = await tx.bot.files(account_id, [m.id for m in found.waiting if isinstance(m.content, Media)])
            left = self._left_to_wait(profile, found, files)
            if left:
                return left
            turn = await tx.bot.open_turn(
                BotTurn(
                    id=TurnId(uuid7()),
                    account_id=account_id,
                    conversation_id=conversation_id,
                    trigger_message_id=found.waiting[-1].id,
                    epoch=conversation.epoch,
                    mode=mode,
                )
            )
            if turn is None:
                return None
            return Talk(
                turn=turn,
                profile=profile,
                client_number=conversation.client_number,
                contact_name=await tx.conversations.contact_name(account_id, conversation_id),
                history=found.read,
                waiting=found.waiting,
                begun_at=found.begun_at,
                since=await tx.bot.last_handover(account_id, conversation_id, list(FINAL)),
                files=files,
            )

    def _left_to_wait(self, profile: Profile, found: Unanswered, files: Sequence[StoredFile]) -> timedelta | None:
        """For more of what the customer writes, or for files that the model can read; None to wait for nothing."""
        now, settings, waiting = self._now(), self._settings, found.waiting
        left = left_to_gather(found.first_at, waiting[-1].at, now, settings.quiet, settings.gather)
        if left:
            return left
        coming = {file.message_id for file in files if file.is_coming}
        is_fresh = timedelta() <= now - waiting[-1].at < timedelta(seconds=_FILE_SECONDS)
        if is_fresh and any(m.id in coming and self._contexts.takes(m, profile, None) for m in waiting):
            return _LOOK_FOR_FILE
        return None

    def _without_model(self, talk: Talk) -> Verdict | None:
        """The cases that code decides alone."""
        if talk.turn.mode is Mode.SUGGEST:
            return None
        if (self._now() - _begun_at(talk)).total_seconds() > TURN_AGE_SECONDS:
            return Verdict(handover=HandoverReason.TOO_OLD, state="handed_over", reason="too_old")
        said = [
            Said(is_inbound=m.is_inbound, author=m.author, text=m.content_text or "", at=m.at) for m in talk.history
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
        call = await self._spending.reserve(turn.account_id, turn.conversation_id, behaviour, asked.tokens)
        if call is None:
            return _Outcome(verdict=handed_over(HandoverReason.BUDGET, "budget_spent", talk.sentences), asked=asked)
        if self._typing is not None and turn.mode is Mode.AUTO:
            self._typing.begins(turn.account_id, turn.conversation_id)
        try:
            answer = await self._contexts.assistant.complete(asked.prompt, schema=Decision)
        except InboxError as error:
            await self._spending.failed(call, error)
            if isinstance(error, CircuitOpen) or error.kind not in _MODEL_FAULTS:
                raise
            return _Outcome(verdict=_unavailable(talk, error.code), asked=asked)
        await self._spending.settle(call, answer.usage, answer.cost)
        least = self._settings.min_confidence if behaviour.min_confidence is None else behaviour.min_confidence
        verdict = judged(answer.value, asked.allowed, talk.sentences, least)
        return _Outcome(verdict=verdict, answer=answer, asked=asked)

    # --- after the model ----------------------------------------------------------------------------------------------

    async def _close(self, talk: Talk, outcome: _Outcome, lane: Lane) -> Verdict:
        """Returns what really became of the turn."""
        turn, verdict = talk.turn, outcome.verdict
        if turn.mode is Mode.SUGGEST:
            verdict = _suggested(verdict)
        ids = [turn.conversation_id]
        if verdict.handover is not None:
            backup = await self._stepping.backup_conversation(turn.account_id)
            ids += [backup] if backup is not None and backup != turn.conversation_id else []
        async with self._database.transaction() as tx:
            # In the order of their ids, as ingest locks them.
            locked = {one: await tx.conversations.lock(turn.account_id, one) for one in sorted(ids)}
            conversation = locked.pop(turn.conversation_id)
            history = await talk_of(tx, turn.account_id, turn.conversation_id)
            if not self._is_wanted(talk, conversation, newer(turn, talk.history, history)):
                verdict = Verdict(state="dropped", reason="overtaken")
                if mode_of(conversation) is not Mode.OFF:
                    # What overtook it may want an answer as well: the lane stays open and is looked at again.
                    lane = msgspec.structs.replace(lane, ver=0)
            verdict = await self._acted(tx, talk, conversation, verdict, history, locked.values())
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

    async def _acted(
        self,
        tx: Transaction,
        talk: Talk,
        conversation: Conversation,
        verdict: Verdict,
        history: Sequence[History],
        backups: Iterable[Conversation],
    ) -> Verdict:
        turn = talk.turn
        if verdict.handover is not None:
            verdict = await self._stepping.hand_over(tx, turn, conversation, verdict, history, backups)
        if turn.mode is Mode.SUGGEST:
            if verdict.is_of_model:
                await tx.record(_told(turn))
            return verdict
        if verdict.is_of_model and conversation.handed_over_at is not None:
            await tx.conversations.take_back(turn.account_id, turn.conversation_id)
        if verdict.reply is not None:
            await self._say(tx, turn, conversation, verdict.reply)
        return verdict

    async def _say(self, tx: Transaction, turn: BotTurn, conversation: Conversation, text: str) -> None:
        now = self._now()
        message = NewMessage(
            id=MessageId(uuid7()),
            account_id=turn.account_id,
            conversation_id=turn.conversation_id,
            content=Text(body=text),
            author=Author.BOT,
            author_id=None,
            at=now,
            expires_at=now + TTL_BOT,
            epoch=turn.epoch,
            turn_id=turn.id,
        )
        await put(tx, conversation, message)


def _told(turn: BotTurn) -> BotSuggested:
    return BotSuggested(
        account_id=turn.account_id, conversation_id=turn.conversation_id, message_id=turn.trigger_message_id
    )


def _end(verdict: Verdict, outcome: _Outcome) -> TurnEnd:
    answer, asked = outcome.answer, outcome.asked
    return TurnEnd(
        state=verdict.state,
        reason=verdict.reason or ("no_sources" if asked is not None and asked.lacks_sources else None),
        answer=verdict.reply,
        handover=verdict.handover,
        model=answer.model if answer else None,
        tokens=(answer.usage.input, answer.usage.output) if answer else (0, 0),
        cost=answer.cost if answer else None,
        confidence=answer.value.confidence if answer else None,
        prompt=asked.prompt_name if asked else None,
    )


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


def _is_somebodys(conversation: Conversation, waiting: Sequence[History]) -> bool:
    """True if what waits was there when somebody was given the conversation: it is theirs to answer."""
    return conversation.assigned_at is not None and waiting[-1].at <= conversation.assigned_at


def _begun_at(talk: Talk) -> datetime:
    """Since when the customer waits for this turn and for those that were overtaken: more messages do not move it."""
    return talk.begun_at or talk.waiting[-1].at
