"""The control API under `/_emu`: accounts, people, faults, clock, ledger. No part of Meta's API, so no token."""

from typing import Any, Final

import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromQuery, JSONBody

from inbox.emulators.faults import Action, ArmedRule, FaultRule
from inbox.emulators.graph_api.config import Behaviour
from inbox.emulators.graph_api.control_models import ClockChange, ClockView, Event, ManualStatus
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.inbound import Inbound, Injected, inject
from inbox.emulators.graph_api.payloads import Item

MAX_PAGE: Final = 10_000
MAX_BATCH: Final = 1_000
AnyRequest = Request[None, None, State]


class Traffic(Controller):
    """What happens: people write, statuses come, time passes, things go wrong."""

    @post("/inbound")
    async def inbound(
        self, emulator: NamedDependency[Emulator], request: AnyRequest, data: JSONBody[Inbound]
    ) -> Injected:
        """A person writes."""
        return inject(emulator, data, base_url(emulator, request))

    @post("/inbound/batch")
    async def inbound_batch(
        self, emulator: NamedDependency[Emulator], request: AnyRequest, data: JSONBody[list[Inbound]]
    ) -> list[Injected]:
        """Up to a thousand people write, in this order."""
        if len(data) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} messages at once")
        return [inject(emulator, one, base_url(emulator, request)) for one in data]

    @post("/statuses", status_code=202)
    async def status(self, emulator: NamedDependency[Emulator], data: JSONBody[ManualStatus]) -> None:
        """One status of an accepted message by hand."""
        send = emulator.world.sends.get(data.wamid)
        if send is None:
            raise NotFoundException("no such message, or it is too long ago")
        emulator.statuses.emit(send, data.status, code=data.code, at=data.at)

    @post("/events", status_code=202)
    async def event(self, emulator: NamedDependency[Emulator], data: JSONBody[Event]) -> dict[str, bool]:
        """Any webhook field; false if nobody is subscribed to it."""
        number = emulator.world.numbers.get(data.phone_number_id or "")
        item = Item(waba_id=data.waba_id, number=number, field=data.field, body=data.value, label=data.field)
        return {"emitted": emulator.dispatcher.emit(item)}

    @post("/webhooks/raw", status_code=202)
    async def raw_webhook(self, emulator: NamedDependency[Emulator], request: AnyRequest) -> dict[str, int]:
        """The request's body, signed as it is and delivered to the app's callback."""
        callback = emulator.world.app.callback
        if callback is None:
            raise ValueError("the app has no callback")
        return {"delivery": emulator.dispatcher.post_raw(callback.url, await request.body())}

    @get("/behaviour")
    async def behaviour(self, emulator: NamedDependency[Emulator]) -> Behaviour:
        return emulator.world.behaviour

    @patch("/behaviour")
    async def change_behaviour(self, emulator: NamedDependency[Emulator], data: JSONBody[dict[str, Any]]) -> Behaviour:
        """Change some settings; what is left out stays."""
        whole = {**msgspec.to_builtins(emulator.world.behaviour), **data}
        emulator.world.behaviour = msgspec.convert(whole, Behaviour)
        return emulator.world.behaviour

    @post("/faults")
    async def add_fault(self, emulator: NamedDependency[Emulator], data: JSONBody[FaultRule]) -> dict[str, int]:
        if data.action is Action.DRIP:
            raise ValueError("this emulator streams nothing that could drip")
        return {"serial": emulator.world.faults.add(data)}

    @get("/faults")
    async def faults(self, emulator: NamedDependency[Emulator]) -> list[ArmedRule]:
        return emulator.world.faults.list()

    @delete("/faults", status_code=200)
    async def clear_faults(
        self, emulator: NamedDependency[Emulator], name: FromQuery[str | None] = None
    ) -> dict[str, int]:
        return {"removed": emulator.world.faults.clear(name)}

    @post("/clock", status_code=200)
    async def clock(self, emulator: NamedDependency[Emulator], data: JSONBody[ClockChange]) -> ClockView:
        """Timestamps, windows and expiries follow this clock; delays of delivery do not."""
        clock = emulator.world.clock
        if data.freeze:
            clock.freeze(data.at)
        elif data.freeze is False:
            clock.run()
        clock.advance(data.advance)
        return ClockView(now=clock.now(), frozen=clock.is_frozen)

    @get("/ledger")
    async def ledger(
        self,
        emulator: NamedDependency[Emulator],
        kind: FromQuery[str | None] = None,
        after: FromQuery[int] = 0,
        limit: FromQuery[int] = MAX_PAGE,
    ) -> dict[str, Any]:
        """Entries after a serial, oldest first; `counts` and `spilled` cover everything since the last reset."""
        ledger = emulator.world.ledger
        return {
            "entries": ledger.entries(kind, after=after, limit=max(0, min(limit, MAX_PAGE))),
            "counts": ledger.counts(),
            "spilled": ledger.spilled,
            "last_serial": ledger.last_serial,
        }

    @get("/sends")
    async def sends(
        self,
        emulator: NamedDependency[Emulator],
        after: FromQuery[int] = 0,
        limit: FromQuery[int] = MAX_PAGE,
        to: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """Accepted messages after a serial, oldest first."""
        kept = emulator.world.sends
        chosen = [send for send in kept.values() if send.serial > after and (to is None or send.to == to)]
        page = chosen[: max(0, min(limit, MAX_PAGE))]
        return {
            "sends": [send.describe() for send in page],
            "accepted": emulator.world.counts["sends"],
            "forgotten": kept.forgotten,
        }

    @post("/reset", status_code=204)
    async def reset(self, emulator: NamedDependency[Emulator]) -> None:
        """As just started: no accounts, the configured behaviour, the same ids again under the seed."""
        emulator.reset()

    @get("/health")
    async def health(self) -> dict[str, str]:
        return {"status": "ok"}

    @get("/state")
    async def state(self, emulator: NamedDependency[Emulator]) -> dict[str, Any]:
        """How much there is of everything, and what was forgotten to stay in bounds."""
        world = emulator.world
        return {
            "wabas": len(world.wabas),
            "numbers": len(world.numbers),
            "templates": len(world.templates),
            "personas": {"kept": len(world.personas), "forgotten": world.personas.forgotten},
            "media": {"count": len(world.media), "bytes": world.media.size, "forgotten": world.media.forgotten},
            "sends": {"kept": len(world.sends), "forgotten": world.sends.forgotten},
            "inbound": {"kept": len(world.inbound), "forgotten": world.inbound.forgotten},
            "windows": {"kept": len(world.windows), "forgotten": world.windows.forgotten},
            "pending_events": emulator.dispatcher.pending,
            "waiting_statuses": emulator.statuses.waiting,
            "held_for_offline": emulator.statuses.held,
            "callback": None if world.app.callback is None else world.app.callback.url,
            "clock": {"now": world.clock.now(), "frozen": world.clock.is_frozen},
            "counts": dict(world.counts),
        }


def base_url(emulator: Emulator, request: AnyRequest) -> str:
    """The emulator's own URL, for media links: configured, or as the caller reached it."""
    return emulator.world.config.base_url.rstrip("/") or f"http://{request.headers.get('host', '')}"
