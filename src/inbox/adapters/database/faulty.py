"""A database that fails on purpose: the real one, with named points at the border of the port.

For crash tests and for nothing else: what happens at a point is in `failpoints.py`. Services carry no hooks of their
own.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from inbox.adapters.database.failpoints import Failpoints, Trail
from inbox.domain.audit import AuditEntry
from inbox.domain.bot_profile import Profile
from inbox.domain.content import Content
from inbox.domain.conversations import HandoverReason
from inbox.domain.events import Event, MessageCreated
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, MessageId, TurnId, UserId
from inbox.domain.outbound import Step
from inbox.domain.outgoing import Sendable
from inbox.domain.signals import Signal
from inbox.domain.work import Lane, WorkKind
from inbox.ports.bot import Bot, Charge, PastTurn, Reservation, StoredFile, TurnEnd
from inbox.ports.database import Database, Deliveries, Outbox, Transaction, Work
from inbox.ports.records import (
    Applied,
    BotTurn,
    Closed,
    Delivery,
    HeadTaken,
    History,
    IdempotencyKey,
    InboundBatch,
    NewMessage,
    Posted,
    Settlement,
    Target,
    Unseen,
)
from inbox.ports.repositories import Messages
from inbox.ports.views import Backlog


class FaultyDatabase:
    """`inner`, with failpoints. Reads for screens have none: nothing hangs on them."""

    def __init__(self, inner: Database, failpoints: Failpoints) -> None:
        self.deliveries: Deliveries = FaultyDeliveries(inner.deliveries, failpoints)
        self.work: Work = FaultyWork(inner.work, failpoints)
        self.outbox: Outbox = FaultyOutbox(inner.outbox, failpoints)
        self.queries = inner.queries
        self.team = inner.team
        self.operations = inner.operations
        self.archive = inner.archive
        self.retention = inner.retention
        self.bot = inner.bot
        self.knowledge = inner.knowledge
        self.event_log = inner.event_log
        self.tickets = inner.tickets
        self._inner = inner
        self._failpoints = failpoints

    @asynccontextmanager
    async def transaction(self, *, within: float = 5.0) -> AsyncIterator["FaultyTransaction"]:
        trail = Trail(self._failpoints)
        async with self._inner.transaction(within=within) as tx:
            yield FaultyTransaction(tx, trail)
            await trail.hit_commit("before")
        await trail.hit_commit("after")


class FaultyTransaction:
    def __init__(self, inner: Transaction, trail: Trail) -> None:
        self.accounts = inner.accounts
        self.contacts = inner.contacts
        self.conversations = inner.conversations
        self.messages: Messages = FaultyMessages(inner.messages, trail)
        self.media_files = inner.media_files
        self.uploads = inner.uploads
        self.members, self.roles = inner.members, inner.roles
        self.api_keys = inner.api_keys
        self.bot: Bot = FaultyBot(inner.bot, trail)
        self.local_accounts = inner.local_accounts
        self.replays = inner.replays
        self.receipts, self.templates = inner.receipts, inner.templates
        self.knowledge = inner.knowledge
        self._inner = inner
        self._trail = trail

    async def apply(self, batch: InboundBatch) -> Applied:
        await self._trail.hit("tx.apply:before")
        applied = await self._inner.apply(batch)
        await self._trail.hit("tx.apply:after")
        return applied

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await self._trail.hit("tx.finish:before")
        await self._inner.finish(lanes)
        await self._trail.hit("tx.finish:after")

    async def enqueue(
        self, kind: WorkKind, key: str, *, account_id: AccountId | None, due_in: timedelta = timedelta()
    ) -> None:
        await self._inner.enqueue(kind, key, account_id=account_id, due_in=due_in)

    async def record(self, *events: Event) -> None:
        await self._inner.record(*events)

    async def audit(self, *entries: AuditEntry) -> None:
        await self._inner.audit(*entries)

    async def change_rights(self) -> None:
        await self._inner.change_rights()

    def wake(self, *signals: Signal) -> None:
        self._inner.wake(*signals)


class FaultyMessages:
    def __init__(self, inner: Messages, trail: Trail) -> None:
        self._inner = inner
        self._trail = trail

    async def queue(self, new: NewMessage, created: MessageCreated | None = None) -> bool:
        await self._trail.hit("tx.queue:before")
        is_prompt = await self._inner.queue(new, created)
        await self._trail.hit("tx.queue:after")
        return is_prompt

    async def add_failed(
        self,
        new: NewMessage,
        created: MessageCreated | None = None,
        *,
        reason: str,
        error_code: int | None,
        error_message: str,
    ) -> None:
        await self._inner.add_failed(new, created, reason=reason, error_code=error_code, error_message=error_message)

    async def remember(self, key: IdempotencyKey, message_id: MessageId) -> MessageId | None:
        return await self._inner.remember(key, message_id)

    async def unseen(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        last_seen: MessageId | None,
        *,
        by: UserId | None,
        limit: int,
    ) -> Unseen | None:
        return await self._inner.unseen(account_id, conversation_id, last_seen, by=by, limit=limit)

    async def content(self, account_id: AccountId, message_id: MessageId) -> Content | Sendable | None:
        return await self._inner.content(account_id, message_id)

    async def decide(
        self, account_id: AccountId, message_id: MessageId, step: Step, expires_at: datetime | None = None
    ) -> Event | None:
        return await self._inner.decide(account_id, message_id, step, expires_at)

    async def close(self, account_id: AccountId, message_id: MessageId, step: Step) -> Closed | None:
        return await self._inner.close(account_id, message_id, step)

    async def target(
        self, account_id: AccountId, conversation_id: ConversationId, named: MessageId | str
    ) -> Target | None:
        return await self._inner.target(account_id, conversation_id, named)

    async def history(self, account_id: AccountId, conversation_id: ConversationId, limit: int) -> list[History]:
        return await self._inner.history(account_id, conversation_id, limit)


class FaultyBot:
    def __init__(self, inner: Bot, trail: Trail) -> None:
        self._inner = inner
        self._trail = trail

    async def put_profile(self, profile: Profile, *, keeps_behaviour: bool = False) -> None:
        await self._inner.put_profile(profile, keeps_behaviour=keeps_behaviour)

    async def open_turn(self, turn: BotTurn) -> BotTurn | None:
        await self._trail.hit("tx.open_turn:before")
        opened = await self._inner.open_turn(turn)
        await self._trail.hit("tx.open_turn:after")
        return opened

    async def close_turn(self, turn: BotTurn, end: TurnEnd) -> None:
        await self._trail.hit("tx.close_turn:before")
        await self._inner.close_turn(turn, end)
        await self._trail.hit("tx.close_turn:after")

    async def undelivered(self, turn: BotTurn, reason: str) -> bool:
        return await self._inner.undelivered(turn, reason)

    async def is_loss_told(self, account_id: AccountId, conversation_id: ConversationId, *, since: datetime) -> bool:
        return await self._inner.is_loss_told(account_id, conversation_id, since=since)

    async def unsummarised(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        *,
        within: timedelta,
        but_for: Collection[HandoverReason],
    ) -> BotTurn | None:
        return await self._inner.unsummarised(account_id, conversation_id, within=within, but_for=but_for)

    async def summarise(self, turn: BotTurn, summary: str) -> ConversationId | None:
        return await self._inner.summarise(turn, summary)

    async def turns_about(
        self, account_id: AccountId, conversation_id: ConversationId, message_ids: Sequence[MessageId]
    ) -> list[PastTurn]:
        return await self._inner.turns_about(account_id, conversation_id, message_ids)

    async def last_handover(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        reasons: Sequence[HandoverReason],
        *,
        besides: TurnId | None = None,
    ) -> datetime | None:
        return await self._inner.last_handover(account_id, conversation_id, reasons, besides=besides)

    async def files(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> list[StoredFile]:
        return await self._inner.files(account_id, message_ids)

    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        return await self._inner.reserve(call, contact=contact, account=account)

    async def settle(self, call: Reservation, used: Charge) -> None:
        await self._inner.settle(call, used)


class FaultyDeliveries:
    def __init__(self, inner: Deliveries, failpoints: Failpoints) -> None:
        self._inner = inner
        self._failpoints = failpoints

    async def store(self, body: bytes, lane: str) -> None:
        await self._failpoints.hit("deliveries.store:before")
        await self._inner.store(body, lane)
        await self._failpoints.hit("deliveries.store:after")

    async def read(self, lanes: Sequence[Lane], limit: int) -> list[Delivery]:
        await self._failpoints.hit("deliveries.read:before")
        found = await self._inner.read(lanes, limit)
        await self._failpoints.hit("deliveries.read:after")
        return found

    async def try_alone(self, delivery_id: DeliveryId) -> None:
        await self._inner.try_alone(delivery_id)


class FaultyWork:
    def __init__(self, inner: Work, failpoints: Failpoints) -> None:
        self._inner = inner
        self._failpoints = failpoints

    async def claim(
        self, kind: WorkKind, limit: int, *, untried: bool = False, now: datetime | None = None
    ) -> list[Lane]:
        """A claim that found nothing passes no `after`: which passage it is does not depend on how often one looks."""
        await self._failpoints.hit("work.claim:before")
        lanes = await self._inner.claim(kind, limit, untried=untried, now=now)
        if lanes:
            await self._failpoints.hit("work.claim:after")
        return lanes

    async def extend(self, lanes: Sequence[Lane]) -> None:
        await self._failpoints.hit("work.extend:before")
        await self._inner.extend(lanes)
        await self._failpoints.hit("work.extend:after")

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await self._failpoints.hit("work.finish:before")
        await self._inner.finish(lanes)
        await self._failpoints.hit("work.finish:after")

    async def retry(self, lane: Lane, after: timedelta) -> None:
        await self._failpoints.hit("work.retry:before")
        await self._inner.retry(lane, after)
        await self._failpoints.hit("work.retry:after")

    async def put_off(self, lane: Lane, after: timedelta) -> None:
        await self._inner.put_off(lane, after)

    async def hurry(self, kind: WorkKind, keys: Sequence[str]) -> None:
        await self._inner.hurry(kind, keys)

    async def backlog(self) -> list[Backlog]:
        return await self._inner.backlog()


class FaultyOutbox:
    def __init__(self, inner: Outbox, failpoints: Failpoints) -> None:
        self._inner = inner
        self._failpoints = failpoints

    async def post(
        self,
        new: NewMessage,
        created: MessageCreated,
        key: IdempotencyKey | None = None,
        *,
        claims: bool = False,
    ) -> Posted | None:
        await self._failpoints.hit("outbox.post:before")
        posted = await self._inner.post(new, created, key, claims=claims)
        if posted is not None:
            await self._failpoints.hit("outbox.post:after")
        return posted

    async def take_heads(self, lanes: Sequence[Lane], now: datetime | None = None) -> list[HeadTaken]:
        await self._failpoints.hit("outbox.take_heads:before")
        taken = await self._inner.take_heads(lanes, now)
        await self._failpoints.hit("outbox.take_heads:after")
        return taken

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        await self._failpoints.hit("outbox.to_wire:before")
        attempt = await self._inner.to_wire(message_id, token)
        await self._failpoints.hit("outbox.to_wire:after")
        return attempt

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        await self._failpoints.hit("outbox.settle:before")
        await self._inner.settle(settlement, lane)
        await self._failpoints.hit("outbox.settle:after")

    async def release(self, message_id: MessageId, token: UUID, lane: Lane, wait: timedelta) -> None:
        await self._failpoints.hit("outbox.release:before")
        await self._inner.release(message_id, token, lane, wait)
        await self._failpoints.hit("outbox.release:after")

    async def rest(self, account_id: AccountId, rest: timedelta) -> None:
        await self._inner.rest(account_id, rest)

    async def hurry(self, keys: Sequence[str]) -> None:
        await self._inner.hurry(keys)

    async def reap(self, now: datetime | None = None) -> int:
        await self._failpoints.hit("outbox.reap:before")
        moved = await self._inner.reap(now)
        await self._failpoints.hit("outbox.reap:after")
        return moved

    async def is_bot_on_wire(self, account_id: AccountId, conversation_id: ConversationId, within: timedelta) -> bool:
        return await self._inner.is_bot_on_wire(account_id, conversation_id, within)
