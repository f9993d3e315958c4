"""A pool of connections that knows who waits, and keeps some at hand for single statements.

Taking a connection out and putting it back costs as much as a small statement: SQLAlchemy undoes what nobody did, and
switches stacks for it. A statement that is a transaction of its own leaves nothing behind, so its connection stays at
hand for the next one. It is still one of the pool: whoever finds no other gets it.
"""

import time
from typing import Any, Final

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from inbox.kit.gauges import Connections

_KEPT_SECONDS: Final = 60.0
"""Then it is taken out once more, which replaces connections that are too old."""
KEPT_UNTIL: Final = "inbox_kept_until"
"""What a connection knows of it."""


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool for one event loop: nothing waits between a look at what is at hand and its change."""

    __module__ = AsyncAdaptedQueuePool.__module__  # SQLAlchemy names its logger by it, and is quiet under its own name

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as SQLAlchemy makes it
        super().__init__(*args, **options)
        self._kept: list[PoolProxiedConnection] = []
        self._waiting = 0
        self._is_over = False

    def take_kept(self) -> PoolProxiedConnection | None:
        """The connection that was used last, if one is at hand that still stands and was looked at in the last minute.

        None means that one has to be taken out, which replaces what is too old.
        """
        while self._kept:
            connection = self._kept.pop()
            driver: Any = connection.driver_connection  # asyncpg's; it publishes no types
            if driver.is_closed():
                connection.invalidate()
            elif time.monotonic() <= connection.info[KEPT_UNTIL]:
                return connection
            else:
                del connection.info[KEPT_UNTIL]
                connection.close()
        return None

    def keep(self, connection: PoolProxiedConnection) -> None:
        """`connection` has no transaction. It stays at hand, unless somebody waits for one or it broke."""
        if self._is_over and connection.is_valid:
            connection.invalidate()
        if self._waiting or not connection.is_valid:
            connection.close()
            return
        connection.info.setdefault(KEPT_UNTIL, time.monotonic() + _KEPT_SECONDS)
        self._kept.append(connection)

    def usage(self) -> Connections:
        """What it holds at this moment."""
        kept = len(self._kept)
        return Connections(self.checkedout() - kept, self.checkedin() + kept, self._waiting, self.size())

    def dispose(self) -> None:
        self._is_over = True
        self._put_back()
        super().dispose()

    def _invalidate(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as SQLAlchemy calls it
        """The server went away: SQLAlchemy replaces each connection of before when it is taken out."""
        self._put_back()
        super()._invalidate(*args, **options)

    def _put_back(self) -> None:
        while self._kept:
            self._kept.pop().close()

    def _do_get(self) -> ConnectionPoolEntry:
        if self._kept and not self.checkedin():
            self._kept.pop().close()
        self._waiting += 1
        try:
            return super()._do_get()
        finally:
            self._waiting -= 1


def pool_of(engine: AsyncEngine) -> Pool:
    """That of an engine of `create_engine`."""
    pool = engine.sync_engine.pool
    if not isinstance(pool, Pool):
        raise TypeError("only engines of `create_engine` have this pool")
    return pool


def connections(engine: AsyncEngine) -> Connections:
    """What the pool of an engine holds at this moment."""
    return pool_of(engine).usage()
