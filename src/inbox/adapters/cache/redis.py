"""Two tiers: the cache of this process, and Redis (or Valkey) behind it, which all processes share.

Redis is asked when this process has no answer, and only for values with a shape. Its word alone counts for nothing: an
entry is used only if its load began after every forgetting that this process knows of, its own and those that the bus
told it (`Points`), and after the last one that Redis heard of (`redis_scripts`). So a forgetting that Redis missed,
being down, does no harm; nor do a server that comes back with old data (all names carry the id of the run), a flush
(the clock gets another id) and processes that start later (they believe nothing older than their first question).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec

from inbox.adapters.cache.memory import EVERYTHING, Flight, MemoryCache
from inbox.adapters.cache.redis_entries import Points, Shape, Stamp, Vault
from inbox.adapters.cache.redis_link import Line, Link, Patience, Unreachable
from inbox.adapters.cache.redis_scripts import FORGET, READ, STORE
from inbox.kit.sealing import Sealer
from inbox.ports.cache import SharedStats
from inbox.ports.events import Events

T = TypeVar("T")

_PREFIX: Final = "inbox"
_LONGEST: Final = 3_600_000
"""Milliseconds that an entry may live."""
_KEPT: Final = 2 * _LONGEST
"""Milliseconds that clock and tags are kept: longer than any entry that they judge."""
_MOST_TAGS: Final = 100
_SCANS: Final = 200
_SCANNED: Final = 1_000


class _Question(msgspec.Struct, frozen=True):
    """One entry asked for, over one link."""

    link: Link
    shape: Shape
    name: str
    keys: list[str]
    serial: int


class _Found(msgspec.Struct, frozen=True):
    value: Any
    left: float
    """Seconds."""


class RedisCache(MemoryCache):
    """A memory cache that asks the others before it loads. Without Redis it is just that."""

    def __init__(
        self,
        events: Events,
        url: str,
        sealer: Sealer,
        *,
        capacity: int = 10_000,
        clock: Callable[[], float] = monotonic,
        on_change: Callable[[bool], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        """`on_change` hears whether Redis is up, at each change."""
        super().__init__(events, capacity=capacity, clock=clock)
        self._vault = Vault(sealer)
        self._points = Points()
        self._shapes: dict[object, Shape] = {}
        self._line = Line(
            url, (READ, STORE, FORGET), check=self._tried, on_change=on_change, patience=patience or Patience()
        )

    @property
    def is_up(self) -> bool:
        """Whether Redis is asked at all."""
        return self._line.link is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens to the other processes and keeps a way to Redis while the block runs."""
        async with super().running(), self._line.kept():
            yield

    async def forget(self, *tags: str) -> None:
        await super().forget(*tags)
        link = self._line.link
        if tags and link is not None:
            few = tags if len(tags) <= _MOST_TAGS else (EVERYTHING,)
            try:
                await self._told(link, few)
            except Unreachable:
                return  # every process that listens refuses the old entries by itself

    async def shared(self) -> SharedStats:
        link = self._line.link
        sizes: dict[str, int] = {}
        cursor = b"0"
        if link is None:
            return SharedStats(is_up=False, sizes=sizes, is_complete=False)
        try:
            for _ in range(_SCANS):
                cursor, names = await self._scanned(link, cursor)
                for name in names:
                    family = self._family(name.decode("utf-8", "replace").split(":")[3])
                    sizes[family] = sizes.get(family, 0) + 1
                if cursor == b"0":
                    break
        except Unreachable:
            cursor = b""
        return SharedStats(is_up=self.is_up, sizes=sizes, is_complete=cursor == b"0")

    async def _obtained(self, flight: Flight, load: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        begun = self._clock()
        question = self._question(flight)
        answer = await self._asked(question, flight) if question is not None else None
        if isinstance(answer, _Found):
            return answer.value, begun + min(answer.left, flight.ttl)
        value, until = await super()._obtained(flight, load)
        if question is not None and answer is not None and not self._is_stale(flight.tags, flight.born):
            self._behind(self._store(question, answer, value, until))
        return value, until

    def _question(self, flight: Flight) -> _Question | None:
        """None: not for Redis, or there is no way to it."""
        link = self._line.link
        if link is None or flight.shape is None or link.is_busy:
            return None
        shape = self._shape(flight.shape)
        name = self._vault.entry(flight.key, flight.tags, shape, self._family(flight.key))
        tags = [_tag(link, self._vault.tag(tag)) for tag in (EVERYTHING, *flight.tags)]
        return _Question(link, shape, name, [_clock(link), _entry(link, name), *tags], self._serial)

    async def _asked(self, question: _Question, flight: Flight) -> _Found | Stamp | None:
        """The value, or the stamp for a load, which may then be stored."""
        floor = self._points.floor(self._last_forgotten(flight.tags))
        known, above = (self._points.clock, floor) if floor is not None else ("", "")
        try:
            clock, now, tick, left, payload = _read(
                await question.link.call(
                    *_script(question.link, READ, question.keys), token_hex(8), _KEPT, known, above
                )
            )
        except Unreachable:
            return None
        self._points.learn(clock, question.serial, now)
        stamp, counters = Stamp(clock, tick), self._counters(flight.key)
        if payload is None:
            counters.shared_misses += 1
            return stamp
        text = self._vault.opened(payload, question.name, stamp)
        try:
            found = _Found(question.shape.read(text or ""), left / 1000)
        except msgspec.DecodeError:
            self._behind(question.link.call("DEL", question.keys[1]))  # nobody can use it
            counters.shared_misses += 1
            return None
        counters.shared_hits += 1
        return found

    async def _store(self, question: _Question, stamp: Stamp, value: object, until: float) -> None:
        left = min(int((until - self._clock()) * 1000), _LONGEST)
        payload = self._vault.sealed(value, question.name, stamp) if left > 0 else None
        if payload is not None:
            await question.link.call(
                *_script(question.link, STORE, question.keys), stamp.clock, stamp.tick, left, payload
            )

    async def _told(self, link: Link, tags: tuple[str, ...]) -> None:
        keys = [_clock(link), *(_tag(link, self._vault.tag(tag)) for tag in tags)]
        await link.call(*_script(link, FORGET, keys), token_hex(8), _KEPT)

    async def _tried(self, link: Link) -> None:
        """A server that answers too late, or that takes no writes, is of no use."""
        await self._told(link, ())

    async def _scanned(self, link: Link, cursor: bytes) -> tuple[bytes, list[bytes]]:
        answer = await link.call("SCAN", cursor, "MATCH", _entry(link, "*"), "COUNT", _SCANNED)
        match answer:
            case [bytes(next_cursor), list(names)]:
                return next_cursor, names
            case _:
                raise Unreachable("not the answer to SCAN")

    def _shape(self, shape: object) -> Shape:
        if shape not in self._shapes:
            self._shapes[shape] = Shape(shape)
        return self._shapes[shape]

    def _behind(self, work: Coroutine[None, None, object]) -> None:
        """Done while nobody waits; if it fails, the next question says so."""

        async def quietly() -> None:
            with suppress(Unreachable):
                await work

        task = asyncio.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _clock(link: Link) -> str:
    return f"{_PREFIX}:{link.run_id}:clock"


def _entry(link: Link, name: str) -> str:
    return f"{_PREFIX}:{link.run_id}:entry:{name}"


def _tag(link: Link, name: str) -> str:
    return f"{_PREFIX}:{link.run_id}:tag:{name}"


def _script(link: Link, script: str, keys: list[str]) -> list[str]:
    return ["EVALSHA", link.scripts[script], str(len(keys)), *keys]


def _read(answer: object) -> tuple[str, int, int, int, bytes | None]:
    """The clock's id, its tick before, the tick of the entry or for the load, milliseconds left, payload if any."""
    match answer:
        case [bytes(clock), int(now), int(tick)]:
            return clock.decode(), now, tick, 0, None
        case [bytes(clock), int(now), int(tick), int(left), bytes(payload)]:
            return clock.decode(), now, tick, left, payload
        case _:
            raise Unreachable("not the answer of the script")
