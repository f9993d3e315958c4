"""Circuits, caches and queues of all processes: for administrators."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.entrypoints.http.monitoring import Breaker, breakers_shown
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import format_time
from inbox.ports.cache import FamilyStats, SharedStats
from inbox.ports.monitoring import DeliveryQueue, SendQueue
from inbox.ports.views import Timestamp
from inbox.services.monitoring import Monitoring

_CIRCUIT: Final = PathParameter(schema_extra={"enum": ["gemini", "openai", "whatsapp", "supabase", "media"]})

Ratio = Annotated[float, Meta(ge=0, le=1)]


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    status: str = "reset"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that have one word before their first colon.

    `hits` and `misses` are those of the processes' own memory. Of the misses the shared Redis was asked about, it had
    `shared_hits` and had not `shared_misses`. `ratio` is the share of all questions that needed no load.
    """

    family: str
    size: int
    hits: int
    misses: int
    shared_hits: int
    shared_misses: int
    ratio: Ratio


class SharedShown(msgspec.Struct, frozen=True, kw_only=True):
    """The Redis that all processes share: whether it answers, its entries, and those of each family.

    `is_complete` is false if there was no time to count all.
    """

    is_up: bool
    size: int
    families: dict[str, int]
    is_complete: bool


class CacheShown(msgspec.Struct, frozen=True, kw_only=True):
    """The sums over `families`; `ratio` is 0 without any question. `keys` are some of them, 1,000 at most.

    `shared` is null without a Redis.
    """

    size: int
    keys: list[str]
    hits: int
    misses: int
    shared_hits: int
    shared_misses: int
    ratio: Ratio
    families: list[Family]
    processes: int
    shared: SharedShown | None


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "cleared"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    waiting: int
    oldest_seconds: float


class Silent(msgspec.Struct, frozen=True, kw_only=True):
    """A number that sends and hears nothing: no webhook came since `sent_at`, and that is ten minutes ago."""

    account_id: UUID
    phone_number_id: str
    sent_at: Timestamp
    last_webhook_at: Timestamp | None


class QueuesShown(msgspec.Struct, frozen=True, kw_only=True):
    """`work` by kind: lanes with something to do, and for how long the oldest is due."""

    work: dict[str, Work]
    deliveries: DeliveryQueue
    sends: SendQueue
    silent_numbers: list[Silent]


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
    total = FamilyStats(
        family="",
        size=stats.size,
        hits=sum(family.hits for family in stats.families),
        misses=sum(family.misses for family in stats.families),
        shared_hits=sum(family.shared_hits for family in stats.families),
        shared_misses=sum(family.shared_misses for family in stats.families),
    )
    return CacheShown(
        size=stats.size,
        keys=stats.keys,
        hits=total.hits,
        misses=total.misses,
        shared_hits=total.shared_hits,
        shared_misses=total.shared_misses,
        ratio=round(total.ratio, 4),
        families=[_family(family) for family in stats.families],
        processes=found.processes,
        shared=_shared(found.shared),
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
    """What waits and what was set aside: work by kind, webhooks, messages on their way out. Counts end at 100,000.

    `silent_numbers` are those that send and hear no webhook: most likely the webhook of the app is set up wrong.
    """
    found = await monitoring.queues(actor)
    return QueuesShown(
        work={
            backlog.kind: Work(waiting=backlog.waiting, oldest_seconds=round(backlog.oldest_seconds, 3))
            for backlog in found.work
        },
        deliveries=_rounded(found.deliveries),
        sends=_rounded_sends(found.sends),
        silent_numbers=[
            Silent(
                account_id=number.account_id,
                phone_number_id=number.phone_number_id,
                sent_at=format_time(number.sent_at),
                last_webhook_at=format_time(number.last_webhook_at) if number.last_webhook_at else None,
            )
            for number in found.silent_numbers
        ],
    )


def _family(stats: FamilyStats) -> Family:
    return Family(
        family=stats.family,
        size=stats.size,
        hits=stats.hits,
        misses=stats.misses,
        shared_hits=stats.shared_hits,
        shared_misses=stats.shared_misses,
        ratio=round(stats.ratio, 4),
    )


def _shared(stats: SharedStats | None) -> SharedShown | None:
    if stats is None:
        return None
    return SharedShown(
        is_up=stats.is_up, size=sum(stats.sizes.values()), families=stats.sizes, is_complete=stats.is_complete
    )


def _rounded(queue: DeliveryQueue) -> DeliveryQueue:
    return msgspec.structs.replace(queue, oldest_seconds=round(queue.oldest_seconds, 3))


def _rounded_sends(queue: SendQueue) -> SendQueue:
    return msgspec.structs.replace(queue, oldest_seconds=round(queue.oldest_seconds, 3))


admin_monitoring_router = Router(
    "/",
    route_handlers=[list_breakers, reset_breaker, cache_stats, clear_cache, queues],
    tags=["administration"],
)
