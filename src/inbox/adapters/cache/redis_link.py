"""The way to Redis: one connection that all callers share, and a keeper that makes it anew.

Callers never connect and never wait for a Redis that was found dead or slow: they use the link that is there, or do
without. Commands go out as they come, answers come back in the same order, so many callers share one round trip.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final

import msgspec
import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

_OPEN_SECONDS: Final = 1.0
"""For a new connection with its handshake; no caller waits for it."""
_MOST_WAITING: Final = 1_000
_MANY_WAITING: Final = 100

_log = structlog.stdlib.get_logger("inbox.cache")


class Unreachable(Exception):
    """No answer from Redis, or none within the time, or a refusal."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: for one command in all, and for which Redis is left alone after a failure."""

    answer: float = 0.05
    rest: float = 2.0


class Link:
    """One connection to one run of one server. It never connects again: what it knows of the server stays true."""

    def __init__(self, pool: ConnectionPool, patience: Patience) -> None:
        self._patience = patience
        self.closed = asyncio.Event()
        self.reason = ""
        self.run_id = ""
        """Another one after each restart, whatever data the server came back with."""
        self.scripts: dict[str, str] = {}
        """The name that the server has for each."""
        self._waiting: deque[asyncio.Future[object]] = deque()
        self._was_made = False
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._connection.redis_connect_func = self._greet
        self._reader: asyncio.Task[None] | None = None

    async def open(self, scripts: Sequence[str]) -> None:
        """Connects. Raises `Unreachable`."""
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                self.run_id = _run_id(await self._asked("INFO", "server"))
                for script in scripts:
                    self.scripts[script] = _text(await self._asked("SCRIPT", "LOAD", script))
        except (RedisError, OSError, TimeoutError) as error:
            raise Unreachable(type(error).__name__) from error
        # A context of its own: a request that came first must not lend it its id.
        self._reader = asyncio.create_task(self._read(), context=Context())

    @property
    def is_busy(self) -> bool:
        """So many wait that loading is as quick."""
        return len(self._waiting) >= _MANY_WAITING

    async def call(self, *command: str | bytes | float) -> object:
        """The answer. Raises `Unreachable`; unless there are merely too many who wait, the link is closed then."""
        if self.closed.is_set() or len(self._waiting) >= _MOST_WAITING:
            raise Unreachable(self.reason or "busy")
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_looked_at)
        self._waiting.append(answer)
        try:
            async with asyncio.timeout(self._patience.answer):
                await self._send(*command)
                await asyncio.wait([answer])
        except TimeoutError:
            await _read_what_arrived()
        except (RedisError, OSError) as error:
            self.close(type(error).__name__)
        if not answer.done():
            self.close("timeout")
        try:
            return answer.result()
        except ResponseError as error:
            self.close(str(error).partition(" ")[0])  # its code; the rest may quote what was sent
            raise Unreachable(self.reason) from error

    def close(self, reason: str) -> None:
        """Lets nobody wait any longer."""
        if self.closed.is_set():
            return
        self.reason = reason
        self.closed.set()
        for answer in self._waiting:
            answer.set_exception(Unreachable(reason))
        self._waiting.clear()

    async def aclose(self) -> None:
        """Gives the connection back."""
        self.close("closed")
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        with suppress(RedisError, OSError):
            await self._connection.disconnect()
        await asyncio.sleep(0)  # where redis-py did not wait for the transport's end: it comes in the next turn

    async def _greet(self, connection: AbstractConnection) -> None:
        if self._was_made:
            raise RedisError("a link connects once")  # it may be another server by now
        self._was_made = True
        await connection.on_connect()

    async def _send(self, *command: str | bytes | float) -> None:
        """Writes before it awaits anything, so in the order of `_waiting`."""
        is_sent = False
        try:
            await self._connection.send_packed_command(self._connection.pack_command(*command), check_health=False)
            is_sent = True
        finally:
            if not is_sent:
                self.close("not sent")  # redis-py has disconnected, and would connect again for the next one

    async def _asked(self, *command: str) -> object:
        await self._connection.send_command(*command, check_health=False)
        return await self._connection.read_response()

    async def _read(self) -> None:
        while True:
            result: object = None
            refusal: ResponseError | None = None
            try:
                result = await self._connection.read_response(disconnect_on_error=False)
            except ResponseError as error:
                refusal = error
            except (RedisError, OSError) as error:
                self.close(type(error).__name__)
                return
            if not self._waiting:
                self.close("an answer that nobody asked for")
                return
            answer = self._waiting.popleft()
            if refusal is None:
                answer.set_result(result)
            else:
                answer.set_exception(refusal)


class Line:
    """Keeps a link open. After a failure Redis is left alone for a while; then one probe at a time finds out."""

    def __init__(
        self,
        url: str,
        scripts: Sequence[str],
        *,
        check: Callable[[Link], Awaitable[None]],
        on_change: Callable[[bool], None],
        patience: Patience,
    ) -> None:
        """`check` tries a new link and raises `Unreachable`; `on_change` hears up and down."""
        self.link: Link | None = None
        self._pool = ConnectionPool.from_url(
            url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=_OPEN_SECONDS
        )
        self._scripts = scripts
        self._check = check
        self._on_change = on_change
        self._patience = patience
        self._is_up: bool | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Connects, and connects again, while the block runs."""
        keeper = asyncio.create_task(self._keep(), context=Context())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            self.link = None
            if not keeper.cancelled():
                keeper.result()

    async def _keep(self) -> None:
        while True:
            link = Link(self._pool, self._patience)
            try:
                await link.open(self._scripts)
                await self._check(link)
                self.link = link
                self._changed(is_up=True)
                await link.closed.wait()
                self._changed(is_up=False, reason=link.reason)
            except Unreachable as error:
                self._changed(is_up=False, reason=str(error))
            finally:
                self.link = None
                await link.aclose()
            await asyncio.sleep(self._patience.rest)

    def _changed(self, *, is_up: bool, reason: str = "") -> None:
        if is_up is self._is_up:
            return
        self._is_up = is_up
        self._on_change(is_up)
        if is_up:
            _log.info("shared_cache_up")
        else:
            _log.warning("shared_cache_down", reason=reason)


def _looked_at(answer: asyncio.Future[object]) -> None:
    """Its caller may be gone; that is no loss to complain about."""
    answer.exception()


async def _read_what_arrived() -> None:
    """If it was this process that was slow, the answer lies in the socket already."""
    for _ in range(3):
        await asyncio.sleep(0)


def _run_id(info: object) -> str:
    for line in _text(info).splitlines():
        name, _, value = line.partition(":")
        if name == "run_id" and value:
            return value
    raise RedisError("the server does not say which run it is")


def _text(answer: object) -> str:
    if not isinstance(answer, bytes):
        raise RedisError("not the kind of answer that was asked for")
    return answer.decode("utf-8", "replace")
