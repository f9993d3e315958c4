"""Stored webhooks: for administrators, to find, read, replay, give up, and to compare with what became of them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import Invalid
from inbox.domain.ids import DeliveryId
from inbox.domain.upstream_errors import DeliveryNotFound
from inbox.entrypoints.http.parameters import page_limit, page_size
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import format_time, parse_time
from inbox.ports.deliveries import AsideItem, DeliveryItem, Selection, Which
from inbox.ports.views import Timestamp
from inbox.services.deliveries import Deliveries
from inbox.services.reconciliation import MissingItem, Reconciliation, Tally

_SERIAL: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_REASON: Final = re.compile(r"[A-Za-z0-9_.: -]{1,200}")
_STATES: Final = QueryParameter(name="state", schema_extra={"enum": [which.value for which in Which]})
_A_CURSOR: Final = QueryParameter(schema_extra={"type": "integer", "minimum": 0, "maximum": 10**18 - 1})
_A_TIME: Final = QueryParameter(schema_extra={"format": "date-time"})

Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Serial = Annotated[int, Meta(ge=0, lt=10**18)]


class ItemShown(msgspec.Struct, frozen=True, kw_only=True):
    """An item that was not applied. `raw` is JSON, or text if it is none."""

    position: int
    reason: str
    created_at: Timestamp
    raw: msgspec.Raw


class DeliveryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with its `body`: JSON as it came, or text if it is none. It holds what customers wrote."""

    id: int
    received_at: Timestamp
    state: str
    reason: str | None
    tries: int
    replays: int
    done_at: Timestamp | None
    size: int
    set_aside: int
    body: msgspec.Raw
    items: list[ItemShown]


class ReplayAll(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which deliveries to replay. `before` is the `next` of the answer before."""

    state: Which = Which.SET_ASIDE
    reason: Reason | None = None
    before: Serial | None = None


class ReplayedOne(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    replayed: int
    status: str = "open"


class ReplayedAll(msgspec.Struct, frozen=True, kw_only=True):
    """How many are open again. With a `next` more are left: ask again with it as `before`."""

    replayed: int
    next: int | None


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    status: str = "discarded"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a range. `missing` names up to 100 items; with a `next_cursor` the range goes on."""

    since: Timestamp
    until: Timestamp
    deliveries: int
    items: Tally
    missing: list[MissingItem]
    next_cursor: str | None


@get("/admin/deliveries", permission=Permission.SETTINGS_MANAGE, responses=documented(*SIGNED_IN, 422))
@inject
async def list_deliveries(
    actor: NamedDependency[Actor],
    deliveries: FromDishka[Deliveries],
    limit: Annotated[str | None, page_limit(default=50, most=200)] = None,
    cursor: Annotated[str | None, _A_CURSOR] = None,
    which: Annotated[str | None, _STATES] = None,
    reason: Annotated[str | None, QueryParameter(schema_extra={"pattern": f"^{_REASON.pattern}$"})] = None,
) -> Response[list[DeliveryItem]]:
    """Stored webhooks, newest first, without what they say. `X-Next-Cursor` and `Link` lead to the next page.

    The state `set_aside` means all that wait for a person: quarantined or unrouted, or done but for some items.
    `reason` is that of the delivery, or of an item that was set aside.
    """
    actor.require_everywhere(Permission.SETTINGS_MANAGE)
    size = page_size(limit, default=50, most=200)
    selection = Selection(which=_which(which), reason=_reason(reason))
    rows = await deliveries.listed(actor, selection, limit=size + 1, before=_cursor(cursor))
    headers = {}
    if len(rows) > size:
        asked = {"limit": str(size), "state": which, "reason": reason, "cursor": str(rows[size - 1].id)}
        link = urlencode({name: value for name, value in asked.items() if value is not None})
        headers = {"X-Next-Cursor": str(rows[size - 1].id), "Link": f'<?{link}>; rel="next"'}
    return Response(rows[:size], headers=headers)


@get(
    "/admin/deliveries/{delivery_id:str}",
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def read_delivery(
    delivery_id: FromPath[str], actor: NamedDependency[Actor], deliveries: FromDishka[Deliveries]
) -> DeliveryShown:
    """One webhook as WhatsApp sent it, and what was set aside of it. Personal data: the trail notes who looked."""
    found = await deliveries.inspect(actor, _managed(actor, delivery_id))
    shown = {name: getattr(found.delivery, name) for name in DeliveryItem.__struct_fields__}
    return DeliveryShown(**shown, body=_readable(found.body), items=[_item(item) for item in found.items])


@post(
    "/admin/deliveries/{delivery_id:str}/replay",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def replay_delivery(
    delivery_id: FromPath[str], actor: NamedDependency[Actor], deliveries: FromDishka[Deliveries]
) -> ReplayedOne:
    """Has a webhook worked on again, whatever its state: nothing of it counts twice. `replayed` is 0 if it is open."""
    serial = _managed(actor, delivery_id)
    return ReplayedOne(id=serial, replayed=await deliveries.replay(actor, serial))


@post(
    "/admin/deliveries/replay",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 422),
)
@inject
async def replay_deliveries(
    data: JSONBody[ReplayAll], actor: NamedDependency[Actor], deliveries: FromDishka[Deliveries]
) -> ReplayedAll:
    """Has all webhooks of a state or reason worked on again, the newest 500 at once. What fails is set aside again."""
    before = None if data.before is None else DeliveryId(data.before)
    done = await deliveries.replay_all(actor, Selection(which=data.state, reason=data.reason), before=before)
    return ReplayedAll(replayed=done.replayed, next=done.next)


@post(
    "/admin/deliveries/{delivery_id:str}/discard",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 404, 409),
)
@inject
async def discard_delivery(
    delivery_id: FromPath[str], actor: NamedDependency[Actor], deliveries: FromDishka[Deliveries]
) -> Discarded:
    """Gives up what was set aside of a webhook. It can still be read and replayed, until it is old."""
    serial = _managed(actor, delivery_id)
    await deliveries.discard(actor, serial)
    return Discarded(id=serial)


@get("/admin/reconciliation", permission=Permission.SETTINGS_MANAGE, responses=documented(*SIGNED_IN, 422))
@inject
async def reconcile(
    actor: NamedDependency[Actor],
    reconciliation: FromDishka[Reconciliation],
    since: Annotated[str | None, _A_TIME] = None,
    until: Annotated[str | None, _A_TIME] = None,
    cursor: Annotated[str | None, _A_CURSOR] = None,
) -> Comparison:
    """Compares the stored webhooks of a time with what they left: `received` is the sum, `missing` must be 0.

    The last 24 hours unless something else is asked for. About 20,000 items at once; `next_cursor` leads on.
    """
    actor.require_everywhere(Permission.SETTINGS_MANAGE)
    end = parse_time(until, name="query.until") if until is not None else datetime.now(UTC)
    begin = parse_time(since, name="query.since") if since is not None else end - timedelta(days=1)
    found = await reconciliation.reconcile(actor, begin, end, after=_cursor(cursor))
    return Comparison(
        since=format_time(begin),
        until=format_time(end),
        deliveries=found.deliveries,
        items=found.items,
        missing=found.missing,
        next_cursor=None if found.next is None else str(found.next),
    )


def _managed(actor: Actor, text: str) -> DeliveryId:
    """The id in a path. Whoever lacks the right is not even told that a malformed one names nothing."""
    actor.require_everywhere(Permission.SETTINGS_MANAGE)
    if _SERIAL.fullmatch(text) is None:
        raise DeliveryNotFound
    return DeliveryId(int(text))


def _cursor(text: str | None) -> DeliveryId | None:
    if text is None:
        return None
    if _SERIAL.fullmatch(text) is None:
        raise Invalid("query.cursor", "not a cursor of this list")
    return DeliveryId(int(text))


def _which(text: str | None) -> Which | None:
    if text is None:
        return None
    try:
        return Which(text)
    except ValueError:
        raise Invalid("query.state", f"one of {', '.join(Which)}") from None


def _reason(text: str | None) -> str | None:
    if text is not None and _REASON.fullmatch(text) is None:
        raise Invalid("query.reason", "a reason, as the list shows it")
    return text


def _item(item: AsideItem) -> ItemShown:
    return ItemShown(position=item.position, reason=item.reason, created_at=item.created_at, raw=_readable(item.raw))


def _readable(raw: bytes) -> msgspec.Raw:
    """`raw` itself if it is JSON, else a JSON text with what can be read of it."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode(raw.decode("utf-8", "replace")))
    return msgspec.Raw(raw)


deliveries_router = Router(
    "/",
    route_handlers=[
        list_deliveries,
        read_delivery,
        replay_delivery,
        replay_deliveries,
        discard_delivery,
        reconcile,
    ],
    tags=["administration"],
)
