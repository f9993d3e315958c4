"""While nobody listens or polls, the feed leaves signals alone; whoever comes then notices nothing of it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from feed.test_feed import ADA, Busy, Heard, Log, Stored, Team, number
from inbox.domain.feed import Interest
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.listeners import FeedLimits
from inbox.ports.feed import LogEnd


@dataclass
class Watched(Log):
    """Says when it was looked at."""

    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def end(self) -> LogEnd:
        self.looked.set()
        return await super().end()


class Overlapping(Watched, Busy):
    """The same at a log to which somebody always writes."""


@pytest.fixture
def log() -> Watched:
    return Watched()


async def looked_at(log: Watched) -> None:
    """Returns once what is written now was looked at: nothing but a signal says that it was written."""
    log.looked.clear()
    log.write()
    await log.looked.wait()


async def left_alone(log: Watched) -> None:
    """Returns once something was written that nobody looks at."""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.2):
                await looked_at(log)


def resting(log: Watched, clock: Callable[[], float] = time.monotonic) -> Feed:
    """It looks for no other reason than a signal or a caller."""
    stored = Stored(log, Team())
    return Feed(stored, log.bus, Heard(), FeedLimits(), clock=clock, look_every=3_600)  # type: ignore[arg-type]


async def test_signals_are_followed_only_while_somebody_listens_or_polls(log: Watched) -> None:
    now = 1_000.0
    feed = resting(log, lambda: now)
    async with feed.running(), asyncio.timeout(15):
        await left_alone(log)
        log.looked.clear()
        feed.mark()
        await log.looked.wait()
        await looked_at(log)
        now += 61
        await left_alone(log)
        async with feed.listening(ADA, Interest(), None):
            now += 61
            await looked_at(log)
            await looked_at(log)  # the first one may have been the look for who came


async def test_writers_who_overlap_are_waited_for_only_while_somebody_listens_or_polls() -> None:
    log = Overlapping()
    feed = resting(log)
    async with feed.running(), asyncio.timeout(15):
        await left_alone(log)
        async with feed.listening(ADA, Interest(), None) as tap:
            seen = await number(await tap.take(10))
            assert seen
            assert (await number(await tap.take(10)))[0] == seen[-1] + 1


async def test_who_comes_after_a_rest_stands_at_the_end_of_the_log_and_misses_nothing(log: Watched) -> None:
    feed = resting(log)
    async with feed.running(), asyncio.timeout(15):
        await left_alone(log)
        first = await feed.page(ADA, Interest(), None, 10)
        assert first.cursor == f"{log.generation}-{log.last}"
        log.write(3)
        async with feed.listening(ADA, Interest(), first.cursor) as tap:
            assert await number(await tap.take(10)) == [log.last - 2, log.last - 1, log.last]
    feed = resting(log)
    async with feed.running(), asyncio.timeout(15):
        await left_alone(log)
        async with feed.listening(ADA, Interest(), None) as tap:
            log.write()
            assert await number(await tap.take(10)) == [log.last]
