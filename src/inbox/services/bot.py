"""A turn of the assistant: decide, ask, check, answer; and step back where a person has to go on.

The model is asked outside of any transaction. Its answer is queued only if nothing has moved meanwhile: the epoch, the
switch and the newest message are checked again in the transaction that queues it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain import bot as rules
from inbox.domain.bot import Action, Decision
from inbox.domain.clock import Clock
from inbox.domain.contacts import Address
from inbox.domain.content import Text, is_readable
from inbox.domain.conversations import Conversation, HandoverReason
from inbox.domain.errors import CircuitOpen, ConversationNotFound, InboxError, Kind
from inbox.domain.events import Event
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId, uuid7
from inbox.domain.messages import Author
from inbox.domain.outbound import TTL_BOT, TTL_HUMAN
from inbox.domain.work import MAX_ATTEMPTS, Lane, WorkKind
from inbox.ports.database import Database, Transaction
from inbox.ports.llm import Answer, Assistant, Prompt, Turn
from inbox.ports.receipts import Typing
from inbox.ports.records import BotTurn, History, NewMessage
from inbox.services.accepting import put
from inbox.services.bot_profiles import BotProfiles
from inbox.services.rights import Rights
from inbox.services.waiting import Waiting

_MODEL_FAULTS: Final = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.THROTTLED, Kind.MISCONFIGURED})
_MAX_REASON: Final = 200
"""Characters of the model's own words that are kept."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn comes to: a sentence for the customer, a hand-over, both, or nothing."""

    reply: str | None = None
    handover: HandoverReason | None = None
    switch_off: bool = False
    state: str = "answered"
    reason: str | None = None
    answer: Answer[Decision] | None = None


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A turn under way. `asked_at` is when the customer last wrote, `decided` its outcome if no model is needed."""

    turn: BotTurn
    asked_at: datetime
    client_number: str
    prompt: Prompt
    decided: Outcome | None


class BotSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`template` is the prompt file; `backup_number` gets the alerts of hand-overs, as WhatsApp digits."""

    template: str
    canary: str
    backup_number: str | None


class Bot:
    """One turn at a time per conversation."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        assistant: Assistant,
        settings: BotSettings,
        clock: Clock,
        typing: Typing | None = None,
    ) -> None:
        """`typing` tells the customer while the model is asked."""
        self._database = database
        self._profiles = BotProfiles(database, rights)
        self._assistant = assistant
        self._settings = settings
        self._now = clock
        self._typing = typing
        self._waiting = Waiting()

    async def work(self, lane: Lane) -> str:
        """One turn of the conversation that the lane names. Returns how it ended, for the metrics."""
        if lane.account_id is None:
            raise LookupError(f"turn lane without account: {lane.key}")
        try:
            opened = await self._open(lane.account_id, ConversationId(UUID(lane.key)))
        except ConversationNotFound:
            opened = None  # somebody deleted it
        if opened is None:
            await self._database.work.finish([lane])
            return "nothing_to_say"
        outcome = opened.decided
        if lane.attempts > MAX_ATTEMPTS:
            # Worker after worker died with this turn: a person goes on.
            outcome = _unavailable("worker_died")
        try:
            outcome = outcome or await self._ask(opened)
        except CircuitOpen as error:
            left = timedelta(seconds=rules.MODEL_WAIT_SECONDS) - (self._now() - opened.asked_at)
            if left > timedelta(0):
                # Nobody was asked, so nothing is lost yet. The lane is due when the limit is reached, or sooner.
                await self._database.work.retry(lane, left)
                self._waiting.add(lane.key)
                return "waits"
            outcome = _unavailable(error.code)
        return await self._close(opened, outcome, lane)

    async def resume(self, most: int | None) -> None:
        """The model may be there again: `most` of the turns that wait for it are due now, None is all."""
        await self._database.work.hurry(WorkKind.TURN, self._waiting.take(most))

    # --- before the model ---------------------------------------------------------------------------------------------

    async def _open(self, account_id: AccountId, conversation_id: ConversationId) -> _Opened | None:
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(account_id, conversation_id)
            if not conversation.bot_enabled:
                return None
            history = await _talk(tx, account_id, conversation_id)
            waiting = _unanswered(history)
            if not waiting:
                return None
            turn = await tx.bot.open_turn(
                BotTurn(
                    id=TurnId(uuid7()),
                    account_id=account_id,
                    conversation_id=conversation_id,
                    trigger_message_id=waiting[-1].id,
                    epoch=conversation.epoch,
                )
            )
            if turn is None:
                return None
            name = await tx.conversations.contact_name(account_id, conversation_id)
        knowledge = rules.knowledge(await self._profiles.of(account_id), name)
        return _Opened(
            turn=turn,
            asked_at=waiting[-1].at,
            client_number=conversation.client_number,
            prompt=self._prompt(knowledge, history),
            decided=self._without_model(history, waiting),
        )

    def _without_model(self, history: Sequence[History], waiting: Sequence[History]) -> Outcome | None:
        """The cases that code decides alone."""
        if (self._now() - waiting[-1].at).total_seconds() > rules.TURN_AGE_SECONDS:
            return Outcome(handover=HandoverReason.TOO_OLD, state="handed_over", reason="too_old")
        if any(m.content is None or is_readable(m.content) for m in waiting):
            return None
        if _said_since_text(history, rules.UNREADABLE):
            return Outcome(state="silent", reason="unreadable_again")
        return Outcome(reply=rules.UNREADABLE, reason="unreadable")

    def _prompt(self, knowledge: str, history: Sequence[History]) -> Prompt:
        # The template is data: plain replacement, so that braces of a profile mean nothing.
        system = (
            self._settings.template.replace("{unreadable}", rules.UNREADABLE)
            .replace("{canary}", self._settings.canary)
            .replace("{knowledge}", knowledge)
        )
        turns = tuple(
            Turn(role="customer" if m.is_inbound else "business", text=m.content_text)
            for m in history
            if m.content_text
        )
        return Prompt(system=system, history=turns)

    # --- the model ----------------------------------------------------------------------------------------------------

    async def _ask(self, opened: _Opened) -> Outcome:
        """Raises `CircuitOpen`, for then the model was not asked."""
        if self._typing is not None:
            self._typing.begins(opened.turn.account_id, opened.turn.conversation_id)
        try:
            answer = await self._assistant.complete(opened.prompt, schema=Decision)
        except CircuitOpen:
            raise
        except InboxError as error:
            if error.kind not in _MODEL_FAULTS:
                raise
            return _unavailable(error.code)
        return self._judge(answer)

    def _judge(self, answer: Answer[Decision]) -> Outcome:
        decision = answer.value
        asked = decision.action in (Action.HANDOFF, Action.REPLY_AND_HANDOFF) or rules.asks_for_human(decision.reply)
        if decision.action is Action.IGNORE:
            return Outcome(state="silent", reason="ignored", answer=answer)
        closed = rules.gate(decision.reply, self._settings.canary)
        if asked:
            keeps = decision.action is Action.REPLY_AND_HANDOFF and closed is None
            return Outcome(
                reply=decision.reply.strip() if keeps else rules.FALLBACK,
                handover=_reason(decision.handoff_reason),
                switch_off=True,
                state="handed_over",
                reason=_storable(decision.handoff_reason),
                answer=answer,
            )
        if closed is not None:
            return Outcome(
                reply=rules.FALLBACK,
                handover=HandoverReason.GATE,
                state="handed_over",
                reason=closed.value,
                answer=answer,
            )
        return Outcome(reply=decision.reply.strip(), answer=answer)

    # --- after the model ----------------------------------------------------------------------------------------------

    async def _close(self, opened: _Opened, outcome: Outcome, lane: Lane) -> str:
        turn = opened.turn
        ids = {opened.client_number: turn.conversation_id}
        if outcome.handover and self._settings.backup_number is not None:
            ids.setdefault(self._settings.backup_number, await self._backup_conversation(turn.account_id))
        async with self._database.transaction() as tx:
            # In the order of their ids, as ingest locks them.
            locked = {
                key: await tx.conversations.lock(turn.account_id, ids[key])
                for key in sorted(ids, key=lambda key: ids[key])
            }
            conversation = locked.pop(opened.client_number)
            history = await _talk(tx, turn.account_id, turn.conversation_id)
            if not _still_wanted(turn, conversation, history):
                outcome = Outcome(state="dropped", reason="overtaken", answer=outcome.answer)
                if conversation.bot_enabled:
                    # What overtook it may want an answer as well: the lane stays open and is looked at again.
                    lane = msgspec.structs.replace(lane, ver=0)
            if outcome.handover is not None:
                outcome = await self._hand_over(tx, turn, conversation, outcome, history, locked.values())
            elif _is_of_model(outcome) and conversation.handed_over_at is not None:
                await tx.conversations.take_back(turn.account_id, turn.conversation_id)
            if outcome.reply is not None:
                await self._say(tx, turn, conversation, outcome.reply)
            await _close_turn(tx, turn, outcome)
            await tx.finish([lane])
        return outcome.state

    async def _backup_conversation(self, account_id: AccountId) -> ConversationId:
        async with self._database.transaction() as tx:
            to = Address.of(self._settings.backup_number or "")
            found, _ = await tx.conversations.find_or_create(account_id, to, self._now())
        return found

    async def _hand_over(
        self,
        tx: Transaction,
        turn: BotTurn,
        conversation: Conversation,
        outcome: Outcome,
        history: Sequence[History],
        backups: Iterable[Conversation],
    ) -> Outcome:
        reason = str(outcome.handover)
        since = conversation.handed_over_at or self._now()
        await tx.conversations.hand_over(
            conversation.account_id, conversation.id, reason, since, switch_off=outcome.switch_off
        )
        await tx.record(_event(conversation, "bot.handed_over", reason=reason))
        if conversation.handed_over_at is None or outcome.switch_off:
            for backup in backups:
                text = rules.escalation(conversation.id, conversation.client_number, history[-1].content_text)
                await self._alert(tx, turn, backup, text)
        is_told = any(_is_fallback(message) and message.at >= since for message in history)
        if is_told and outcome.reply == rules.FALLBACK:
            # Once is enough: the customer knows that a person will come.
            return msgspec.structs.replace(outcome, reply=None)
        return outcome

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

    async def _alert(self, tx: Transaction, turn: BotTurn, backup: Conversation, text: str) -> None:
        """Tells the backup number, on the normal way out: a failure is a failed message that people see."""
        now = self._now()
        alert = NewMessage(
            id=MessageId(uuid7()),
            account_id=turn.account_id,
            conversation_id=backup.id,
            content=Text(body=text),
            author=Author.SYSTEM,
            author_id=None,
            at=now,
            expires_at=now + TTL_HUMAN,
            turn_id=turn.id,
            part=1,
        )
        await put(tx, backup, alert)


async def _close_turn(tx: Transaction, turn: BotTurn, outcome: Outcome) -> None:
    answer = outcome.answer
    await tx.bot.close_turn(
        turn,
        outcome.state,
        reason=outcome.reason,
        answer=outcome.reply,
        model=answer.model if answer else None,
        tokens=(answer.usage.input, answer.usage.output) if answer else (0, 0),
    )


def _is_fallback(message: History) -> bool:
    return not message.is_inbound and message.content_text == rules.FALLBACK


def _unavailable(reason: str) -> Outcome:
    return Outcome(reply=rules.FALLBACK, handover=HandoverReason.UNAVAILABLE, state="handed_over", reason=reason)


async def _talk(tx: Transaction, account_id: AccountId, conversation_id: ConversationId) -> list[History]:
    """The newest messages, oldest first, without those that nobody would answer: notices, empty texts."""
    history = await tx.messages.history(account_id, conversation_id, rules.HISTORY_MESSAGES)
    return [
        message
        for message in history
        if (message.content_text or "").strip() and (message.content is None or rules.wakes_bot(message.content))
    ]


def _unanswered(history: Sequence[History]) -> list[History]:
    """The customer's messages since the last one of ours, oldest first."""
    waiting: list[History] = []
    for message in reversed(history):
        if not message.is_inbound:
            break
        waiting.append(message)
    return waiting[::-1]


def _said_since_text(history: Sequence[History], sentence: str) -> bool:
    """True if `sentence` was sent since the customer last wrote something readable."""
    for message in reversed(history):
        if message.is_inbound and (message.content is None or is_readable(message.content)):
            return False
        if not message.is_inbound and message.content_text == sentence:
            return True
    return False


def _still_wanted(turn: BotTurn, conversation: Conversation, history: Sequence[History]) -> bool:
    return (
        conversation.bot_enabled
        and conversation.epoch == turn.epoch
        and bool(history)
        and history[-1].id == turn.trigger_message_id
    )


def _is_of_model(outcome: Outcome) -> bool:
    """True if the model answered the customer: it is there again."""
    return outcome.state == "answered" and outcome.answer is not None


def _storable(reason: str) -> str:
    """The model's own words, without what PostgreSQL has no room for."""
    return reason.replace("\x00", "")[:_MAX_REASON]


def _reason(word: str) -> HandoverReason:
    return HandoverReason.ASKED if word == HandoverReason.ASKED else HandoverReason.MODEL


def _event(conversation: Conversation, kind: str, **body: str) -> Event:
    return Event(account_id=conversation.account_id, conversation_id=conversation.id, kind=kind, body=dict(body))
