"""Messages to customers: accepted in one transaction, delivered apart, never twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.clock import Clock
from inbox.domain.conversations import Conversation
from inbox.domain.errors import (
    CommitUnknown,
    ConversationNotFound,
    DatabaseTimeout,
    DatabaseUnavailable,
    InboxError,
    Invalid,
    MessageNotFound,
)
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.outbound import OpId, State
from inbox.domain.outgoing import Sendable
from inbox.domain.signals import MessageSettled, Signal
from inbox.domain.uploads import uses
from inbox.domain.upstream_errors import (
    FenceRefused,
    OutcomeUnknown,
    Refused,
)
from inbox.domain.work import Lane, back_off
from inbox.ports.database import Database, Transaction
from inbox.ports.events import Events
from inbox.ports.messaging import Sender
from inbox.ports.records import IdempotencyKey, NewMessage, Outgoing, Posted, Settlement
from inbox.ports.views import Outcome
from inbox.services.accepting import addressed, created, draft, is_usable, is_usual, key_of, known, put, timed
from inbox.services.attaching import attach
from inbox.services.handing_over import FileNotTaken, HandingOver
from inbox.services.hands import Hands
from inbox.services.outcomes import LOOKED_AT_AGAIN, is_outage, settlement, wait_for_nothing
from inbox.services.resting import Resting, Try
from inbox.services.rights import Rights
from inbox.services.unseen import LastSeen, behind_all
from inbox.services.waiting import Waiting

_UNDER_WAY: Final = frozenset({State.QUEUED, State.CLAIMED, State.WIRE, State.UNKNOWN, State.UNCONFIRMED})
_OUTAGE: Final = (DatabaseUnavailable, DatabaseTimeout, CommitUnknown)
_WRITES: Final = 5
"""How often an outcome is written before it is left to the reaper: some seconds, while a database restarts."""
_MEETS_REST: Final = timedelta(seconds=1)
"""The wait of a message whose number began to rest: after it the number keeps it back, as long as that takes."""
_TRIAL: Final = timedelta(seconds=20)
"""While one message tries a number, no other one is claimed: longer than a send may take."""


class Accepted(NamedTuple):
    """A message that is stored. `is_prompt`: just now, and it is sent as soon as its turn comes."""

    account_id: AccountId
    message_id: MessageId
    is_prompt: bool


class Outbound:
    """The one way out, for people, the bot and the API."""

    def __init__(
        self, database: Database, rights: Rights, sender: Sender, events: Events, clock: Clock, files: HandingOver
    ) -> None:
        self._database = database
        self._rights = rights
        self._sender = sender
        self._files = files
        self._events = events
        self._now = clock
        self._waiting = Waiting()
        self.hands = Hands()
        """A worker in this process lends its own."""
        self.resting = Resting()

    # --- accepting ----------------------------------------------------------------------------------------------------

    async def accept(
        self,
        actor: Actor,
        conversation_id: ConversationId,
        content: Sendable,
        *,
        key: str | None,
        reply_to: MessageId | None = None,
        send_at: datetime | None = None,
        last_seen: LastSeen | None = None,
    ) -> Accepted:
        """Stores a person's message as `pending` and queues it; `key` makes repetitions harmless.

        With `send_at`, in UTC, it is queued at that time. Raises `ConversationNotFound`, `PermissionDenied`,
        `IdempotencyKeyReused`, `TooManyScheduled`, and `Invalid` or `ReactionRefused` for a message that cannot be
        quoted, reacted to, or sent then. With `last_seen`, also `ConversationMoved` if anybody but the caller added
        something behind it, unless this is a repetition of what was accepted. A refusal that the operator must see is
        stored as a failed message: its outcome then says why.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        can_send = await is_usable(self._rights.channel(account_id))
        new = draft(actor, account_id, conversation_id, content, key=key, send_at=send_at, now=self._now())
        has_uploads = next(uses(content), None) is not None
        if can_send and last_seen is None and not has_uploads and is_usual(new, reply_to):
            posted = await self._post(new, key_of(new, reply_to))
            if posted is not None:
                return Accepted(account_id, new.id, is_prompt=posted.is_prompt)
        async with self._database.transaction() as tx:
            # Uploads are locked after the conversation, and before its lane.
            conversation = await tx.conversations.lock(account_id, conversation_id, to_send_last=not has_uploads)
            new = timed(new, conversation, self._now())
            if (earlier := await known(tx, new, reply_to)) is not None:
                return Accepted(account_id, earlier, is_prompt=False)
            if last_seen is not None:
                may_read = actor.may(Permission.MESSAGES_VIEW, account_id)
                new = await behind_all(tx, new, last_seen, may_read=may_read)
            return await self._store(tx, conversation, new, reply_to, can_send=can_send)

    async def _post(self, new: NewMessage, key: IdempotencyKey | None) -> Posted | None:
        """If a hand is free, it begins to send what is claimed for it."""
        with self.hands.held() as is_held:
            posted = await self._database.outbox.post(new, created(new, State.QUEUED), key, claims=is_held)
            if posted is not None and (claimed := posted.claimed) is not None and not self.hands.begin(claimed):
                # The worker has stopped. Another one takes it, at the latest when the lease is over.
                with suppress(InboxError):
                    await self._database.outbox.release(new.id, claimed.head.token, claimed.lane, timedelta(0))
            return posted

    async def _store(
        self,
        tx: Transaction,
        conversation: Conversation,
        new: NewMessage,
        reply_to: MessageId | None,
        *,
        can_send: bool,
    ) -> Accepted:
        if new.send_at is not None and new.send_at <= new.at:
            raise Invalid("body.send_at", "in the future")
        is_prompt = await put(tx, conversation, await addressed(tx, new, reply_to), can_send=can_send)
        await attach(tx, new)
        return Accepted(new.account_id, new.id, is_prompt=is_prompt)

    async def outcome(
        self, account_id: AccountId, message_id: MessageId, *, within: float, is_prompt: bool = False
    ) -> Outcome:
        """What became of the message: the final word, or how far it is after `within` seconds.

        A message for later is not waited for, nor one that was given back to wait: throttled, a paused account, an open
        circuit, a number that rests.
        `is_prompt` is what `accept` said a moment ago: there is nothing to see yet. While the database does not answer,
        the message counts as queued: it is stored, an error would say that it is not. Raises `MessageNotFound`.
        """
        if within <= 0:  # a timeout of 0 would cut this very look off
            return _queued(message_id) if is_prompt else await self._outcome(account_id, message_id)
        try:
            async with asyncio.timeout(within), self._events.subscribe(partial(_is_about, message_id)) as signals:
                if is_prompt and (settled := await _hint(signals)) and settled.wamid:
                    return _accepted(settled)
                while True:
                    outcome = await self._outcome(account_id, message_id)
                    if outcome.state not in _UNDER_WAY or outcome.is_postponed:
                        return outcome
                    await _hint(signals)
        except TimeoutError:
            return await self._outcome(account_id, message_id)

    async def _outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome:
        try:
            outcome = await self._database.queries.outcome(account_id, message_id)
        except _OUTAGE:
            return _queued(message_id)
        if outcome is None:
            raise MessageNotFound
        return outcome

    # --- delivering ---------------------------------------------------------------------------------------------------

    async def deliver(self, outgoing: Outgoing, lane: Lane) -> State:
        """One attempt at WhatsApp, and its outcome written down. Returns where the message stands."""
        self._waiting.discard(lane.key)
        if outgoing.is_paused:
            return await self._give_back(outgoing, lane, LOOKED_AT_AGAIN)
        with self.resting.trying(outgoing.account_id) as number:
            if number is None:
                return await self._give_back(outgoing, lane, _MEETS_REST)
            if not number.is_trial:
                return await self._attempt(outgoing, lane, number)
            await self._rest(outgoing.account_id, _TRIAL)
            state = await self._attempt(outgoing, lane, number)
            if state is not State.UNKNOWN and not number.began_rest:
                await self._rest(outgoing.account_id, timedelta(0))
            return state

    async def resume(self, most: int | None) -> None:
        """WhatsApp may be there again: `most` of the lanes that an outage put off are due now, None is all."""
        await self._database.outbox.hurry(self._waiting.take(most))

    async def _attempt(self, outgoing: Outgoing, lane: Lane, number: Try) -> State:
        fence = _Fence(self._database, outgoing)
        try:
            ready = await self._files.handed_over(outgoing)
            accepted = await self._sender.send(
                outgoing.channel,
                outgoing.to,
                ready.content,
                op=OpId(outgoing.id, outgoing.attempt + 1),
                fence=fence,
                reply_to=outgoing.reply_to_wamid,
            )
        except FileNotTaken as refusal:
            return await self._failed(outgoing, lane, refusal.error, is_judged=True)
        except InboxError as error:
            rests = number.failed(error) if fence.is_passed else None
            return await self._failed(outgoing, lane, error, is_judged=fence.is_passed, rests=rests)
        except asyncio.CancelledError:
            # The process stops in the middle of a send: what may have left is unknown, the rest goes back.
            if fence.is_passed:
                await self._settle(settlement(outgoing, OutcomeUnknown(), lane), lane)
            else:
                await self._give_back(outgoing, lane, timedelta(0))
            raise
        number.accepted()
        taken = Settlement(
            message_id=outgoing.id,
            account_id=outgoing.account_id,
            token=outgoing.token,
            state=State.ACCEPTED,
            wamid=accepted.wamid,
        )
        return await self._settle(taken, lane)

    async def _failed(
        self, outgoing: Outgoing, lane: Lane, error: InboxError, *, is_judged: bool, rests: timedelta | None = None
    ) -> State:
        """`is_judged`: it may have left, or WhatsApp refused its file; the class of the error says where it stands."""
        if is_judged:
            state = await self._settle(settlement(outgoing, error, lane, rests), lane)
            if isinstance(error, Refused):
                await self._files.forget(outgoing)
        else:
            # Nothing can have left, whatever the error is.
            state = await self._give_back(outgoing, lane, wait_for_nothing(error, lane.retries + 1))
        if state is State.QUEUED and is_outage(error):
            self._waiting.add(lane.key)
        return state

    async def _rest(self, account_id: AccountId, rest: timedelta) -> None:
        await _written(lambda: self._database.outbox.rest(account_id, rest))

    async def _settle(self, outcome: Settlement, lane: Lane) -> State:
        await _written(lambda: self._database.outbox.settle(outcome, lane))
        return outcome.state

    async def _give_back(self, outgoing: Outgoing, lane: Lane, wait: timedelta) -> State:
        await _written(lambda: self._database.outbox.release(outgoing.id, outgoing.token, lane, wait))
        return State.QUEUED


def _accepted(settled: MessageSettled) -> Outcome:
    return msgspec.structs.replace(_queued(settled.message_id), state=State.ACCEPTED, wamid=settled.wamid)


def _queued(message_id: MessageId) -> Outcome:
    return Outcome(
        id=message_id,
        state=State.QUEUED,
        is_postponed=False,
        wamid=None,
        error_code=None,
        error_message=None,
        reason=None,
    )


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


def _is_about(message_id: MessageId, signal: Signal) -> bool:
    return isinstance(signal, MessageSettled) and signal.message_id == message_id


async def _hint(signals: AsyncIterator[Signal]) -> MessageSettled | None:
    """Returns when the bus says that the message moved, with its word, and after a second in any case."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            async for signal in signals:
                return signal if isinstance(signal, MessageSettled) else None
            await asyncio.Event().wait()  # the bus is closed: looking alone has to do
    return None


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
