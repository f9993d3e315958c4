"""Single statements on the driver itself, each a transaction of its own: a fifth of what they cost through SQLAlchemy.

The connection is one of the engine's pool, and stays at hand there. Failures get the same names.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import PoolProxiedConnection, TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.pool import pool_of

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy publishes no types for it


class Record(asyncpg.Record):  # type: ignore[misc]  # asyncpg publishes no types
    """A row: a column is an attribute, or has a number."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the column holds
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def _asdict(self) -> dict[str, Any]:
        return dict(self)


class _Compiled(NamedTuple):
    """What the driver gets: `bound` are values that the statement brings along."""

    sql: str
    names: Sequence[str]
    bound: Mapping[str, Any]


class Direct:
    """Runs statements on connections of one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._compiled: dict[TextClause, _Compiled] = {}

    async def rows(
        self,
        statement: TextClause,
        values: Mapping[str, Any],
        *,
        committing: bool = False,
        within: float | None = None,
    ) -> Sequence[Record]:
        """What the statement returns. Raises as `database_errors` does; `committing` has the meaning that it has there.

        `within` are seconds for the statement, without the wait for a connection; None leaves it to the server's limit.

        A connection of which nobody knows how it stands, after an interruption for one, is not used again.
        """
        compiled = self._compiled.get(statement) or self._compile(statement)
        given = {**compiled.bound, **values}
        pool = pool_of(self._engine)  # the connection is one of this, even if the engine is disposed of meanwhile
        connection = pool.take_kept() or await self._connected()
        driver: Any = connection.driver_connection  # asyncpg's; it publishes no types
        try:
            self._tell("before_cursor_execute", connection, compiled.sql)
            with database_errors(committing=committing):
                async with asyncio.timeout(within):
                    found: Sequence[Record] = await driver.fetch(
                        compiled.sql, *[given[name] for name in compiled.names], record_class=Record
                    )
        except BaseException as error:
            self._tell("after_cursor_execute", connection, compiled.sql)
            if not isinstance(error.__cause__ or error, asyncpg.PostgresError):
                connection.invalidate()
            raise
        else:
            self._tell("after_cursor_execute", connection, compiled.sql)
            return found
        finally:
            pool.keep(connection)

    async def _connected(self) -> PoolProxiedConnection:
        with database_errors():
            return await self._engine.raw_connection()

    def _tell(self, event: str, connection: PoolProxiedConnection, sql: str) -> None:
        """Whoever listens to the statements of the engine hears of these as well."""
        told = (connection, None, sql, (), None, False)
        for listener in getattr(self._engine.sync_engine.dispatch, event):
            listener(*told)

    def _compile(self, statement: TextClause) -> _Compiled:
        made = statement.compile(dialect=_DIALECT)
        bound = {name: value for name, value in made.params.items() if value is not None}
        compiled = self._compiled[statement] = _Compiled(str(made), made.positiontup or (), bound)
        return compiled
