"""Broken variants of our code, each wrong in one way that other systems are: what the comparison has to notice."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text

from inbox.domain.errors import InboxError
from inbox.domain.inbound import InboundEvent
from inbox.domain.work import Lane
from inbox.ports.records import Applied, Delivery, InboundBatch
from ledger.mutating import Around, AroundDatabase, Mutant, Wrap, stand_still, under

from .books import Fault

_PLAIN_UPDATE: Final = text("update messages set status = :status where wa_message_id = :wamid")
_FINISH_BY_NAME: Final = text("""
update lanes set done = ver, due = now(), attempts = 0, retries = 0 where kind = 'ingest' and key = any(:keys)
""")
_COUNT_AGAIN: Final = text("""
update conversations c set unread_count = unread_count + 1
from messages m where m.wa_message_id = any(:wamids) and m.conversation_id = c.id and m.created_at < now()
""")


class AnswersFirst(Around):
    """200, and the body is written down some seconds later."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any deliveries
        super().__init__(inner)
        self._later: set[asyncio.Task[None]] = set()

    async def store(self, body: bytes, lane: str) -> None:
        task = asyncio.create_task(self._store(body, lane))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _store(self, body: bytes, lane: str) -> None:
        await asyncio.sleep(10)
        await self._inner.store(body, lane)


class UpdatesStatuses(Around):
    """The last status wins, and what has no message yet is nothing."""

    async def apply(self, batch: InboundBatch) -> Applied:
        applied: Applied = await self._inner.apply(msgspec.structs.replace(batch, statuses=()))
        for status in batch.statuses:
            values = {"wamid": status.wamid, "status": status.status}
            await under(self._inner, "_connection").execute(_PLAIN_UPDATE, values)
        return applied


class SwallowsErrors(Around):
    """What cannot be applied is marked as done."""

    async def apply(self, batch: InboundBatch) -> Applied:
        try:
            applied: Applied = await self._inner.apply(batch)
        except InboxError:
            applied = await self._inner.apply(InboundBatch(done=batch.done))
        return applied


class FinishesByName(Around):
    """The lease says who may work on a lane, and nothing says whether that is still true in the end."""

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await under(self._inner, "_connection").execute(_FINISH_BY_NAME, {"keys": [lane.key for lane in lanes]})


class CountsDeliveries(Around):
    """Unread is counted for each time that a message comes."""

    async def apply(self, batch: InboundBatch) -> Applied:
        wamids = [received.message.wamid for received in batch.messages]
        await under(self._inner, "_connection").execute(_COUNT_AGAIN, {"wamids": wamids})
        applied: Applied = await self._inner.apply(batch)
        return applied


class FirstItemOnly(Around):
    def decode(self, body: bytes, received_at: datetime) -> list[InboundEvent]:
        events: list[InboundEvent] = self._inner.decode(body, received_at)
        return events[:1]


class FirstNumberForAll(Around):
    """All items of a webhook belong to the number that it names first."""

    def decode(self, body: bytes, received_at: datetime) -> list[InboundEvent]:
        events: list[InboundEvent] = self._inner.decode(body, received_at)
        first = events[0].phone_number_id
        return [msgspec.structs.replace(event, phone_number_id=first) for event in events]


class StopsAfterReading(Around):
    """No mutant: the process stands still as soon as it has read a page."""

    async def read(self, lanes: Sequence[Lane], limit: int) -> list[Delivery]:
        found: list[Delivery] = await self._inner.read(lanes, limit)
        if found:
            stand_still()
        return found


def stops_after_reading(inner: Any) -> AroundDatabase:  # noqa: ANN401 - any database
    return AroundDatabase(inner, deliveries_of=StopsAfterReading)


def _transaction(wrap: Wrap) -> Wrap:
    return lambda inner: AroundDatabase(inner, transaction_of=wrap)


def _deliveries(wrap: Wrap) -> Wrap:
    return lambda inner: AroundDatabase(inner, deliveries_of=wrap)


# What is left of the dedupe is a look at what is there, and an insert.
_NOTHING_UNIQUE: Final = """
do $$ declare found record; begin
  for found in select indexrelid::regclass::text as name, (select conname from pg_constraint where conindid = indexrelid
                                                            and contype = 'u') as held
               from pg_index where indrelid = 'messages'::regclass and indisunique and not indisprimary loop
    if found.held is null then execute 'drop index ' || found.name;
    else execute format('alter table messages drop constraint %I cascade', found.held); end if;
  end loop;
end $$
"""

MUTANTS: Final[Mapping[str, Mutant[Fault]]] = {
    "ack_before_commit": Mutant(fault=Fault.LOST, database=_deliveries(AnswersFirst)),
    "check_then_insert": Mutant(fault=Fault.DUPLICATED, schema=_NOTHING_UNIQUE),
    "plain_update_of_statuses": Mutant(fault=Fault.REGRESSION, database=_transaction(UpdatesStatuses)),
    "first_item_only": Mutant(fault=Fault.LOST, codec=FirstItemOnly),
    "swallowed_error_marked_done": Mutant(fault=Fault.LOST, database=_transaction(SwallowsErrors)),
    "lease_without_fence": Mutant(fault=Fault.LOST, database=_transaction(FinishesByName)),
    "first_number_for_all": Mutant(fault=Fault.MISATTRIBUTED, codec=FirstNumberForAll),
    "unread_by_delivery": Mutant(fault=Fault.UNREAD, database=_transaction(CountsDeliveries)),
}
