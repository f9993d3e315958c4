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
"""Then it goes through the pool, which ends connections that are too old."""
KEPT_UNTIL: Final = "inbox_kept_until"
"""What a connection knows of it."""


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool for one event loop: none of its methods here is interrupted."""

    __module__ = AsyncAdaptedQueuePool.__module__  # SQLAlchemy names its logger by it, and is quiet under its own name

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as SQLAlchemy makes it
        super().__init__(*args, **options)
        self._kept: list[PoolProxiedConnection] = []
        self._waiting = 0

    def take_kept(self) -> PoolProxiedConnection | None:
        """The connection that was used last, if one is at hand that still stands."""
        while self._kept:
            connection = self._kept.pop()
            driver: Any = connection.driver_connection  # asyncpg's; it publishes no types
            if not driver.is_closed():
                return connection
            connection.invalidate()
        return None

    def keep(self, connection: PoolProxiedConnection) -> None:
        """`connection` has no transaction. It stays at hand, unless somebody waits for one or it broke."""
        if self._waiting or not connection.is_valid:
            connection.close()
            return
        now = time.monotonic()
        if now > connection.info.setdefault(KEPT_UNTIL, now + _KEPT_SECONDS):
            del connection.info[KEPT_UNTIL]
            connection.close()
        else:
            self._kept.append(connection)

    def usage(self) -> Connections:
        """What it holds at this moment."""
        kept = len(self._kept)
        return Connections(self.checkedout() - kept, self.checkedin() + kept, self._waiting, self.size())

    def dispose(self) -> None:
        while self._kept:
            self._kept.pop().close()
        super().dispose()

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
