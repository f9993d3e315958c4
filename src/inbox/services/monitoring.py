"""What administrators see of the running service, over all its processes, and what they may do to it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.audit import Action, entry
from inbox.domain.errors import CircuitBreakerNotFound
from inbox.domain.ids import AccountId
from inbox.domain.signals import CircuitReset
from inbox.domain.work import WorkKind
from inbox.ports.cache import Cache, CacheStats, FamilyStats, SharedStats
from inbox.ports.database import Database
from inbox.ports.monitoring import Circuits, CircuitState, DeliveryQueue, NumberPace, SendQueue, SilentNumber
from inbox.ports.views import Backlog
from inbox.services.processes import Processes

MOST_KEYS: Final = 1_000
_SEVERITY: Final = ("closed", "half_open", "open")


class CacheOverview(msgspec.Struct, frozen=True, kw_only=True):
    """The caches of all `processes` together: an entry that two of them hold counts twice, its key is named once.

    `shared` is what the tier holds that they share; None if there is none.
    """

    stats: CacheStats
    processes: int
    shared: SharedStats | None


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """What waits, and what was set aside."""

    work: list[Backlog]
    deliveries: DeliveryQueue
    sends: SendQueue
    silent_numbers: list[SilentNumber]


class Monitoring:
    """Every method is for who holds `roles.manage`, and raises `PermissionDenied` otherwise."""

    def __init__(self, database: Database, processes: Processes, circuits: Circuits, cache: Cache) -> None:
        self._database = database
        self._processes = processes
        self._circuits = circuits
        self._cache = cache

    async def circuits(self, actor: Actor) -> dict[str, CircuitState]:
        """Each circuit in the worst state that it has in any process, its counts added up."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        reports = await self._processes.reports(keys=0)
        return {
            name: _worst([state for report in reports if (state := report.circuits.get(name))])
            for name in self._circuits.inspect()
        }

    async def reset_circuit(self, actor: Actor, name: str) -> None:
        """Closes it: here when this returns, in the others a moment later. Raises `CircuitBreakerNotFound`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        if name not in self._circuits.inspect():
            raise CircuitBreakerNotFound
        async with self._database.transaction() as tx:
            await tx.audit(entry(actor, Action.CIRCUIT_RESET, name))
            tx.wake(CircuitReset(name))
        self._circuits.reset(name)

    async def cache(self, actor: Actor) -> CacheOverview:
        """Counters and some keys of all caches."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        reports = await self._processes.reports(keys=MOST_KEYS)
        return CacheOverview(
            stats=_together(r.cache for r in reports if r.cache is not None),
            processes=len(reports),
            shared=await self._cache.shared(),
        )

    async def clear_cache(self, actor: Actor) -> None:
        """Drops what every process remembers: here when this returns, in the others a moment later."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with self._database.transaction() as tx:
            await tx.audit(entry(actor, Action.CACHE_CLEARED))
        await self._cache.clear()

    async def queues(self, actor: Actor) -> Queues:
        """Every kind of work, webhooks and messages on their way out."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        waiting = {backlog.kind: backlog for backlog in await self._database.work.backlog()}
        return Queues(
            work=[waiting.get(kind, Backlog(kind=kind, waiting=0, oldest_seconds=0.0)) for kind in WorkKind],
            deliveries=await self._database.operations.deliveries(),
            sends=await self._database.operations.sends(),
            silent_numbers=await self._database.operations.silent_numbers(),
        )

    async def paces(self, actor: Actor) -> list[NumberPace]:
        """How fast each number may send, and does."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        return await self._database.operations.paces()

    async def set_ceiling(self, actor: Actor, account_id: AccountId, ceiling: int) -> None:
        """What WhatsApp allows the number, in messages a second. Raises `AccountNotFound`."""
        actor.require_everywhere(Permission.ROLES_MANAGE)
        async with self._database.transaction() as tx:
            await tx.accounts.lock(account_id)
            before = await tx.accounts.set_ceiling(account_id, ceiling)
            line = entry(actor, Action.PACE_SET, account_id, account_id=account_id, before=int(before), after=ceiling)
            await tx.audit(line)


def _worst(states: list[CircuitState]) -> CircuitState:
    return CircuitState(
        name=states[0].name,
        state=max((state.state for state in states), key=_SEVERITY.index),
        failure_count=sum(state.failure_count for state in states),
        success_count=sum(state.success_count for state in states),
        last_failure_time=_latest(state.last_failure_time for state in states),
        opened_at=_latest(state.opened_at for state in states),
        rejected_count=sum(state.rejected_count for state in states),
    )


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _together(stats: Iterable[CacheStats]) -> CacheStats:
    found = list(stats)
    families: dict[str, FamilyStats] = {}
    for family in (family for one in found for family in one.families):
        known = families.get(family.family)
        families[family.family] = family if known is None else _added(known, family)
    keys = sorted({key for one in found for key in one.keys})
    return CacheStats(
        size=sum(one.size for one in found),
        keys=keys[:MOST_KEYS],
        families=[families[name] for name in sorted(families)],
    )


def _added(one: FamilyStats, other: FamilyStats) -> FamilyStats:
    return FamilyStats(
        family=one.family,
        size=one.size + other.size,
        hits=one.hits + other.hits,
        misses=one.misses + other.misses,
        shared_hits=one.shared_hits + other.shared_hits,
        shared_misses=one.shared_misses + other.shared_misses,
    )
