"""Stored deliveries become messages and statuses: decoded item by item, applied set by set."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.errors import DatabaseTimeout, InboxError, Kind, Undecodable
from inbox.domain.ids import MessageId, uuid7_at
from inbox.domain.inbound import InboundEvent, InboundMessage, InboundStatus, Unknown
from inbox.domain.work import Lane, back_off
from inbox.ports.database import Database
from inbox.ports.messaging import WebhookCodec
from inbox.ports.records import Delivery, InboundBatch, Placed, Received, SetAside

GATHER: Final = timedelta(seconds=10)
PAGE: Final = 500
"""Deliveries of one round."""
_STEPS: Final = {2: 50, 3: 5}
"""How many are tried at once by the second and the third worker after a death; later ones try each alone."""
_DEATHS_ALONE: Final = 2
MOST_DEATHS: Final = len(_STEPS) + 1 + _DEATHS_ALONE
"""Workers that a delivery may cost before it is set aside."""
_MOST_ROUNDS: Final = 5
"""Rounds for a delivery with an item that takes too long, alone and while others are quick; then it is set aside."""
_ALL_LATE: Final = 2
"""So many late ones, and nothing in time: it is the database."""
_DIVISIBLE: Final = frozenset({Kind.MALFORMED, Kind.TIMEOUT})
"""What may be the fault of one part, or of too many parts at once: less is tried."""


class _Round(msgspec.Struct):
    """What came of the parts of one round: how many were applied, and the deliveries that took too long alone.

    An item counts as too slow only where others are not: else it is the database that is.
    """

    applied: int = 0
    late: list[Delivery] = msgspec.field(default_factory=list)

    def note_late(self, delivery: Delivery, error: InboxError) -> None:
        """Raises `error` if everything is late: to try all the others would take very long."""
        self.late.append(delivery)
        if not self.applied and len(self.late) >= _ALL_LATE:
            raise error


class Ingest:
    """Applies what Meta delivered. Repetition and disorder change nothing."""

    def __init__(
        self, database: Database, codec: WebhookCodec, *, quiet_for: timedelta, gather_for: timedelta = GATHER
    ) -> None:
        """`quiet_for` is how long the bot waits for more after a message, `gather_for` after the first one at most."""
        self._database = database
        self._codec = codec
        self._quiet_for = quiet_for
        self._gather_for = gather_for

    async def work(self, lanes: Sequence[Lane]) -> int:
        """One round over claimed lanes; returns how many deliveries were taken.

        Raises `LeaseLost` and what the database raises: then the round as a whole comes again.
        """
        deliveries = await self._database.deliveries.read(lanes, PAGE)
        if len(deliveries) == PAGE:
            lanes = [msgspec.structs.replace(lane, ver=0) for lane in lanes]  # more may be open: not done yet
        if not lanes[0].is_suspect:
            await self._together(lanes, deliveries)
            return len(deliveries)
        seen = _Round()
        await self._suspected(deliveries, lanes[0].attempts, seen)
        await self._finish(lanes, seen)
        return len(deliveries)

    async def _suspected(self, deliveries: Sequence[Delivery], attempts: int, seen: "_Round") -> None:
        """Deliveries of a lane whose workers died, `attempts` counting this one: smaller and smaller steps.

        A step that is done stays done, so that the next worker begins where this one may end. Most workers die of
        something else, and for them this is hardly slower than all at once.
        """
        step = _STEPS.get(attempts, 1)
        for start in range(0, len(deliveries), step):
            if step > 1:
                await self._apply_part(deliveries[start : start + step], seen)
            else:
                await self._alone(deliveries[start], attempts, seen)

    async def _alone(self, delivery: Delivery, attempts: int, seen: "_Round") -> None:
        """Should this worker die as well, it is known of what.

        What is counted at the delivery may have been an outage, after which its lane was in order again: only together
        with the deaths in a row, which the lane counts, it is proof.
        """
        if attempts > MOST_DEATHS and delivery.tries >= _DEATHS_ALONE:
            # Worker after worker died with it: it is set aside and its lane goes on.
            await self._apply(InboundBatch(undecodable=[(delivery.id, "worker_died")]))
            return
        await self._database.deliveries.try_alone(delivery.id)
        await self._apply_part([delivery], seen)

    async def _together(self, lanes: Sequence[Lane], deliveries: Sequence[Delivery]) -> None:
        try:
            await self._commit(lanes, self._batch(deliveries))
        except InboxError as error:
            if error.kind not in _DIVISIBLE or not deliveries:
                raise
            seen = _Round()
            await self._divide(deliveries, seen)
            await self._finish(lanes, seen)

    async def _commit(self, lanes: Sequence[Lane], batch: InboundBatch) -> None:
        async with self._database.transaction() as tx:
            await tx.apply(batch)
            await tx.finish(lanes)

    async def _finish(self, lanes: Sequence[Lane], seen: "_Round") -> None:
        """The lanes are done, but for those of late deliveries, which come again after a while.

        Raises the timeout if nothing was in time: that is nobody's fault here.
        """
        if seen.late and not seen.applied:
            raise DatabaseTimeout
        for delivery in seen.late:
            await self._database.deliveries.try_alone(delivery.id)
        waiting = {delivery.lane for delivery in seen.late}
        await self._commit([lane for lane in lanes if lane.key not in waiting], InboundBatch())
        for lane in lanes:
            if lane.key in waiting:
                await self._database.work.retry(lane, back_off(lane.retries + 1))

    async def _apply_part(self, deliveries: Sequence[Delivery], seen: "_Round") -> None:
        try:
            await self._apply(self._batch(deliveries))
        except InboxError as error:
            if error.kind not in _DIVISIBLE:
                raise
            await self._divide(deliveries, seen)
        else:
            seen.applied += 1

    async def _divide(self, deliveries: Sequence[Delivery], seen: "_Round") -> None:
        """Bisects until the poison item is alone; everything else is applied."""
        if len(deliveries) == 1:
            await self._isolate_items(deliveries[0], seen)
            return
        middle = len(deliveries) // 2
        await self._apply_part(deliveries[:middle], seen)
        await self._apply_part(deliveries[middle:], seen)

    async def _isolate_items(self, delivery: Delivery, seen: "_Round") -> None:
        poison: list[SetAside] = []
        for position, event in enumerate(self._codec.decode(delivery.body, delivery.received_at)):
            try:
                await self._apply(self._flatten([(delivery, position, event)]))
            except InboxError as error:
                if error.kind not in _DIVISIBLE:
                    raise
                if error.kind is Kind.TIMEOUT and delivery.tries < _MOST_ROUNDS:
                    seen.note_late(delivery, error)
                    return
                item = Unknown(reason=error.code, raw=msgspec.json.encode(event))
                poison.append(SetAside(delivery_id=delivery.id, position=position, item=item))
            else:
                seen.applied += 1
        await self._apply(InboundBatch(set_aside=poison, done=[delivery.id]))

    async def _apply(self, batch: InboundBatch) -> None:
        async with self._database.transaction() as tx:
            await tx.apply(batch)

    def _batch(self, deliveries: Sequence[Delivery]) -> InboundBatch:
        items: list[tuple[Delivery, int, InboundEvent]] = []
        undecodable = []
        for delivery in deliveries:
            try:
                events = self._codec.decode(delivery.body, delivery.received_at)
            except Undecodable as error:
                undecodable.append((delivery.id, str(error)))
                continue
            items += ((delivery, position, event) for position, event in enumerate(events))
        failed = {delivery_id for delivery_id, _ in undecodable}
        return msgspec.structs.replace(
            self._flatten(items), done=[d.id for d in deliveries if d.id not in failed], undecodable=undecodable
        )

    def _flatten(self, items: Sequence[tuple[Delivery, int, InboundEvent]]) -> InboundBatch:
        messages: list[Received] = []
        statuses: list[InboundStatus] = []
        effects: list[Placed] = []
        set_aside: list[SetAside] = []
        for delivery, position, event in items:
            match event:
                case InboundMessage():
                    messages.append(
                        Received(
                            id=MessageId(uuid7_at(delivery.received_at, delivery.id, position)),
                            delivery_id=delivery.id,
                            position=position,
                            message=event,
                            traceparent=delivery.traceparent,
                        )
                    )
                case InboundStatus():
                    statuses.append(event)
                case Unknown():
                    set_aside.append(SetAside(delivery_id=delivery.id, position=position, item=event))
                case _:
                    effects.append(Placed(delivery_id=delivery.id, position=position, effect=event))
        return InboundBatch(
            messages=messages,
            statuses=statuses,
            effects=effects,
            set_aside=set_aside,
            quiet_for=self._quiet_for,
            gather_for=self._gather_for,
        )
