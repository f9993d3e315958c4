"""What every bus keeps: order, bounds, no silent gap. And what a bus between processes keeps besides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog

from inbox.adapters.events.letters import BACKLOG
from inbox.adapters.events.lines import Patience
from inbox.adapters.events.memory import QUEUE
from inbox.adapters.events.postgres import PostgresEvents
from inbox.adapters.events.redis import RedisEvents
from inbox.domain.ids import MessageId
from inbox.domain.signals import CacheStale, MessageSettled, Resync, Signal, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.events import Events

from .redis_side import until

QUICK: Final = Patience(rest=0.02)
SECRET: Final = "c4n4ry-Zq7"

Bus = PostgresEvents | RedisEvents


def a_signal() -> MessageSettled:
    return MessageSettled(MessageId(uuid4()))


async def taken(signals: AsyncIterator[Signal], count: int = 1) -> list[Signal]:
    async with asyncio.timeout(10):
        return [await anext(signals) for _ in range(count)]


async def taken_until(signals: AsyncIterator[Signal], last: Signal) -> list[Signal]:
    """All up to this one."""
    found = await taken(signals)
    while found[-1] != last:
        found += await taken(signals)
    return found


class EventsCases:
    async def test_a_subscriber_gets_what_is_published_in_order(self, events: Events) -> None:
        published = [a_signal() for _ in range(50)]
        async with events.subscribe() as signals:
            for signal in published:
                events.publish(signal)
            assert await taken(signals, 50) == published

    async def test_one_call_may_publish_several_signals(self, events: Events) -> None:
        first, second = a_signal(), CacheStale(("profile:1", "profile:2"))
        async with events.subscribe() as signals:
            events.publish(first, second)
            assert await taken(signals, 2) == [first, second]

    async def test_publishing_nothing_wakes_nobody_up(self, events: Events) -> None:
        signal = a_signal()
        async with events.subscribe() as signals:
            events.publish()
            waiting = asyncio.ensure_future(anext(signals))
            events.publish(signal)
            async with asyncio.timeout(10):
                assert await waiting == signal

    async def test_every_subscriber_gets_every_signal_once(self, events: Events) -> None:
        first, second = a_signal(), a_signal()
        async with events.subscribe() as one, events.subscribe() as other:
            events.publish(first)
            events.publish(second)
            assert await taken(one, 2) == [first, second]
            assert await taken(other, 2) == [first, second]

    async def test_a_subscription_begins_with_the_block_and_ends_with_it(self, events: Events) -> None:
        early, late = a_signal(), a_signal()
        events.publish(early)
        async with events.subscribe() as signals:
            events.publish(late)
            assert await taken(signals) == [late]
        async with events.subscribe() as again:
            events.publish(early)
            assert await taken(again) == [early]

    async def test_a_cancelled_wait_loses_no_signal(self, events: Events) -> None:
        signal = a_signal()
        async with events.subscribe() as signals:
            waiting = asyncio.ensure_future(anext(signals))
            await asyncio.wait([waiting], timeout=0)
            waiting.cancel()
            events.publish(signal)
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            assert await taken(signals) == [signal]

    async def test_a_subscriber_that_falls_behind_is_told_to_look_at_everything(self, events: Events) -> None:
        newest = a_signal()
        async with events.subscribe() as slow, events.subscribe() as quick:
            for _ in range(QUEUE + 1):
                signal = a_signal()
                events.publish(signal)
                assert await taken(quick) == [signal]
            events.publish(newest)
            assert await taken(slow, 2) == [Resync(), newest]

    async def test_who_wants_one_thing_hears_of_it_and_of_gaps_alone(self, events: Events) -> None:
        mine, foreign = a_signal(), [a_signal() for _ in range(2 * QUEUE)]
        async with events.subscribe(lambda signal: signal == mine) as signals:
            events.publish(*foreign)
            events.publish(Resync(), foreign[0], mine)
            assert await taken(signals, 2) == [Resync(), mine]

    async def test_more_signals_at_once_than_a_queue_holds_are_one_resync(self, events: Events) -> None:
        newest = a_signal()
        async with events.subscribe() as signals:
            events.publish(*[a_signal() for _ in range(QUEUE + 1)])
            events.publish(newest)
            assert await taken(signals, 2) == [Resync(), newest]

    async def test_equal_signals_that_wait_in_a_row_are_one(self, events: Events) -> None:
        often, once = WorkWaiting(WorkKind.SEND), a_signal()
        async with events.subscribe() as signals:
            events.publish(*[often] * QUEUE, once, often)
            events.publish(often)
            assert await taken(signals, 3) == [often, once, often]
            events.publish(often)
            assert await taken(signals) == [often]

    async def test_a_full_queue_is_no_gap_yet(self, events: Events) -> None:
        published = [a_signal() for _ in range(QUEUE)]
        async with events.subscribe() as signals:
            events.publish(*published)
            assert await taken(signals, QUEUE) == published


class Side(Protocol):
    """The other side of a wire, as tests need it."""

    def bus(self, **wiring: Any) -> Bus:  # noqa: ANN401 - as the adapters take it
        """That of another process, which is not connected yet."""
        ...

    def nowhere(self, **wiring: Any) -> Bus:  # noqa: ANN401
        """One whose server is not there."""
        ...

    def say(self, letter: str) -> None:
        """As a process would that knows the key, but not our letters."""
        ...

    def kill_listeners(self) -> None:
        """Ends their connections and waits for that."""
        ...

    def kill_tellers(self) -> None: ...

    def away(self) -> AbstractContextManager[None]:
        """All connections break, and nobody gets a new one while the block runs."""
        ...


class Buses:
    """Several processes on one wire."""

    def __init__(self, side: Side, stack: AsyncExitStack) -> None:
        self._side = side
        self._stack = stack

    async def start(self, bus: Bus | None = None) -> Bus:
        """A bus that listens by now."""
        bus = bus or self._side.bus()
        async with bus.subscribe() as signals:
            await self._stack.enter_async_context(bus.running())
            assert await taken(signals) == [Resync()]
        return bus


class BusCases(EventsCases):
    """Needs the fixtures `side`, `buses`, and `events`, one that listens."""

    async def test_another_process_gets_the_signals_in_order(self, events: Bus, buses: Buses) -> None:
        other = await buses.start()
        published: list[Signal] = [
            a_signal(),
            WorkWaiting(WorkKind.SEND),
            CacheStale(("profile:é",)),
            a_signal(),
        ]
        async with other.subscribe() as signals:
            events.publish(*published[:2])
            events.publish(*published[2:])
            assert await taken(signals, 4) == published

    async def test_own_signals_do_not_come_back(self, events: Bus, buses: Buses) -> None:
        other = await buses.start()
        mine, theirs = a_signal(), a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            events.publish(mine)
            assert await taken(there) == [mine]
            other.publish(theirs)  # after `mine` on the wire
            assert await taken(here, 2) == [mine, theirs]

    async def test_signals_that_are_too_large_for_one_letter_arrive_in_several(self, events: Bus, buses: Buses) -> None:
        other = await buses.start()
        published = [CacheStale((f"{number:04d}" * 50,)) for number in range(400)]
        async with other.subscribe() as signals:
            events.publish(*published)
            assert await taken(signals, 400) == published

    async def test_a_signal_too_large_for_the_wire_arrives_as_a_resync(self, events: Bus, buses: Buses) -> None:
        other = await buses.start()
        newest = a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            large = CacheStale(("é" * 9_000,))
            events.publish(large)
            events.publish(newest)
            assert await taken(here, 2) == [large, newest]
            assert await taken(there, 2) == [Resync(), newest]

    async def test_of_a_burst_nothing_is_lost_in_silence(self, events: Bus, buses: Buses) -> None:
        other = await buses.start()
        burst, newest = [a_signal() for _ in range(5 * QUEUE)], a_signal()
        async with other.subscribe() as signals:
            events.publish(*burst)
            events.publish(newest)
            found = await taken_until(signals, newest)
        told = [signal for signal in found if signal not in (Resync(), newest)]
        seen = set(told)
        assert told == [signal for signal in burst if signal in seen]
        assert told == burst or Resync() in found

    async def test_equal_signals_that_wait_for_the_wire_travel_once(self, buses: Buses, side: Side) -> None:
        other, late = await buses.start(), side.bus()
        often, seldom, newest = WorkWaiting(WorkKind.SEND), WorkWaiting(WorkKind.TURN), a_signal()
        async with other.subscribe() as signals:
            for _ in range(BACKLOG):
                late.publish(often, seldom)
            late.publish(newest, often)
            await buses.start(late)
            assert await taken(signals, 3) == [seldom, newest, often]  # each where it was said last
            late.publish(often)
            assert await taken(signals) == [often]

    async def test_a_backlog_that_is_too_long_becomes_one_resync(self, events: Bus, buses: Buses, side: Side) -> None:
        late = side.bus()
        newest = a_signal()
        async with events.subscribe() as signals:
            late.publish(*[a_signal() for _ in range(BACKLOG + 1)])
            late.publish(newest)
            await buses.start(late)
            assert await taken(signals, 2) == [Resync(), newest]

    async def test_a_letter_of_another_version_is_a_resync(self, events: Bus, side: Side) -> None:
        async with events.subscribe() as signals:
            for letter in ("nonsense", '["someone",[{"type":"later"}]]'):
                side.say(letter)
                assert await taken(signals) == [Resync()]

    async def test_a_lost_listener_is_told_to_look_again_and_hears_again(
        self, events: Bus, buses: Buses, side: Side
    ) -> None:
        other = await buses.start()
        signal = a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            side.kill_listeners()
            assert await taken(here) == [Resync()]
            assert await taken(there) == [Resync()]
            events.publish(signal)
            assert await taken(there) == [signal]

    async def test_signals_lost_with_the_telling_connection_are_a_resync_for_the_others(
        self, events: Bus, buses: Buses, side: Side
    ) -> None:
        other = await buses.start()
        before, lost, after = a_signal(), a_signal(), a_signal()
        async with other.subscribe() as signals:
            events.publish(before)
            assert await taken(signals) == [before]
            side.kill_tellers()
            events.publish(lost)
            assert await taken(signals) in ([Resync()], [lost])  # lost, unless the end of the connection was seen first
            events.publish(after)
            assert (await taken_until(signals, after))[-1] == after

    async def test_a_server_that_goes_away_costs_hints_and_ends_in_a_resync_for_all(
        self, events: Bus, buses: Buses, side: Side
    ) -> None:
        other = await buses.start()
        meanwhile, newest = a_signal(), a_signal()
        async with events.subscribe() as here, other.subscribe() as there:
            with side.away():
                events.publish(meanwhile)
                assert await taken(here) == [meanwhile]
            assert await taken(here) == [Resync()]
            assert await taken(there) == [Resync()]
            events.publish(newest)
            assert (await taken_until(there, newest))[-1] == newest

    async def test_up_and_down_are_told_once_each_and_without_secrets(self, buses: Buses, side: Side) -> None:
        changes: list[bool] = []
        with structlog.testing.capture_logs() as lines:
            await buses.start(side.bus(on_change=changes.append))
            await until(lambda: changes == [True])
            with side.away():
                await until(lambda: changes == [True, False])
            await until(lambda: changes == [True, False, True])
        told = [line["event"] for line in lines if line["event"].startswith("bus_")]
        assert told == ["bus_disconnected", "bus_connected"]
        assert SECRET not in str(lines)

    async def test_without_a_server_the_process_still_hears_itself(self, side: Side) -> None:
        changes: list[bool] = []
        with structlog.testing.capture_logs() as lines:
            alone = side.nowhere(on_change=changes.append)
            signal = a_signal()
            async with alone.running(), alone.subscribe() as signals:
                alone.publish(signal)
                assert await taken(signals) == [signal]
                await until(lambda: changes == [False])
        assert SECRET not in str(lines)
