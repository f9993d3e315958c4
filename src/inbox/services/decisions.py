"""What people decide about messages of ours that wait, failed, or may have been sent: nobody else sends one again."""

import msgspec

from inbox.domain.access import Actor, ActorKind, Permission
from inbox.domain.audit import Action, entry
from inbox.domain.clock import Clock
from inbox.domain.conversations import Conversation
from inbox.domain.errors import MessageNotFound, PermissionDenied, WhatsAppNotConfigured, WindowClosed
from inbox.domain.ids import MessageId
from inbox.domain.outbound import State, Step
from inbox.domain.outgoing import Sendable
from inbox.domain.sending_errors import MessageNotQueued, MessageNotUndecided
from inbox.domain.signals import MessageSettled, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.database import Database, Transaction
from inbox.ports.records import Closed, NewMessage, Owner
from inbox.services.accepting import addressed, draft, expiry, is_open, is_usable, put, timed
from inbox.services.attaching import attach
from inbox.services.template_sends import allowed


class Decisions:
    """Every method raises `MessageNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._now = clock

    async def cancel(self, actor: Actor, message_id: MessageId) -> None:
        """Gives up what nobody has begun to send. Raises `MessageNotQueued`."""
        owner = await self._owner(actor, message_id)
        async with self._database.transaction() as tx:
            await tx.conversations.lock(owner.account_id, owner.conversation_id)
            event = await tx.messages.decide(owner.account_id, message_id, Step.CANCELLED)
            if event is None:
                raise MessageNotQueued
            await tx.record(event)
            tx.wake(MessageSettled(message_id))

    async def resend(self, actor: Actor, message_id: MessageId) -> MessageId:
        """Sends once more what failed, or what may have been sent: then the customer may get it twice.

        What WhatsApp took and failed later stays as it is: the actor sends the same as a message of its own. Returns
        the id of the message that is sent. A person's right alone. Raises `MessageNotUndecided`, `WindowClosed`,
        `WhatsAppNotConfigured`, what `addressed` raises, and `TemplatePaused` and its kin: then nothing changes.
        """
        owner = await self._owner_for_person(actor, message_id)
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(owner.account_id, owner.conversation_id)
            now = self._now()
            content = await tx.messages.content(owner.account_id, message_id)
            if not isinstance(content, Sendable):
                raise MessageNotUndecided
            until = expiry(conversation, content, now)
            step = Step.RESENT_BY_HUMAN
            closed = await tx.messages.close(owner.account_id, message_id, step)
            event = closed.event if closed else await tx.messages.decide(owner.account_id, message_id, step, until)
            if event is None:
                raise MessageNotUndecided
            if not is_open(conversation, content, now, until):
                raise WindowClosed
            await allowed(tx, owner.account_id, content)
            await tx.record(event)
            await tx.audit(entry(actor, Action.MESSAGE_RESENT, message_id, account_id=owner.account_id))
            if closed:
                new = draft(actor, owner.account_id, owner.conversation_id, content, key=None, send_at=None, now=now)
                return await _say_again(tx, conversation, new, closed)
            tx.wake(WorkWaiting(WorkKind.SEND))
            return message_id

    async def discard(self, actor: Actor, message_id: MessageId) -> State:
        """Nobody will send it again. Returns where it stands. A person's right alone. Raises `MessageNotUndecided`."""
        owner = await self._owner_for_person(actor, message_id)
        async with self._database.transaction() as tx:
            await tx.conversations.lock(owner.account_id, owner.conversation_id)
            event = await tx.messages.decide(owner.account_id, message_id, Step.DISCARDED_BY_HUMAN)
            closed = None if event else await tx.messages.close(owner.account_id, message_id, Step.DISCARDED_BY_HUMAN)
            told = closed.event if closed else event
            if told is None:
                raise MessageNotUndecided
            await tx.record(told)
            await tx.audit(entry(actor, Action.MESSAGE_DISCARDED, message_id, account_id=owner.account_id))
            return State.FAILED if closed else State.CANCELLED

    async def _owner(self, actor: Actor, message_id: MessageId) -> Owner:
        owner = await self._database.queries.owner_of_message(message_id)
        if owner is None:
            raise MessageNotFound
        actor.require(Permission.MESSAGES_SEND, owner.account_id, MessageNotFound)
        return owner

    async def _owner_for_person(self, actor: Actor, message_id: MessageId) -> Owner:
        owner = await self._owner(actor, message_id)
        if actor.kind is not ActorKind.PERSON:
            raise PermissionDenied
        return owner


async def _say_again(tx: Transaction, conversation: Conversation, new: NewMessage, closed: Closed) -> MessageId:
    if not await is_usable(tx.accounts.channel(new.account_id)):
        raise WhatsAppNotConfigured
    new = await addressed(tx, timed(new, conversation, new.at), None)
    await put(tx, conversation, msgspec.structs.replace(new, reply_to_wamid=closed.reply_to_wamid), can_send=True)
    await attach(tx, new)
    return new.id
