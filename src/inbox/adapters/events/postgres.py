"""The bus between processes over LISTEN and NOTIFY.

One connection listens and one tells, both apart from the pools: a NOTIFY takes a global lock at commit, so it never
runs inside a transaction of ours.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from inbox.adapters.events.letters import Letters
from inbox.adapters.events.lines import Lines, Patience
from inbox.domain.signals import Signal
from inbox.ports.events import Wanted

CHANNEL: Final = "inbox_signals"
_MOST_BYTES: Final = 7_800
"""PostgreSQL takes payloads below 8000 bytes."""
_UNHURRIED: Final = {"synchronous_commit": "off"}
"""Hints are not worth a write to the disk, which commits that count would have to wait for."""
_BROKEN: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""The driver says `InternalClientError` of a connection that broke before it has noticed."""


class PostgresEvents:
    """Hints through the database that everybody has."""

    def __init__(
        self,
        dsn: str,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        """`dsn` in asyncpg's form; a direct or session-mode connection, LISTEN does not pass a transaction pooler.

        `on_change` hears whether the others are reached, at each change.
        """
        self._dsn = dsn
        self._patience = patience or Patience()
        self._letters = Letters(most_bytes=_MOST_BYTES)
        self._lines = Lines("postgres", self._connected, _BROKEN, on_change=on_change, patience=self._patience)

    def publish(self, *signals: Signal) -> None:
        self._letters.publish(*signals)

    def subscribe(self, wanted: Wanted | None = None) -> contextlib.AbstractAsyncContextManager[AsyncIterator[Signal]]:
        return self._letters.subscribe(wanted)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects to the others while the block runs."""
        async with self._lines.running(self._listen, self._tell):
            yield

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._dsn, timeout=self._patience.answer, server_settings=_UNHURRIED)
        try:
            yield connection
        finally:
            connection.terminate()

    async def _listen(self, connection: asyncpg.Connection, works: Callable[[], None]) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        async with asyncio.timeout(self._patience.answer):
            await connection.add_listener(CHANNEL, self._received)
        self._letters.missed()  # after LISTEN: what was missed before it is looked for now
        works()
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.silence):
                    await lost.wait()
            if not lost.is_set():
                await connection.fetchval("select 1", timeout=self._patience.answer)
        raise ConnectionResetError

    def _received(self, *notification: object) -> None:
        self._letters.received(str(notification[-1]))

    async def _tell(self, connection: asyncpg.Connection, works: Callable[[], None]) -> None:
        works()
        while True:
            letters = await self._letters.outgoing(within=self._patience.silence)
            try:
                await connection.execute(  # without letters the server is only asked whether it is there
                    "select pg_notify($1, p) from unnest($2::text[]) p", CHANNEL, letters, timeout=self._patience.answer
                )
            except _BROKEN:
                if letters:
                    self._letters.lost()
                raise
