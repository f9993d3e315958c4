"""redis-py with a limit for each call, and a rest for a Redis that was found dead or slow.

Callers take turns on one connection and never wait for a Redis that failed: it is left alone until a probe of our own,
one at a time, finds it well again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

T = TypeVar("T")

_OPEN_SECONDS: Final = 1.0
"""For a new connection with its handshake, when no caller waits for it."""
_MOST_WAITING: Final = 100
"""Beyond them loading is as quick."""

_LATE: Final = 0.01
"""Seconds after its time at which a timer can only say that this process was slow."""

_log = structlog.stdlib.get_logger("inbox.cache")


class NoAnswer(Exception):
    """Redis rests, refused or took too long; or too many wait for it."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: for one call in all, at most half of it for one's turn; and from one probe to the next."""

    answer: float = 0.05
    rest: float = 2.0


class Client:
    """Whether Redis is asked at all (`is_up`), and how."""

    def __init__(self, url: str, *, on_change: Callable[[bool], None], patience: Patience) -> None:
        """`on_change` hears up and down."""
        self.is_up = False
        self.redis: Redis = Redis.from_url(
            url,
            single_connection_client=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=_OPEN_SECONDS,
        )
        """For the work that is given to `call`."""
        self._on_change = on_change
        self._patience = patience
        self._was_up: bool | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives. Raises `NoAnswer`."""
        limit = asyncio.get_running_loop().time() + self._patience.answer
        async with self._a_turn():
            if not self.is_up:  # it failed, or was closed, while we waited
                raise NoAnswer
            with self._failures():
                return await _within(limit, work)

    @asynccontextmanager
    async def running(self, probe: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
        """While the block runs, `probe` tells whether Redis is up."""
        watch = asyncio.create_task(self._watch(probe))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            self.is_up = False
            async with self._turn:  # redis-py gives the connection back twice if it is closed under a call
                with suppress(RedisError, OSError):
                    await self.redis.aclose()
            if not watch.cancelled():
                watch.result()

    @asynccontextmanager
    async def _a_turn(self) -> AsyncIterator[None]:
        """A full queue is no fault of Redis: who waits too long goes without, and nothing is said against it."""
        if not self.is_up or self._waiting >= _MOST_WAITING:
            raise NoAnswer
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience.answer / 2):
                await self._turn.acquire()
        except TimeoutError as error:
            raise NoAnswer from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _watch(self, probe: Callable[[], Awaitable[object]]) -> None:
        while True:
            with suppress(NoAnswer), self._failures():
                if not self.is_up:
                    async with asyncio.timeout(_OPEN_SECONDS):
                        await self.redis.ping()
                await _within(asyncio.get_running_loop().time() + self._patience.answer, probe)
                self._changed(is_up=True)
            await asyncio.sleep(self._patience.rest)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """A server that is gone, answers too late or refuses (takes no writes, say) is of no use for a while."""
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            # Of a refusal only its code: the rest may quote what was sent.
            reason = str(error).partition(" ")[0] if isinstance(error, ResponseError) else type(error).__name__
            self._changed(is_up=False, reason=reason)
            raise NoAnswer from error

    def _changed(self, *, is_up: bool, reason: str = "") -> None:
        self.is_up = is_up
        if is_up is self._was_up:
            return
        self._was_up = is_up
        self._on_change(is_up)
        if is_up:
            _log.info("shared_cache_up")
        else:
            _log.warning("shared_cache_down", reason=reason)


async def _within(limit: float, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives until the loop's time is `limit`. Raises TimeoutError, but `NoAnswer` if that is our fault."""
    try:
        async with asyncio.timeout_at(limit):
            return await work()
    except TimeoutError as error:
        if asyncio.get_running_loop().time() > limit + _LATE:
            raise NoAnswer from error
        raise
