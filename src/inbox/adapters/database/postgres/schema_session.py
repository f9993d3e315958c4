"""A connection for work on the schema, alone in its database under an advisory lock."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import asyncpg
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from inbox.adapters.database.postgres.engine import sqlstate
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, SchemaRefused

T = TypeVar("T")

KEY: Final = 0x696E626F78
"""Of the advisory lock: "inbox" in ASCII. Advisory locks are per database."""

_TRY_EVERY: Final = 0.2
_CONNECT_WITHIN: Final = 10.0
_LOCK_NOT_AVAILABLE: Final = "55P03"
_INSUFFICIENT_PRIVILEGE: Final = "42501"
_OUTAGES: Final = ("08", "28", "3D", "53", "57")
"""Lost or refused connections, no such database, no resources, a server that stops."""

# `search_path`: everything of ours is in public, whatever the role prefers. `lock_timeout`: behind a table that is in
# use the migration gives up, instead of making all others queue up behind itself.
_SESSION: Final = text("""
    select set_config('application_name', 'inbox migrate', false), set_config('search_path', 'public', false),
           set_config('lock_timeout', '5s', false), set_config('statement_timeout', '15min', false),
           set_config('idle_in_transaction_session_timeout', '0', false)
""")


def run(url: str, work: Callable[[Connection], T], *, alone: bool, within: float) -> T:
    """The result of `work`, which gets a synchronous connection without open transaction.

    With `alone` it waits until no other process does the same in this database. `within` is the limit in seconds for
    everything. Must not be called on a running event loop. The URL must lead to one session: behind a transaction
    pooler the lock is worth nothing.
    Raises `DatabaseUnavailable`, `DatabaseTimeout`, and what `work` raises.
    """
    return asyncio.run(_run(_asyncpg(url), work, alone, within))


async def _run(url: URL, work: Callable[[Connection], T], alone: bool, within: float) -> T:  # noqa: FBT001
    # No statement cache: the types of columns change under it. No parameters in errors: some are tokens.
    options = {"timeout": _CONNECT_WITHIN, "statement_cache_size": 0, "prepared_statement_cache_size": 0}
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=options)
    try:
        async with asyncio.timeout(within), engine.connect() as connection:
            await connection.execute(_SESSION)
            await connection.commit()
            if alone:
                await _lock(connection)
            return await connection.run_sync(work)
    except TimeoutError as error:
        raise DatabaseTimeout(
            f"The database, or another process that migrates it, took over {within:.0f} s."
        ) from error
    except (OSError, DBAPIError, asyncpg.PostgresError) as error:
        known = _known(error)
        if known is None:
            raise
        raise known from error
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    """Take the lock by trying, never by waiting in the server.

    A session that waits there holds a snapshot; CREATE INDEX CONCURRENTLY of the one who has the lock waits for that
    snapshot, and PostgreSQL ends one of them as a deadlock.
    """
    while True:
        is_ours = await connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": KEY})
        await connection.commit()
        if is_ours:
            return
        await asyncio.sleep(_TRY_EVERY)


def _asyncpg(url: str) -> URL:
    """`url` for our driver. `sslmode`, which other clients write, is called `ssl` there."""
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except SQLAlchemyError:
        raise SchemaRefused("The database URL cannot be read; expected postgresql://user:password@host/name.") from None
    query = {("ssl" if name == "sslmode" else name): value for name, value in parsed.query.items()}
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def _known(error: OSError | DBAPIError | asyncpg.PostgresError) -> InboxError | None:
    """Failures of the day in words for the operator; any other one is a bug of a revision and stays as it is."""
    state = sqlstate(error) or ""
    if state == _LOCK_NOT_AVAILABLE:
        return DatabaseUnavailable(
            "A table that has to change is in use by another session. Stop the old service, or end that session "
            "(see pg_stat_activity), and run the migration again: it goes on where it stopped."
        )
    if state == _INSUFFICIENT_PRIVILEGE:
        return SchemaRefused(f"The role of the database URL may not do this: {_message(error)}.")
    if isinstance(error, OSError) or state.startswith(_OUTAGES):
        return DatabaseUnavailable(f"The database cannot be used: {_message(error)}.")
    return None


def _message(error: OSError | DBAPIError | asyncpg.PostgresError) -> str:
    """What PostgreSQL or the system said, without the class names that SQLAlchemy puts in front."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return said.rpartition(">: ")[2] or type(error).__name__
