"""Delivers events to the callback: signed, batched, concurrent, at least once, retried until 200 (facts 1.2, 1.3)."""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from itertools import count
from typing import Any, Final

import msgspec

from inbox.emulators.faults import WEBHOOK, RequestFacts
from inbox.emulators.graph_api.outgoing import OK, Outgoing
from inbox.emulators.graph_api.payloads import Item, envelope
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.wire import signature, webhook_bytes

_OVERRIDABLE: Final = frozenset({"messages", "message_echoes", "smb_message_echoes", "calls", "history"})


class Delivery(msgspec.Struct, kw_only=True):
    """One POST and its attempts; the bytes stay the same through all of them."""

    serial: int
    url: str
    body: bytes
    items: tuple[Item, ...]
    born: float  # monotonic seconds
    attempt: int = 0
    is_duplicate: bool = False


class _Target(msgspec.Struct, kw_only=True):
    """A callback URL and what waits for it."""

    url: str
    fresh: deque[Item]
    again: deque[Delivery]
    under_way: int = 0
    gathering: bool = False


class Dispatcher:
    """`pending` events are bounded by whoever emits; `is_full` says when to stop."""

    def __init__(self, world: World, outgoing: Outgoing) -> None:
        self._world = world
        self._outgoing = outgoing
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: dict[str, asyncio.Event] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything that waits; attempts under way end unrecorded."""
        self._generation = object()
        for watched in self._watched.values():
            watched.set()
        self._targets: dict[str, _Target] = {}
        self._serials = count(1)
        self._watched.clear()
        self.pending = 0

    async def stop(self) -> None:
        self.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        return self.pending >= self._world.config.max_pending

    def emit(self, item: Item) -> bool:
        """Send an event on its way; False if nobody subscribed to it."""
        url = self._callback(item)
        if url is None:
            self._world.counts["unsubscribed"] += 1
            return False
        self.pending += 1
        held_back = self._world.ids.draw((0, self._world.behaviour.reorder))
        if held_back > 0:
            self._later(held_back, self._push, url, item)
        else:
            self._push(url, item)
        return True

    async def emit_and_wait(self, item: Item) -> None:
        """Send an event on its way and return after its first attempt, or when that takes too long."""
        attempted = self._watched.setdefault(item.id, asyncio.Event())
        try:
            async with asyncio.timeout(self._world.behaviour.webhook_timeout):
                if self.emit(item):
                    await attempted.wait()
        except TimeoutError:
            self._world.counts["late_first_attempts"] += 1
        finally:
            self._watched.pop(item.id, None)

    def post_raw(self, url: str, body: bytes) -> int:
        """Sign and deliver bytes as they are, whatever they hold; returns the delivery's serial."""
        self.pending += 1
        item = Item(waba_id="", number=None, body={}, label="raw")
        delivery = self._delivery(url, body, (item,))
        self._requeue(delivery)
        return delivery.serial

    def _callback(self, item: Item) -> str | None:
        """Facts 1.5: number, then WABA, then app; only message-like fields follow an override."""
        waba = self._world.wabas.get(item.waba_id)
        app = self._world.app
        if waba is None or not waba.subscribed or item.field not in app.fields:
            return None
        levels = (item.number.override if item.number else None, waba.override, app.callback)
        chosen = next((one for one in levels if one is not None), None) if item.field in _OVERRIDABLE else app.callback
        return None if chosen is None else chosen.url

    def _target(self, url: str) -> _Target:
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = _Target(url=url, fresh=deque(), again=deque())
        return target

    def _push(self, url: str, item: Item) -> None:
        target = self._target(url)
        target.fresh.append(item)
        behaviour = self._world.behaviour
        if behaviour.batch_wait and len(target.fresh) < behaviour.batch_size:
            if not target.gathering:
                target.gathering = True
                self._later(behaviour.batch_wait, self._gathered, target)
            return
        self._pump(target)

    def _gathered(self, target: _Target) -> None:
        target.gathering = False
        self._pump(target)

    def _pump(self, target: _Target) -> None:
        behaviour = self._world.behaviour
        while target.under_way < behaviour.webhook_concurrency and (target.again or target.fresh):
            if target.again:
                self._start(target, target.again.popleft())
                continue
            size = min(len(target.fresh), behaviour.batch_size)
            items = tuple(target.fresh.popleft() for _ in range(size))
            delivery = self._delivery(target.url, webhook_bytes(envelope(items)), items)
            if behaviour.duplicate_every and delivery.serial % behaviour.duplicate_every == 0:
                self.pending += len(items)
                target.again.append(msgspec.structs.replace(delivery, is_duplicate=True))
            self._start(target, delivery)

    def _delivery(self, url: str, body: bytes, items: tuple[Item, ...]) -> Delivery:
        return Delivery(serial=next(self._serials), url=url, body=body, items=items, born=time.monotonic())

    def _start(self, target: _Target, delivery: Delivery) -> None:
        target.under_way += 1
        self._spawn(self._attempt(target, delivery, self._generation))

    async def _attempt(self, target: _Target, delivery: Delivery, generation: object) -> None:
        delivery.attempt += 1
        began = time.monotonic()
        outcome: int | str = "dropped"
        if not self._is_dropped(delivery):
            signed = signature(self._world.app.secret, delivery.body)
            seconds = self._world.behaviour.webhook_timeout
            outcome = await self._outgoing.deliver(delivery.url, delivery.body, signed, seconds)
        if generation is not self._generation:
            return
        target.under_way -= 1
        self._record(delivery, outcome, time.monotonic() - began)
        if outcome == OK:
            self.pending -= len(delivery.items)
        else:
            self._retry(delivery)
        self._pump(target)

    def _is_dropped(self, delivery: Delivery) -> bool:
        return any(
            self._world.faults.pick(
                RequestFacts(kind=WEBHOOK, method="POST", path=delivery.url, to=item.to, type=item.label)
            )
            for item in delivery.items
        )

    def _retry(self, delivery: Delivery) -> None:
        behaviour = self._world.behaviour
        if time.monotonic() - delivery.born >= behaviour.give_up_after / behaviour.time_compression:
            self.pending -= len(delivery.items)
            self._world.ledger.add("given_up", delivery=delivery.serial, attempts=delivery.attempt)
            return
        delays = behaviour.retry_delays or (1.0,)
        delay = delays[min(delivery.attempt, len(delays)) - 1] / behaviour.time_compression
        self._later(delay, self._requeue, delivery)

    def _requeue(self, delivery: Delivery) -> None:
        target = self._target(delivery.url)
        target.again.append(delivery)
        self._pump(target)

    def _record(self, delivery: Delivery, outcome: int | str, seconds: float) -> None:
        ledger, counts = self._world.ledger, self._world.counts
        ledger.add(
            "attempt",
            delivery=delivery.serial,
            attempt=delivery.attempt,
            url=delivery.url,
            outcome=outcome,
            events=len(delivery.items),
            duplicate=delivery.is_duplicate,
            seconds=round(seconds, 6),
        )
        counts["attempts"] += 1
        counts["events_delivered" if outcome == OK else "events_refused"] += len(delivery.items)
        for item in delivery.items:
            ledger.add(
                WEBHOOK,
                delivery=delivery.serial,
                attempt=delivery.attempt,
                outcome=outcome,
                duplicate=delivery.is_duplicate,
                field=item.field,
                id=item.id,
                type=item.label,
                to=item.to,
                op=item.op,
            )
            watched = self._watched.get(item.id)
            if watched is not None:
                watched.set()

    def _later(self, seconds: float, then: Any, *arguments: Any) -> None:  # noqa: ANN401  # passed through
        """Run something after a delay, unless a reset came in between."""
        generation = self._generation

        def due() -> None:
            if generation is self._generation:
                then(*arguments)

        asyncio.get_running_loop().call_later(seconds, due)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
