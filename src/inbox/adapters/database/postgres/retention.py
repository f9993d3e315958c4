"""Old rows go in small steps: each is one short statement of its own that passes by rows in use, so nobody waits."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.adapters.database.postgres.reading import AnyRow
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable
from inbox.ports.deliveries import DISCARDED, Removed, Sweep

LOOKED_AT: Final = 5_000
"""Deliveries that one step looks at."""
_KEY: Final = 0x57_41_49_53_57_45_45_50
"""Of the advisory lock: a number of ours that no other program is likely to use."""

_TRY: Final = text("select pg_try_advisory_lock(:key)").bindparams(key=_KEY)
_LEAVE: Final = text("select pg_advisory_unlock(:key)").bindparams(key=_KEY)

# Those with items that nobody has decided about stay. So a step looks at a stretch, and the next one begins behind it
# once all that can go from it has gone: however many stay, no statement is long.
_DELIVERIES: Final = text(f"""
with looked as materialized (
  select id, done_at, reason from deliveries
  where state = 'done' and (done_at, id) > (:done_at, :id) and done_at < now() - cast(:age as interval)
  order by done_at, id limit :look
), undecided as materialized (
  select q.delivery_id from looked l join quarantined_items q on q.delivery_id = l.id
), old as (
  select d.id from looked l join deliveries d on d.id = l.id
  where (l.reason = '{DISCARDED}' or l.id not in (select delivery_id from undecided))
    and d.state = 'done' and d.done_at = l.done_at -- still, when it is locked: it may have been opened again
  limit :limit for update of d skip locked
), removed as (
  delete from deliveries using old where deliveries.id = old.id returning 1
), last as (
  select done_at, id from looked order by done_at desc, id desc limit 1
)
select (select count(*) from removed) as removed, (select count(*) from looked) as looked,
       (select done_at from last) as done_at, (select id from last) as id
""")  # noqa: S608 - a constant of ours


def _step(table: str, key: str, condition: str) -> TextClause:
    return text(f"""
      with old as (
        select {key} as key from {table} where {condition} limit :limit for update skip locked
      ), removed as (
        delete from {table} using old where {key} = old.key returning 1
      )
      select count(*) as removed from removed
    """)  # noqa: S608 - constants of ours


_OLDER: Final = "< now() - cast(:age as interval)"

# Who has not read what is removed here is told to begin anew: the floor rises with it.
_EVENTS: Final = text(f"""
with old as (
  select id from event_log where created_at {_OLDER} limit :limit for update skip locked
), removed as (
  delete from event_log using old where event_log.id = old.id returning event_log.id
), floor as (
  update event_log_state set floor = greatest(floor, (select max(id) from removed)) where exists (select from removed)
)
select count(*) as removed from removed
""")  # noqa: S608 - a constant of ours

_STEPS: Final = {
    Sweep.DISCARDED: _step(
        "deliveries",
        "deliveries.id",
        f"state in ('quarantined', 'unrouted') and reason = '{DISCARDED}' and done_at {_OLDER}",
    ),
    Sweep.PARKED_STATUSES: _step(
        "message_statuses", "message_statuses.id", f"message_id is null and received_at {_OLDER}"
    ),
    Sweep.IDEMPOTENCY_KEYS: _step("idempotency_keys", "idempotency_keys.ctid", f"created_at {_OLDER}"),
    Sweep.LOGIN_ATTEMPTS: _step("login_attempts", "login_attempts.ctid", f"window_start {_OLDER}"),
    Sweep.SESSIONS: _step("local_sessions", "local_sessions.id", f"not_after {_OLDER}"),
    Sweep.PROCESSES: _step("processes", "processes.id", f"seen_at {_OLDER}"),
    Sweep.MEDIA_FAILURES: _step("media_failures", "media_failures.ctid", f"at {_OLDER}"),
    Sweep.MEDIA_WORK: _step("lanes", "lanes.ctid", f"kind = 'media' and ver = done and due {_OLDER}"),
    Sweep.EVENTS: _EVENTS,
}


class PostgresRetention:
    """The lock belongs to a connection: with it the right ends, whatever becomes of the process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = autocommit(engine)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator["PostgresSweeper | None"]:
        with database_errors():
            async with self._engine.connect() as connection:
                if not (await connection.execute(_TRY)).scalar_one():
                    yield None
                    return
                try:
                    yield PostgresSweeper(connection)
                finally:
                    await _leave(connection)


async def _leave(connection: AsyncConnection) -> None:
    """Without an error of its own, which would take the place of a cancellation. A broken connection has no right.

    One that may still hold it does not go back to the pool, where it would hold it for good.
    """
    if connection.invalidated:
        return
    has_left = False
    try:
        with suppress(SQLAlchemyError, OSError):  # the second one for a TimeoutError, the driver's own limit
            await connection.execute(_LEAVE)
            has_left = True
    finally:
        if not has_left:
            await connection.invalidate()


class PostgresSweeper:
    """Of one sweep: it remembers which deliveries it has looked at."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._behind: dict[str, object] = {"done_at": datetime(1970, 1, 1, tzinfo=UTC), "id": 0}

    async def remove(self, what: Sweep, age: timedelta, limit: int) -> Removed:
        values = {"age": age, "limit": limit}
        if what is Sweep.DELIVERIES:
            return await self._deliveries(limit, {**values, **self._behind, "look": LOOKED_AT})
        row = await self._row(_STEPS[what], values)
        return Removed(row.removed, is_over=row.removed < limit)

    async def _deliveries(self, limit: int, values: Mapping[str, object]) -> Removed:
        row = await self._row(_DELIVERIES, values)
        if row.removed == limit:
            return Removed(row.removed, is_over=False)
        self._behind = {"done_at": row.done_at, "id": row.id}
        return Removed(row.removed, is_over=row.looked < LOOKED_AT)

    async def _row(self, statement: TextClause, values: Mapping[str, object]) -> AnyRow:
        try:
            with database_errors():
                return (await self._connection.execute(statement, values)).one()
        except DatabaseTimeout as error:
            if self._connection.invalidated:  # by the limit of the driver: the right went with it
                raise DatabaseUnavailable from error
            raise
