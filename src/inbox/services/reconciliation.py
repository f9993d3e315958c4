"""Is everything there that WhatsApp delivered? The stored bodies are decoded again and each item is looked up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.clock import Clock
from inbox.domain.errors import InboxError, Kind, Undecodable
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import InboundEvent, InboundStatus
from inbox.ports.database import Database
from inbox.ports.deliveries import Archived, Fate
from inbox.ports.messaging import WebhookCodec

MOST_ITEMS: Final = 20_000
_PAGE: Final = 200
_MOST_NAMED: Final = 100


class Tally(msgspec.Struct, kw_only=True):
    """Items by what became of them: `received` is the sum of all others, and `missing` must be 0.

    `parked` are statuses whose message nobody knows, `expired` those that were and are too old now, `waiting` items
    of deliveries that are open. A delivery that cannot be read counts as one item.
    """

    received: int = 0
    applied: int = 0
    quarantined: int = 0
    parked: int = 0
    expired: int = 0
    waiting: int = 0
    missing: int = 0

    def count(self, name: str, items: int = 1) -> None:
        self.received += items
        setattr(self, name, getattr(self, name) + items)

    def add(self, other: "Tally") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class MissingItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item of which nothing is stored, though its delivery is done."""

    delivery_id: DeliveryId
    position: int
    kind: str


class Reconciled(msgspec.Struct, kw_only=True):
    """A part of a range. `missing` names some of what is missing; `next` leads on, None is the end of the range."""

    deliveries: int = 0
    items: Tally = msgspec.field(default_factory=Tally)
    missing: list[MissingItem] = []
    next: DeliveryId | None = None


class Reconciliation:
    """Reads only, a page at a time: nobody waits for it."""

    def __init__(self, database: Database, codec: WebhookCodec, clock: Clock, *, statuses_kept: timedelta) -> None:
        """`statuses_kept` is how long a status is kept whose message nobody knows."""
        self._database = database
        self._codec = codec
        self._clock = clock
        self._statuses_kept = statuses_kept

    async def reconcile(
        self,
        actor: Actor,
        since: datetime,
        until: datetime,
        *,
        after: DeliveryId | None = None,
        limit: int = MOST_ITEMS,
    ) -> Reconciled:
        """What became of the deliveries received from `since` on and before `until`, `after` another one.

        About `limit` items at most, to the end of a delivery. Raises `PermissionDenied`.
        """
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        done = Reconciled()
        while True:
            page = await self._database.archive.page(since, until, after, _PAGE)
            if not await self._compare(page.deliveries, done, limit):
                return done
            done.next = after = page.next
            if after is None or done.items.received >= limit:
                return done

    async def _compare(self, deliveries: Sequence[Archived], done: Reconciled, limit: int) -> bool:
        """Counts until there are `limit` items; False if some deliveries are left."""
        asked: list[tuple[Archived, int, InboundEvent]] = []
        is_whole = True
        for delivery in deliveries:
            if done.items.received + len(asked) >= limit:
                is_whole = False
                break
            done.deliveries += 1
            done.next = delivery.id
            asked += self._to_look_up(delivery, done)
        fates = await self._fates([event for _, _, event in asked])
        for (delivery, place, event), fate in zip(asked, fates, strict=True):
            if fate is not Fate.MISSING:
                done.items.count(fate.value)
            elif self._may_be_gone(event, delivery):
                done.items.count("expired")
            else:
                _miss(done, delivery, place, type(event).__name__)
        return is_whole

    def _to_look_up(self, delivery: Archived, done: Reconciled) -> list[tuple[Archived, int, InboundEvent]]:
        """The items that should have been applied. The others are counted."""
        known = {"open": "waiting", "done": None}.get(delivery.state, "quarantined")
        try:
            events = self._codec.decode(delivery.body, delivery.received_at)
        except Undecodable:
            if known is None:
                _miss(done, delivery, 0, "Unreadable")
            else:
                done.items.count(known)
            return []
        if known is not None:
            done.items.count(known, max(len(events), 1 if known == "quarantined" else 0))
            return []
        done.items.count("quarantined", sum(place in delivery.aside for place in range(len(events))))
        return [(delivery, place, event) for place, event in enumerate(events) if place not in delivery.aside]

    async def _fates(self, events: Sequence[InboundEvent]) -> list[Fate]:
        """An item that PostgreSQL refuses to look for is missing alone."""
        if not events:
            return []
        try:
            return await self._database.archive.look_up(events)
        except InboxError as error:
            if error.kind is not Kind.MALFORMED:
                raise
        if len(events) == 1:
            return [Fate.MISSING]
        middle = len(events) // 2
        return [*await self._fates(events[:middle]), *await self._fates(events[middle:])]

    def _may_be_gone(self, event: InboundEvent, delivery: Archived) -> bool:
        return isinstance(event, InboundStatus) and delivery.received_at < self._clock() - self._statuses_kept


def _miss(done: Reconciled, delivery: Archived, place: int, kind: str) -> None:
    done.items.count("missing")
    if len(done.missing) < _MOST_NAMED:
        done.missing.append(MissingItem(delivery_id=delivery.id, position=place, kind=kind))
