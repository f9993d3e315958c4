"""Broken variants of our code, each wrong in one way that other systems are: what the comparison has to notice."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from inbox.domain.ids import AccountId, MessageId
from inbox.domain.outbound import State
from inbox.domain.upstream_errors import NothingSent, OutcomeUnknown
from inbox.domain.work import Lane
from inbox.ports.messaging import Accepted, Fence
from inbox.ports.records import HeadTaken, Settlement
from inbox.ports.views import Outcome
from ledger.mutating import Around, AroundDatabase, Mutant, Wrap, stand_still, under

from .books import Fault

_COMMITS_AFTER: Final = 10.0
_TRIES: Final = 3

_BACK: Final = text("""
with back as (
  update outbox set state = 'queued', token = null, lease_until = null
  where state = 'wire' and wire_at <= now() - interval '20 s' returning conversation_id
)
update lanes set due = now() where kind = 'send' and key in (select conversation_id::text from back)
""")
_CURRENT: Final = text("select token from outbox where id = :id")


class QueuesAgainAfterTimeouts(Around):
    """No answer is taken for a failure, and a failure is tried again."""

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        if settlement.state is State.UNKNOWN:
            settlement = msgspec.structs.replace(settlement, state=State.QUEUED, wait=timedelta(0))
        await self._inner.settle(settlement, lane)


class ReapsIntoTheQueue(Around):
    """What a dead worker left behind is work like any other."""

    async def reap(self, now: datetime | None = None) -> int:
        async with under(self._inner, "_engine").begin() as connection:
            await connection.execute(_BACK)
        reaped: int = await self._inner.reap(now)
        return reaped


class SendsBeforeTheFence(Around):
    """That a message was on the wire is written down together with what came of it."""

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        return 1

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        await self._inner.to_wire(settlement.message_id, settlement.token)
        await self._inner.settle(settlement, lane)


class TrustsAnybody(Around):
    """Whoever had a message once may still say what became of it."""

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        attempt: int | None = await self._inner.to_wire(message_id, await self._current(message_id, token))
        return attempt

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        token = await self._current(settlement.message_id, settlement.token)
        await self._inner.settle(msgspec.structs.replace(settlement, token=token), lane)

    async def release(self, message_id: MessageId, token: UUID, lane: Lane, wait: timedelta) -> None:
        await self._inner.release(message_id, await self._current(message_id, token), lane, wait)

    async def _current(self, message_id: MessageId, token: UUID) -> UUID:
        async with under(self._inner, "_engine").connect() as connection:
            current: UUID | None = (await connection.execute(_CURRENT, {"id": message_id})).scalar()
        return current or token


class AnswersFirst(AroundDatabase):
    """What is queued is committed some seconds after it was answered."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any database
        super().__init__(inner)
        self.outbox = _LeavesToTransactions(inner.outbox)
        self.queries = _Believes(inner.queries)
        self._later: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def transaction(self, *, within: float = 5.0) -> AsyncIterator[Any]:
        begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        holder = asyncio.create_task(self._held(within, begun, ended))
        await asyncio.wait([holder, begun], return_when=asyncio.FIRST_COMPLETED)
        if holder.done():
            holder.result()
        tx = _Noticing(begun.result())
        try:
            yield tx
        except BaseException as error:
            ended.set_exception(error)
            await asyncio.wait([holder])
            holder.exception()
            raise
        ended.set_result(_COMMITS_AFTER if tx.messages.has_queued else 0.0)
        if tx.messages.has_queued:
            self._later.add(holder)
        else:
            await holder

    async def _held(self, within: float, begun: asyncio.Future[Any], ended: asyncio.Future[float]) -> None:
        async with self._inner.transaction(within=within + _COMMITS_AFTER) as tx:
            begun.set_result(tx)
            await asyncio.sleep(await ended)


class _LeavesToTransactions(Around):
    """All that is queued goes through a transaction, whose commit can be put off."""

    async def post(self, *_: object, **__: object) -> None:
        return None


class _Noticing(Around):
    """A transaction that remembers whether a message was queued."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any transaction
        super().__init__(inner)
        self.messages = _NoticingMessages(inner.messages)


class _NoticingMessages(Around):
    has_queued = False

    async def queue(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the real one takes
        self.has_queued = True
        return await self._inner.queue(*given, **named)


class _Believes(Around):
    """A message that nobody can see yet is on its way."""

    async def outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome | None:
        found: Outcome | None = await self._inner.outcome(account_id, message_id)
        return found or Outcome(
            id=message_id,
            state=State.QUEUED,
            is_postponed=False,
            wamid=None,
            error_code=None,
            error_message=None,
            reason=None,
        )


class Repeats(Around):
    """The decorator that stands on every call to others stands on this one too."""

    async def send(self, *given: Any, fence: Fence, **named: Any) -> Accepted:  # noqa: ANN401 - passed on
        is_passed = False

        async def once() -> None:
            nonlocal is_passed
            if not is_passed:
                await fence()
                is_passed = True

        for _ in range(_TRIES - 1):
            try:
                accepted: Accepted = await self._inner.send(*given, fence=once, **named)
            except (OutcomeUnknown, NothingSent):
                await asyncio.sleep(0.1)
            else:
                return accepted
        last: Accepted = await self._inner.send(*given, fence=once, **named)
        return last


class StopsAfterTaking(Around):
    """No mutant: the process stands still as soon as it has claimed a message."""

    async def take_heads(self, lanes: Sequence[Lane], now: datetime | None = None) -> list[HeadTaken]:
        taken: list[HeadTaken] = await self._inner.take_heads(lanes, now)
        if any(one.head is not None for one in taken):
            stand_still()
        return taken


def stops_after_taking(inner: Any) -> AroundDatabase:  # noqa: ANN401 - any database
    return AroundDatabase(inner, outbox_of=StopsAfterTaking)


def _outbox(wrap: Wrap) -> Wrap:
    return lambda inner: AroundDatabase(inner, outbox_of=wrap)


MUTANTS: Final[Mapping[str, Mutant[Fault]]] = {
    "requeue_on_read_timeout": Mutant(fault=Fault.DUPLICATES, database=_outbox(QueuesAgainAfterTimeouts)),
    "reaper_requeues_wire": Mutant(fault=Fault.DUPLICATES, database=_outbox(ReapsIntoTheQueue)),
    "no_fence": Mutant(fault=Fault.DUPLICATES, database=_outbox(SendsBeforeTheFence)),
    "no_token_check": Mutant(fault=Fault.DUPLICATES, database=_outbox(TrustsAnybody)),
    "ack_without_commit": Mutant(fault=Fault.LOST, database=AnswersFirst),
    "retry_decorator_on_send": Mutant(fault=Fault.DUPLICATES, sender=Repeats),
}
