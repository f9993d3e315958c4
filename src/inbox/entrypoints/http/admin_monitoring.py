"""Circuits, caches and queues of all processes: for administrators."""

from typing import Annotated, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.entrypoints.http.monitoring import Breaker, breakers_shown
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.cache import FamilyStats
from inbox.ports.monitoring import DeliveryQueue, SendQueue
from inbox.services.monitoring import Monitoring

_CIRCUIT: Final = PathParameter(schema_extra={"enum": ["gemini", "whatsapp", "supabase"]})

Ratio = Annotated[float, Meta(ge=0, le=1)]


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    status: str = "reset"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that have one word before their first colon."""

    family: str
    size: int
    hits: int
    misses: int
    ratio: Ratio


class CacheShown(msgspec.Struct, frozen=True, kw_only=True):
    """`ratio` is that of hits to all questions, 0 without any. `keys` are some of them, 1,000 at most."""

    size: int
    keys: list[str]
    hits: int
    misses: int
    ratio: Ratio
    families: list[Family]
    processes: int


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "cleared"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    waiting: int
    oldest_seconds: float


class QueuesShown(msgspec.Struct, frozen=True, kw_only=True):
    """`work` by kind: lanes with something to do, and for how long the oldest is due."""

    work: dict[str, Work]
    deliveries: DeliveryQueue
    sends: SendQueue


@get("/admin/circuit-breakers", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_breakers(actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]) -> dict[str, Breaker]:
    """Each breaker in the worst state that it has in any process; the counts are those of all processes together."""
    return breakers_shown(await monitoring.circuits(actor))


@post(
    "/admin/circuit-breakers/{name:str}/reset",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def reset_breaker(
    name: Annotated[str, _CIRCUIT], actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]
) -> Reset:
    """Closes a breaker in every process."""
    await monitoring.reset_circuit(actor, name)
    return Reset(name=name)


@get("/admin/cache/stats", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def cache_stats(actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]) -> CacheShown:
    """The caches of all processes together. An entry that two of them hold counts twice."""
    found = await monitoring.cache(actor)
    stats = found.stats
    hits, misses = sum(family.hits for family in stats.families), sum(family.misses for family in stats.families)
    return CacheShown(
        size=stats.size,
        keys=stats.keys,
        hits=hits,
        misses=misses,
        ratio=_ratio(hits, misses),
        families=[_family(family) for family in stats.families],
        processes=found.processes,
    )


@post("/admin/cache/clear", status_code=200, permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def clear_cache(actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]) -> Cleared:
    """Drops what every process remembers; the counters stay."""
    await monitoring.clear_cache(actor)
    return Cleared()


@get("/admin/queues", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def queues(actor: NamedDependency[Actor], monitoring: FromDishka[Monitoring]) -> QueuesShown:
    """What waits and what was set aside: work by kind, webhooks, messages on their way out. Counts end at 100,000."""
    found = await monitoring.queues(actor)
    return QueuesShown(
        work={
            backlog.kind: Work(waiting=backlog.waiting, oldest_seconds=round(backlog.oldest_seconds, 3))
            for backlog in found.work
        },
        deliveries=_rounded(found.deliveries),
        sends=_rounded_sends(found.sends),
    )


def _family(stats: FamilyStats) -> Family:
    return Family(
        family=stats.family,
        size=stats.size,
        hits=stats.hits,
        misses=stats.misses,
        ratio=_ratio(stats.hits, stats.misses),
    )


def _ratio(hits: int, misses: int) -> float:
    return round(hits / (hits + misses), 4) if hits + misses else 0.0


def _rounded(queue: DeliveryQueue) -> DeliveryQueue:
    return msgspec.structs.replace(queue, oldest_seconds=round(queue.oldest_seconds, 3))


def _rounded_sends(queue: SendQueue) -> SendQueue:
    return msgspec.structs.replace(queue, oldest_seconds=round(queue.oldest_seconds, 3))


admin_monitoring_router = Router(
    "/",
    route_handlers=[list_breakers, reset_breaker, cache_stats, clear_cache, queues],
    tags=["administration"],
)
