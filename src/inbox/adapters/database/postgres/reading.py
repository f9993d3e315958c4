"""How single statements read: autocommitted, each with a limit in time."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct, Record
from inbox.adapters.database.postgres.engine import database_errors
from inbox.ports.queries import Before

AnyRow: TypeAlias = Record | Row[*tuple[Any, ...]]

QUERY_SECONDS: Final = 5.0

_NEWEST: Final = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=0))
_NO_ID: Final = UUID(int=0)
"""Below every id: (time, id) < (t, _NO_ID) is time < t."""


class Reader:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._direct = Direct(engine)

    async def row(self, statement: TextClause, **values: Any) -> AnyRow | None:  # noqa: ANN401 - bound values
        """The first row."""
        rows = await self.rows(statement, **values)
        return rows[0] if rows else None

    async def rows(
        self,
        statement: TextClause,
        within: float = QUERY_SECONDS,
        /,
        **values: Any,  # noqa: ANN401 - bound values
    ) -> Sequence[AnyRow]:
        """`within` is the limit in seconds for all of it, the wait for a connection included."""
        with database_errors():
            async with asyncio.timeout(within):
                return await self._direct.rows(statement, values)


def position(before: Before | None) -> dict[str, datetime | UUID]:
    """The values `at` and `id` of a statement that pages by (time, id)."""
    at, row_id = before or _NEWEST
    return {"at": at, "id": row_id or _NO_ID}
