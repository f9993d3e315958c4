"""How fast messages may leave: for each phone number, and for each pair of a number and a customer.

Both are the generic cell rate algorithm (GCRA, ITU-T I.371): one moment says everything. It moves on with each message,
and whoever lets it run ahead of the clock by no more than the burst keeps the limit over any span of time.
"""

import math
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

import msgspec

from inbox.domain.messages import Author

STANDARD: Final = 80.0
"""Messages a second of an ordinary number, both directions and all kinds."""
COEXISTENCE: Final = 20.0
"""Of a number that is also used in the WhatsApp Business app."""
UPGRADED: Final = 1_000.0
FLOOR: Final = 1.0
"""However often WhatsApp refuses, a number tries this many a second."""
BURST: Final = timedelta(milliseconds=200)
"""What a number may catch up with at once: more than the rests of a worker that finds no token."""
RECOVERY: Final = timedelta(seconds=800)
"""In this time without a refusal a learned rate would rise from nothing to that of the number: 1/s every 10 s at 80."""
DEAF: Final = timedelta(seconds=1)
"""Refusals this soon after the last one that counted belong to it: they were under way."""
OLDEST_EVERY: Final = 10
"""Each tenth message of a number is the one that has waited longest, whatever its priority."""


class Priority(IntEnum):
    """Who goes first at a number. Stored with each send lane."""

    PERSON = 0
    BOT = 1
    BULK = 2


def priority(author: Author, *, by_program: bool) -> Priority:
    """A program with an API key writes for its user, but never before people and the bot, who are waited for."""
    if by_program:
        return Priority.BULK
    return Priority.BOT if author is Author.BOT else Priority.PERSON


def tokens(free_at: datetime | None, now: datetime, rate: float) -> int:
    """How many messages may leave `now`, at `rate` a second. `free_at` is the moment of the bucket, None long ago."""
    ahead = max((free_at - now).total_seconds(), 0.0) if free_at is not None else 0.0
    room = BURST.total_seconds() - ahead
    return math.floor(room * rate) + 1 if room >= 0 else 0


def after(free_at: datetime | None, now: datetime, rate: float, count: int) -> datetime:
    """The moment of the bucket after `count` messages."""
    return max(free_at or now, now) + timedelta(seconds=count / rate)


def rate(ceiling: float, learned: float | None, since: timedelta) -> float:
    """Messages a second, `since` the last refusal that counted, after which `learned` was the rate."""
    return ceiling if learned is None else min(ceiling, learned + ceiling * (since / RECOVERY))


def slowed(rate: float) -> float:
    """The rate after a refusal."""
    return max(FLOOR, rate / 2)


class PairLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One message every `every` from one number to one customer, `burst` of them at once."""

    every: timedelta = timedelta(seconds=6)
    burst: int = 45

    @property
    def slack(self) -> timedelta:
        """How far the moment of the pair may lie back: what is saved up."""
        return self.every * (self.burst - 1)

    def next_at(self, next_at: datetime | None, now: datetime) -> datetime:
        """When the message after one that leaves `now` may leave."""
        earliest = now - self.slack
        return max(next_at or earliest, earliest) + self.every


_MOST_PAIR_REFUSALS: Final = 4


def pair_wait(refusals: int) -> timedelta:
    """The wait of one pair after `refusals` in a row before this one: 1, 4, 16, 64, then 256 s."""
    return timedelta(seconds=4.0 ** min(refusals, _MOST_PAIR_REFUSALS))
