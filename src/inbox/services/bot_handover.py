"""A turn steps back: the conversation shows why, and whoever is on call is told."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from inbox.domain.bot import FALLBACKS, SENTENCES, escalation
from inbox.domain.bot_briefing import one_line
from inbox.domain.bot_profile import Profile
from inbox.domain.bot_verdict import Verdict, handed_over
from inbox.domain.clock import Clock
from inbox.domain.contacts import Address
from inbox.domain.content import Text
from inbox.domain.conversations import Conversation, HandoverReason
from inbox.domain.errors import InboxError, Invalid
from inbox.domain.events import SERVICE, BotHandedOver, ConversationCreated
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.domain.messages import Author
from inbox.domain.outbound import TTL_BOT, TTL_HUMAN, TTL_TEMPLATE
from inbox.domain.outgoing_template import BodyComponent, TemplateMessage, TextParameter
from inbox.ports.database import Database, Transaction
from inbox.ports.records import BotTurn, History, NewMessage
from inbox.services.accepting import put
from inbox.services.bot_settings import BotSettings
from inbox.services.bot_talk import past_of
from inbox.services.template_sends import described

_MAX_QUOTE = 500
_LATE = frozenset({HandoverReason.TOO_OLD, HandoverReason.UNDELIVERED})
"""Reasons that may come up when the window has long been closed."""
_TOLD = timedelta(hours=1)
"""So long nobody is alerted again because answers do not get to the same customer."""
_LATER = 2
"""The part of a turn that is said after its answer was lost; the alert is part 1."""


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that has not got to the customer, and never will. `is_last`: they have written nothing since."""

    turn: BotTurn
    profile: Profile
    reason: str
    is_last: bool


class Stepping:
    """Back, for a person."""

    def __init__(self, database: Database, settings: BotSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._now = clock

    async def backup_conversation(self, account_id: AccountId) -> ConversationId | None:
        """The conversation with the backup number, made if there is none; None without such a number."""
        if self._settings.backup_number is None:
            return None
        async with self._database.transaction() as tx:
            to = Address.of(self._settings.backup_number)
            found, is_new = await tx.conversations.find_or_create(account_id, to, self._now())
            if is_new:
                await tx.record(ConversationCreated(account_id=account_id, conversation_id=found, by=SERVICE))
        return found

    async def undelivered(self, lost: Undelivered) -> None:
        """Hands over, once, unless somebody took over since; the customer hears so if they wait for nothing newer."""
        turn = lost.turn
        backup = await self.backup_conversation(turn.account_id)
        async with self._database.transaction() as tx:
            conversation, backups = await locked(tx, turn, backup)
            if conversation.epoch != turn.epoch or not conversation.bot_enabled:
                return
            is_news = await tx.bot.undelivered(turn, lost.reason)
            if not is_news or conversation.handed_over_at is not None:
                return
            past = await past_of(tx, turn.account_id, turn.conversation_id, conversation.epoch)
            verdict = handed_over(HandoverReason.UNDELIVERED, lost.reason, SENTENCES[lost.profile.behaviour.language])
            if not lost.is_last:
                verdict = msgspec.structs.replace(verdict, reply=None)
            since = _told_since(past.history, self._now())
            if await tx.bot.is_loss_told(turn.account_id, turn.conversation_id, since=since):
                backups = []  # nothing gets to this customer, and somebody is on it
            await self.hand_over(tx, turn, conversation, verdict, past.history, backups, part=_LATER)

    async def hand_over(
        self,
        tx: Transaction,
        turn: BotTurn,
        conversation: Conversation,
        verdict: Verdict,
        history: Sequence[History],
        backups: Iterable[Conversation],
        *,
        part: int = 0,
    ) -> Verdict:
        """Marks the locked `conversation`, says there what the verdict says, and alerts the locked `backups`.

        `part` is that of the turn which is said. Returns the verdict, without the fallback sentence if the customer
        heard it in this hand-over, or wrote so long ago that it cannot be said any more.
        """
        since = conversation.handed_over_at or self._now()
        reason, off = HandoverReason(str(verdict.handover)), verdict.switches_off
        await tx.conversations.hand_over(conversation.account_id, conversation.id, reason, since, switch_off=off)
        await tx.record(
            BotHandedOver(
                account_id=conversation.account_id,
                conversation_id=conversation.id,
                reason=reason,
                bot_enabled=conversation.bot_enabled and not off,
            )
        )
        is_told = any(_is_fallback(message) and message.at >= since for message in history)
        is_late = reason in _LATE and not conversation.is_window_open(self._now())
        if (is_told or is_late) and verdict.reply in FALLBACKS:
            # Once is enough, and what WhatsApp would refuse is not tried.
            verdict = msgspec.structs.replace(verdict, reply=None)
        alerted = backups if conversation.handed_over_at is None or off else ()
        last_text = next((message.content_text for message in reversed(history) if message.is_inbound), None) or ""
        # In the order of their ids: whoever settles several sends takes their lanes so.
        for one in sorted([conversation, *alerted], key=lambda one: one.id):
            if one is not conversation:
                await self._alert(tx, turn, conversation, one, last_text)
            elif verdict.reply is not None:
                await say(tx, turn, conversation, verdict.reply, self._now(), part=part)
        return verdict

    async def _alert(
        self, tx: Transaction, turn: BotTurn, conversation: Conversation, backup: Conversation, last_text: str
    ) -> None:
        """Tells the backup number, on the normal way out: a failure is a failed message that people see."""
        now = self._now()
        text = escalation(conversation.id, conversation.client_number, last_text)
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
        if not backup.is_window_open(now):
            alert = await self._as_template(tx, alert, conversation.client_number, last_text)
        await put(tx, backup, alert)

    async def _as_template(self, tx: Transaction, alert: NewMessage, number: str, last_text: str) -> NewMessage:
        """Outside of the window WhatsApp takes nothing else. A template that it would refuse is not tried."""
        if self._settings.alert is None:
            return alert
        said = one_line(last_text, _MAX_QUOTE) or "-"
        body = BodyComponent(parameters=(TextParameter(text=number), TextParameter(text=said)))
        content = TemplateMessage(
            name=self._settings.alert.name, language=self._settings.alert.language, components=(body,)
        )
        shown = f"[Escalade] {number}: {said}"
        changes = {"content": content, "text": shown, "expires_at": alert.at + TTL_TEMPLATE}
        try:
            return await described(tx, msgspec.structs.replace(alert, **changes))
        except Invalid:  # it does not fit, as far as is known here: then WhatsApp says so, or takes it
            return msgspec.structs.replace(alert, **changes)
        except InboxError:
            return alert


async def locked(
    tx: Transaction, turn: BotTurn, backup: ConversationId | None
) -> tuple[Conversation, list[Conversation]]:
    """The conversation of a turn, and who is to be alerted if it is not that very one."""
    ids = {turn.conversation_id} | ({backup} if backup is not None else set())
    # In the order of their ids, as ingest locks them.
    found = {one: await tx.conversations.lock(turn.account_id, one) for one in sorted(ids)}
    conversation = found.pop(turn.conversation_id)
    return conversation, list(found.values())


async def say(
    tx: Transaction, turn: BotTurn, conversation: Conversation, text: str, now: datetime, *, part: int = 0
) -> bool:
    """Queues a text of the bot; what `put` returns."""
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
        part=part,
    )
    return await put(tx, conversation, message)


def _told_since(history: Sequence[History], now: datetime) -> datetime:
    """An alert that is not older is enough. A person who wrote after it has seen to it: what is lost then is news."""
    persons = (m.at for m in history if not m.is_inbound and m.author != Author.BOT and not m.by_program)
    return max([now - _TOLD, *persons])


def _is_fallback(message: History) -> bool:
    return not message.is_inbound and message.content_text in FALLBACKS
