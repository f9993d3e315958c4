"""What operators do with stored deliveries: find, read, replay, give up. Applying twice changes nothing."""

from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.audit import Action, entry
from inbox.domain.ids import DeliveryId
from inbox.domain.signals import WorkWaiting
from inbox.domain.upstream_errors import DeliveryNotFound, DeliveryNotSetAside
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.deliveries import DeliveryItem, DeliveryRecord, Selection

REPLAYED_AT_ONCE: Final = 500


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are open again. `next` is where to go on, if more are left."""

    replayed: int
    next: DeliveryId | None


class Deliveries:
    """Every method is for who holds `settings.manage` everywhere, and raises `PermissionDenied` otherwise."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(
        self, actor: Actor, selection: Selection, *, limit: int, before: DeliveryId | None = None
    ) -> list[DeliveryItem]:
        """The newest first. No text of a customer is among it."""
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        return await self._database.archive.listed(selection, limit=limit, before=before)

    async def inspect(self, actor: Actor, delivery_id: DeliveryId) -> DeliveryRecord:
        """All of one, with what customers wrote: so it is noted who looked. Raises `DeliveryNotFound`."""
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        found = await self._database.archive.find(delivery_id)
        if found is None:
            raise DeliveryNotFound
        async with self._database.transaction() as tx:
            await tx.audit(entry(actor, Action.DELIVERY_READ, str(delivery_id)))
        return found

    async def replay(self, actor: Actor, delivery_id: DeliveryId) -> int:
        """Has it worked on again, also if it is done; returns 0 if it is open already. Raises `DeliveryNotFound`."""
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        if await self._database.archive.find(delivery_id) is None:
            raise DeliveryNotFound
        async with self._database.transaction() as tx:
            count = await tx.replays.reopen([delivery_id])
            await tx.audit(entry(actor, Action.DELIVERY_REPLAYED, str(delivery_id)))
            tx.wake(WorkWaiting(WorkKind.INGEST))
        return count

    async def replay_all(
        self, actor: Actor, selection: Selection, *, before: DeliveryId | None = None, limit: int = REPLAYED_AT_ONCE
    ) -> Replayed:
        """Has the newest `limit` of `selection`, `before` another one, worked on again.

        What fails again is set aside again; `before` leads past it.
        """
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        found = await self._database.archive.listed(selection, limit=limit + 1, before=before)
        ids = [DeliveryId(one.id) for one in found[:limit]]
        if not ids:
            return Replayed(replayed=0, next=None)
        async with self._database.transaction() as tx:
            count = await tx.replays.reopen(ids)
            which = selection.which.value if selection.which else None
            await tx.audit(
                entry(actor, Action.DELIVERY_REPLAYED, state=which, reason=selection.reason, deliveries=count)
            )
            tx.wake(WorkWaiting(WorkKind.INGEST))
        return Replayed(replayed=count, next=ids[-1] if len(found) > limit else None)

    async def discard(self, actor: Actor, delivery_id: DeliveryId) -> None:
        """Gives up what was set aside; it is kept as long as one that is done.

        Raises `DeliveryNotFound`, and `DeliveryNotSetAside` if nothing of it waits for a decision.
        """
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        if await self._database.archive.find(delivery_id) is None:
            raise DeliveryNotFound
        async with self._database.transaction() as tx:
            if not await tx.replays.discard(delivery_id):
                raise DeliveryNotSetAside
            await tx.audit(entry(actor, Action.DELIVERY_DISCARDED, str(delivery_id)))
