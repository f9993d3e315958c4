"""Messages to customers: accepted in one transaction, delivered apart, never twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.clock import Clock
from inbox.domain.content import Content
from inbox.domain.conversations import Conversation
from inbox.domain.errors import (
    CommitUnknown,
    ConversationNotFound,
    DatabaseTimeout,
    DatabaseUnavailable,
    InboxError,
    MessageNotFound,
    SecretUnreadable,
    WhatsAppNotConfigured,
    WindowClosed,
)
from inbox.domain.events import Event, MessageSettled, Resync, Signal, WorkWaiting
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.domain.messages import FAILURES, Author
from inbox.domain.outbound import TTL_HUMAN, UNCONFIRMED_AFTER, UNCONFIRMED_AFTER_CODE, WINDOW_MARGIN, OpId, State
from inbox.domain.upstream_errors import (
    AccountProblem,
    FenceRefused,
    NothingSent,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from inbox.domain.work import Lane, WorkKind, back_off
from inbox.ports.database import Database, Transaction
from inbox.ports.events import Events
from inbox.ports.messaging import Sender
from inbox.ports.records import IdempotencyKey, NewMessage, Outgoing, Settlement
from inbox.ports.views import Outcome

_UNDER_WAY: Final = frozenset({State.QUEUED, State.CLAIMED, State.WIRE, State.UNKNOWN, State.UNCONFIRMED})
_LOOKED_AT_AGAIN: Final = timedelta(minutes=1)
"""How often the messages of an account that is paused or cannot be used are looked at again."""
_OUTAGE: Final = (DatabaseUnavailable, DatabaseTimeout, CommitUnknown)
_WRITES: Final = 5
"""How often an outcome is written before it is left to the reaper: some seconds, while a database restarts."""
_REPEATED_WITHIN: Final = {"app": 60.0, "waba": 60.0, "number": 1.0, "pair": 4.0, "service": 5.0}
"""Seconds to wait for the first time, by what is throttled, when WhatsApp names no time."""


class Outbound:
    """The one way out, for people, the bot and the API."""

    def __init__(self, database: Database, sender: Sender, events: Events, clock: Clock) -> None:
        self._database = database
        self._sender = sender
        self._events = events
        self._now = clock

    # --- accepting ----------------------------------------------------------------------------------------------------

    async def accept(
        self, actor: Actor, conversation_id: ConversationId, content: Content, *, key: str | None
    ) -> tuple[AccountId, MessageId]:
        """Stores a person's message as `pending` and queues it; `key` makes repetitions harmless.

        Raises `ConversationNotFound`, `PermissionDenied`, `IdempotencyKeyReused`. A refusal that the operator must see
        is stored as a failed message: its outcome then says why.
        """
        owner = await self._database.queries.owner_of_conversation(conversation_id)
        if owner is None:
            raise ConversationNotFound
        actor.require(Permission.MESSAGES_SEND, owner.account_id, ConversationNotFound)
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(owner.account_id, conversation_id)
            now = self._now()
            new = NewMessage(
                id=MessageId(uuid7()),
                account_id=owner.account_id,
                conversation_id=conversation_id,
                content=content,
                author=Author.HUMAN,
                author_id=actor.user_id,
                at=now,
                expires_at=_expiry(conversation, now, TTL_HUMAN),
                client_id=key,
            )
            return owner.account_id, await self._store(tx, conversation, new)

    async def _store(self, tx: Transaction, conversation: Conversation, new: NewMessage) -> MessageId:
        if new.client_id is not None and new.author_id is not None:
            known = await tx.messages.remember(
                IdempotencyKey(
                    account_id=new.account_id,
                    caller=new.author_id,
                    call="messages.send",
                    key=new.client_id,
                    request_hash=_fingerprint(new.conversation_id, new.content),
                ),
                new.id,
            )
            if known is not None:
                return known
        await put(tx, conversation, new)
        return new.id

    async def outcome(self, account_id: AccountId, message_id: MessageId, *, within: float) -> Outcome:
        """What became of the message: the final word, or how far it is after `within` seconds.

        While the database does not answer, the message counts as queued: it is stored, an error would say that it is
        not. Raises `MessageNotFound`.
        """
        if within <= 0:
            return await self._outcome(account_id, message_id)  # a timeout of 0 would cut this very look off
        try:
            async with asyncio.timeout(within), self._events.subscribe() as signals:
                while True:
                    outcome = await self._outcome(account_id, message_id)
                    if outcome.state not in _UNDER_WAY:
                        return outcome
                    await _hint(signals, message_id)
        except TimeoutError:
            return await self._outcome(account_id, message_id)

    async def _outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome:
        try:
            outcome = await self._database.queries.outcome(account_id, message_id)
        except _OUTAGE:
            return Outcome(
                id=message_id, state=State.QUEUED, wamid=None, error_code=None, error_message=None, reason=None
            )
        if outcome is None:
            raise MessageNotFound
        return outcome

    # --- delivering ---------------------------------------------------------------------------------------------------

    async def deliver(self, outgoing: Outgoing, lane: Lane) -> State:
        """One attempt at WhatsApp, and its outcome written down. Returns where the message stands."""
        if outgoing.is_paused:
            return await self._give_back(outgoing, lane, _LOOKED_AT_AGAIN)
        fence = _Fence(self._database, outgoing)
        try:
            accepted = await self._sender.send(
                outgoing.channel,
                outgoing.to,
                outgoing.content,
                op=OpId(outgoing.id, outgoing.attempt + 1),
                fence=fence,
                reply_to=outgoing.reply_to_wamid,
            )
        except InboxError as error:
            if not fence.is_passed:
                # Nothing can have left, whatever the error is.
                return await self._give_back(outgoing, lane, _wait_for_nothing(error, lane.retries + 1))
            return await self._settle(_settlement(outgoing, error), lane)
        except asyncio.CancelledError:
            # The process stops in the middle of a send: what may have left is unknown, the rest goes back.
            if fence.is_passed:
                await self._settle(_settlement(outgoing, OutcomeUnknown()), lane)
            else:
                await self._give_back(outgoing, lane, timedelta(0))
            raise
        settlement = Settlement(
            message_id=outgoing.id,
            account_id=outgoing.account_id,
            token=outgoing.token,
            state=State.ACCEPTED,
            wamid=accepted.wamid,
        )
        return await self._settle(settlement, lane)

    async def _settle(self, settlement: Settlement, lane: Lane) -> State:
        await _written(lambda: self._database.outbox.settle(settlement, lane))
        return settlement.state

    async def _give_back(self, outgoing: Outgoing, lane: Lane, wait: timedelta) -> State:
        await _written(lambda: self._database.outbox.release(outgoing.id, outgoing.token, lane, wait))
        return State.QUEUED


async def _written(write: Callable[[], Awaitable[None]]) -> None:
    """Writes what happened at the wire through a short outage, and through a cancellation: nobody else knows it.

    `write` is bound to a token: repeating it changes nothing.
    """

    async def repeated() -> None:
        for attempt in range(1, _WRITES):
            try:
                return await write()
            except _OUTAGE:
                await asyncio.sleep(back_off(attempt, first=0.25, most=2.0).total_seconds())
        return await write()

    task = asyncio.create_task(repeated())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _hint(signals: AsyncIterator[Signal], message_id: MessageId) -> None:
    """Returns when the bus says that the message moved, and after a second in any case."""
    try:
        async with asyncio.timeout(1):
            async for signal in signals:
                if signal == MessageSettled(message_id) or isinstance(signal, Resync):
                    return
            await asyncio.Event().wait()  # the bus is closed: looking alone has to do
    except TimeoutError:
        return


async def put(tx: Transaction, conversation: Conversation, new: NewMessage) -> None:
    """Puts a message of a person, the bot or the system on its way; `conversation` is locked.

    What cannot be sent is stored as failed with a reason that people see.
    """
    refusal = await _refusal(tx, conversation, new)
    if refusal is None:
        if new.author is Author.HUMAN:
            await tx.conversations.raise_epoch(new.account_id, new.conversation_id)
        await tx.messages.queue(new)
        tx.wake(WorkWaiting(WorkKind.SEND))
    else:
        code = WindowClosed.graph_code if isinstance(refusal, WindowClosed) else None
        sentence = FAILURES[code] if code is not None else str(refusal)
        await tx.messages.add_failed(new, reason=refusal.code, error_code=code, error_message=sentence)
    await tx.conversations.touch(new.account_id, new.conversation_id, new.at, by_bot=new.author is Author.BOT)
    await tx.record(_created(new))


async def _refusal(tx: Transaction, conversation: Conversation, new: NewMessage) -> InboxError | None:
    try:
        channel = await tx.accounts.channel(new.account_id)
    except SecretUnreadable:
        return WhatsAppNotConfigured()
    if not channel.is_usable:
        return WhatsAppNotConfigured()
    # The last minute of the window is too short for a send.
    is_open = conversation.is_window_open(new.at) and new.expires_at > new.at
    return None if is_open else WindowClosed()


class _Fence:
    """The commit before the first byte. It runs once: a second connection for the same attempt may not start."""

    def __init__(self, database: Database, outgoing: Outgoing) -> None:
        self._database = database
        self._outgoing = outgoing
        self.is_passed = False

    async def __call__(self) -> None:
        if self.is_passed:
            raise FenceRefused
        if await self._database.outbox.to_wire(self._outgoing.id, self._outgoing.token) is None:
            raise FenceRefused
        self.is_passed = True


def _settlement(outgoing: Outgoing, error: InboxError) -> Settlement:
    """The outcome classes of a send that had passed the fence."""
    settled = Settlement(
        message_id=outgoing.id,
        account_id=outgoing.account_id,
        token=outgoing.token,
        state=State.UNKNOWN,
        reason=error.code,
    )
    match error:
        case Refused():
            return msgspec.structs.replace(
                settled,
                state=State.FAILED,
                error_code=error.graph_code,
                error_message=FAILURES.get(error.graph_code or 0, str(error)),
            )
        case AccountProblem():
            return msgspec.structs.replace(
                settled, state=State.QUEUED, error_code=error.graph_code, pause=str(error), wait=_LOOKED_AT_AGAIN
            )
        case NothingSent() | TryLater():
            return msgspec.structs.replace(settled, state=State.QUEUED, wait=_wait(error, outgoing.attempt + 1))
        case OutcomeUnknown(graph_code=code) if code is not None:
            return msgspec.structs.replace(settled, error_code=code, unknown_for=UNCONFIRMED_AFTER_CODE)
        case _:
            return msgspec.structs.replace(settled, unknown_for=UNCONFIRMED_AFTER)


def _wait_for_nothing(error: InboxError, attempt: int) -> timedelta:
    """The wait after a try of which no byte left. What only an operator can repair is not looked at all the time."""
    match error:
        case FenceRefused():
            return timedelta(0)
        case AccountProblem() | Refused():
            return _LOOKED_AT_AGAIN
        case _:
            return _wait(error, attempt)


def _wait(error: InboxError, attempt: int) -> timedelta:
    if error.retry_after is not None:
        return timedelta(seconds=min(max(error.retry_after, 1.0), 300.0))
    first = _REPEATED_WITHIN[error.scope] if isinstance(error, TryLater) else 1.0
    return back_off(attempt, first=first, most=300.0 if isinstance(error, TryLater) else 30.0)


def _expiry(conversation: Conversation, now: datetime, ttl: timedelta) -> datetime:
    if conversation.window_expires_at is None:
        return now + ttl
    return min(now + ttl, conversation.window_expires_at - WINDOW_MARGIN)


def _fingerprint(conversation_id: ConversationId, content: Content) -> bytes:
    return hashlib.sha256(conversation_id.bytes + msgspec.json.encode(content)).digest()


def _created(new: NewMessage) -> Event:
    return Event(
        account_id=new.account_id,
        conversation_id=new.conversation_id,
        kind="message.created",
        body={"id": str(new.id), "direction": "outbound", "author": new.author.value},
    )
