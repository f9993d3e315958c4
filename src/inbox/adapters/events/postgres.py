"""The bus between processes over LISTEN and NOTIFY.

One connection listens and one tells, both apart from the pools. A signal is told at once, those that follow it within
some milliseconds together: a NOTIFY takes a global lock at commit, so it never runs inside a transaction of ours. Own
signals reach own subscribers directly. After any gap every subscriber gets `Resync`.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import msgspec
import structlog

from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.events import Resync, Signal

CHANNEL: Final = "inbox_signals"
_MOST_BYTES: Final = 7_800
"""PostgreSQL takes payloads below 8000 bytes."""
_GATHER_SECONDS: Final = 0.004
_BACKLOG: Final = 10_000
_CHECK_SECONDS: Final = 10.0
_CHECK_WITHIN: Final = 3.0
_RECONNECT_SECONDS: Final = 0.2
_UNHURRIED: Final = {"synchronous_commit": "off"}
"""Hints are not worth a write to the disk, which commits that count would have to wait for."""
_BROKEN: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""The driver says `InternalClientError` of a connection that broke before it has noticed."""

_log = structlog.stdlib.get_logger("inbox.events")


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    """What travels: who sent it, and the signals."""

    origin: str
    signals: list[Signal]


class PostgresEvents:
    """Hints through the database that everybody has."""

    def __init__(self, dsn: str) -> None:
        """`dsn` in asyncpg's form; a direct or session-mode connection, LISTEN does not pass a transaction pooler."""
        self._dsn = dsn
        self._local = MemoryEvents()
        self._origin = secrets.token_hex(8)
        self._outgoing: deque[Signal] = deque()
        self._has_some = asyncio.Event()

    def publish(self, *signals: Signal) -> None:
        self._local.publish(*signals)
        self._send(*signals)

    def subscribe(self) -> contextlib.AbstractAsyncContextManager[AsyncIterator[Signal]]:
        return self._local.subscribe()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects to the others while the block runs."""
        tasks = [asyncio.create_task(self._forever(self._listen)), asyncio.create_task(self._forever(self._pump))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _send(self, *signals: Signal) -> None:
        if len(self._outgoing) + len(signals) > _BACKLOG:
            self._outgoing.clear()
            signals = (Resync(),)
        self._outgoing.extend(signals)
        self._has_some.set()

    async def _forever(self, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=_CHECK_WITHIN, server_settings=_UNHURRIED)
                try:
                    await work(connection)
                finally:
                    connection.terminate()
            except _BROKEN as error:
                _log.warning("bus_disconnected", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._received)
        self._local.publish(Resync())  # after LISTEN: what was missed before it is looked for now
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_SECONDS):
                    await lost.wait()
            if not lost.is_set():
                await connection.fetchval("select 1", timeout=_CHECK_WITHIN)

    def _received(self, *notification: object) -> None:
        payload = str(notification[-1])
        try:
            letter = msgspec.json.decode(payload, type=_Letter)
        except msgspec.DecodeError:
            # A process of another version speaks: whatever it said, look again.
            self._local.publish(Resync())
            return
        if letter.origin != self._origin:
            self._local.publish(*letter.signals)

    async def _pump(self, connection: asyncpg.Connection) -> None:
        clock = asyncio.get_running_loop().time
        next_one = clock()
        while True:
            await self._has_some.wait()
            await asyncio.sleep(max(0.0, next_one - clock()))
            next_one = clock() + _GATHER_SECONDS
            self._has_some.clear()
            signals = [self._outgoing.popleft() for _ in range(len(self._outgoing))]
            payloads = list(_packed(self._origin, signals))
            try:
                await connection.execute(
                    "select pg_notify($1, p) from unnest($2::text[]) p", CHANNEL, payloads, timeout=_CHECK_WITHIN
                )
            except _BROKEN:
                self._send(Resync())  # these are lost, and the others do not see a gap of ours
                raise


def _packed(origin: str, signals: list[Signal]) -> Iterator[str]:
    """As few letters as fit."""
    if not signals:
        return
    letter = msgspec.json.encode(_Letter(origin, signals))
    if len(letter) <= _MOST_BYTES:
        yield letter.decode()
    elif len(signals) == 1:
        yield msgspec.json.encode(_Letter(origin, [Resync()])).decode()
    else:
        middle = len(signals) // 2
        yield from _packed(origin, signals[:middle])
        yield from _packed(origin, signals[middle:])
