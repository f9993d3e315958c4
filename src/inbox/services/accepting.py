"""How a message gets on its way, whoever wrote it: checked against the conversation, stored, queued."""

import hashlib
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.domain import outgoing
from inbox.domain.access import Actor, ActorKind
from inbox.domain.accounts import Channel
from inbox.domain.content import Content, message_type
from inbox.domain.conversations import Conversation
from inbox.domain.errors import InboxError, Invalid, SecretUnreadable, WhatsAppNotConfigured, WindowClosed
from inbox.domain.events import MessageCreated
from inbox.domain.failure_texts import explain
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.domain.messages import Author
from inbox.domain.outbound import PUBLIC, TTL_HUMAN, TTL_TEMPLATE, WINDOW_MARGIN, State
from inbox.domain.outgoing import Reaction, ReactionRemoval, Sendable
from inbox.domain.outgoing_template import TemplateMessage
from inbox.domain.scheduling import MOST_AHEAD
from inbox.domain.sending_errors import ReactionRefused
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.database import Transaction
from inbox.ports.records import IdempotencyKey, NewMessage
from inbox.services.template_sends import described

REACTS_WITHIN: Final = timedelta(days=30)
"""How old a message may be that somebody reacts to (Meta, reaction messages)."""


def draft(
    actor: Actor,
    account_id: AccountId,
    conversation_id: ConversationId,
    content: Sendable,
    *,
    key: str | None,
    send_at: datetime | None,
    now: datetime,
) -> NewMessage:
    """A message of a person or a program, as long as nobody has looked at its conversation."""
    return NewMessage(
        id=MessageId(uuid7()),
        account_id=account_id,
        conversation_id=conversation_id,
        content=content,
        author=Author.HUMAN,
        author_id=actor.user_id,
        at=now,
        expires_at=now + TTL_HUMAN,
        client_id=key,
        by_program=actor.kind is ActorKind.API_KEY,
        send_at=send_at,
    )


def key_of(new: NewMessage, reply_to: MessageId | None) -> IdempotencyKey | None:
    """By which a repetition of this request is known."""
    if new.client_id is None or new.author_id is None:
        return None
    return IdempotencyKey(
        account_id=new.account_id,
        caller=new.author_id,
        call="messages.send",
        key=new.client_id,
        request_hash=fingerprint(new, reply_to),
    )


async def known(tx: Transaction, new: NewMessage, reply_to: MessageId | None) -> MessageId | None:
    """What this request became when it came before; its key is claimed for `new` otherwise."""
    key = key_of(new, reply_to)
    return None if key is None else await tx.messages.remember(key, new.id)


async def put(tx: Transaction, conversation: Conversation, new: NewMessage, *, can_send: bool | None = None) -> bool:
    """Puts a message of a person, the bot or the system on its way; `conversation` is locked.

    What cannot be sent is stored as failed with a reason that people see. `can_send` says whether the account has what
    a send needs; None looks. A reaction is no line of the conversation: it moves nothing but itself. True if the
    message is going to be sent as soon as its turn comes: neither has it failed, nor does its lane wait for something.

    One for later moves nothing of the conversation either, until its time comes: what the window and the bot have to do
    with it is decided then.
    """
    if can_send is None:
        can_send = await is_usable(tx.accounts.channel(new.account_id))
    refusal = _refusal(conversation, new, can_send=can_send)
    is_line = not isinstance(new.content, Reaction | ReactionRemoval)
    if refusal is None and new.send_at is not None:
        await tx.record(created(new, State.SCHEDULED))
        return await tx.messages.queue(new)
    if refusal is None:
        tx.wake(WorkWaiting(WorkKind.SEND))
        return await tx.messages.queue(new, created(new, State.QUEUED) if is_line else None)
    code = WindowClosed.graph_code if isinstance(refusal, WindowClosed) else None
    said = explain(refusal.code)
    sentence = said.sentence() if said else str(refusal)
    told = created(new, State.FAILED) if is_line else None
    await tx.messages.add_failed(new, told, reason=refusal.code, error_code=code, error_message=sentence)
    return False


async def addressed(tx: Transaction, new: NewMessage, reply_to: MessageId | None) -> NewMessage:
    """With the wamid of what it quotes, and the text of its template.

    Raises `Invalid` for a message that the conversation does not have, or that WhatsApp does not know, and for values
    that do not fit their template; `ReactionRefused` for a reaction to one that is too old; `TemplatePaused` and its
    kin for a template that cannot be sent.
    """
    new = await described(tx, new)
    if isinstance(new.content, Reaction | ReactionRemoval):
        target = await tx.messages.target(new.account_id, new.conversation_id, new.content.wamid)
        if target is None:
            raise Invalid("body.content.wamid", "a message of this conversation")
        if isinstance(new.content, Reaction) and new.at - target.at > REACTS_WITHIN:
            raise ReactionRefused
    if reply_to is None:
        return new
    quoted = await tx.messages.target(new.account_id, new.conversation_id, reply_to)
    if quoted is None:
        raise Invalid("body.reply_to_message_id", "a message of this conversation that WhatsApp has")
    return msgspec.structs.replace(new, reply_to_wamid=quoted.wamid)


async def is_usable(channel: Awaitable[Channel]) -> bool:
    """Whether the account has what a send needs."""
    try:
        return (await channel).is_usable
    except SecretUnreadable:
        return False


def is_usual(new: NewMessage, reply_to: MessageId | None) -> bool:
    """Whether nothing but its conversation, and its uploads, has to be looked at before it is queued."""
    has_looks = isinstance(new.content, TemplateMessage | Reaction | ReactionRemoval)
    return new.send_at is None and reply_to is None and not has_looks


def timed(new: NewMessage, conversation: Conversation, now: datetime) -> NewMessage:
    """As it is written `now`: when it is given up depends on the window. Raises as `planned`."""
    content, later = new.content, new.send_at
    until = expiry(conversation, content, now) if later is None else planned(content, later, now)
    return msgspec.structs.replace(new, at=now, expires_at=until)


def expiry(conversation: Conversation, content: Content | Sendable, now: datetime) -> datetime:
    """When a person's message is given up: all but templates with the window, less a margin."""
    if isinstance(content, TemplateMessage):
        return now + TTL_TEMPLATE
    if conversation.window_expires_at is None:
        return now + TTL_HUMAN
    return min(now + TTL_HUMAN, conversation.window_expires_at - WINDOW_MARGIN)


def planned(content: Content | Sendable, send_at: datetime, now: datetime) -> datetime:
    """When a message for later is given up: the window is judged at its time.

    Raises `Invalid` for a time that is too far ahead. One that is over is no fault of a request that comes again.
    """
    if isinstance(content, Reaction | ReactionRemoval):
        raise Invalid("body.send_at", "not for a reaction")
    if send_at > now + MOST_AHEAD:
        raise Invalid("body.send_at", f"at most {MOST_AHEAD.days} days ahead")
    return send_at + (TTL_TEMPLATE if isinstance(content, TemplateMessage) else TTL_HUMAN)


def fingerprint(new: NewMessage, reply_to: MessageId | None) -> bytes:
    """Of all that a request says; the same for the same request."""
    quoted = b"" if reply_to is None else reply_to.bytes
    later = b"" if new.send_at is None else str(new.send_at).encode()
    said = new.conversation_id.bytes + quoted + msgspec.json.encode(new.content) + later
    return hashlib.sha256(said).digest()


def _refusal(conversation: Conversation, new: NewMessage, *, can_send: bool) -> InboxError | None:
    if not can_send:
        return WhatsAppNotConfigured()
    if new.send_at is not None:
        return None
    return None if is_open(conversation, new.content, new.at, new.expires_at) else WindowClosed()


def is_open(conversation: Conversation, content: Content | Sendable, now: datetime, until: datetime) -> bool:
    """Whether it may be sent to the customer now. The last minute of the window is too short for a send."""
    return isinstance(content, TemplateMessage) or (conversation.is_window_open(now) and until > now)


def created(new: NewMessage, state: State) -> MessageCreated:
    """What front ends are told of it."""
    content = new.content
    return MessageCreated(
        account_id=new.account_id,
        conversation_id=new.conversation_id,
        message_id=new.id,
        direction="outbound",
        message_type=outgoing.message_type(content) if isinstance(content, Sendable) else message_type(content),
        status=PUBLIC[state],
        author=new.author,
        author_id=new.author_id,
        client_id=new.client_id,
        delivery_state=state,
    )
