"""The way to PostgreSQL: pools with limits, and one place where the driver's failures get our names."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
import msgspec
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from inbox.adapters.database.postgres.constraints import constraint_error
from inbox.adapters.database.postgres.pool import Pool
from inbox.domain.errors import (
    CommitUnknown,
    DatabaseNotDurable,
    DatabaseTimeout,
    DatabaseUnavailable,
    InboxError,
    Unstorable,
)

T = TypeVar("T")
Timed: TypeAlias = Callable[[str, float], None]

_RECYCLE_SECONDS: Final = 30 * 60
_COLLISIONS: Final = frozenset({"40001", "40P01"})
_TIMEOUTS: Final = frozenset({"57014", "55P03", "25P03", "25P04"})
_OUTAGES: Final = ("08", "25006", "28", "3D", "53", "57", "58", "XX", "40")
"""Lost or refused connections, a standby, no resources, a stopping or broken server, collisions of transactions."""
_TOO_LARGE_FOR_AN_INDEX: Final = "54000"
_DRIVER: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError, AsyncAdapt_asyncpg_dbapi.Error)
"""What the driver says of a connection that broke; the second one when it broke between two messages of a protocol.

The third one is what SQLAlchemy makes of a connection that could not be made.
"""
_TRIES: Final = 3
_FAILED: Final = "inbox_statement_failed"
_BEGUN: Final = "inbox_statement_begun"
_DURABLE: Final = frozenset({"on", "remote_apply", "remote_write"})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that PostgreSQL is given. Those without `connect` and `acquire` are enforced by the server."""

    connect: float = 3.0
    acquire: float = 2.0
    statement: float = 5.0
    lock: float = 2.0
    idle_in_transaction: float = 10.0


def intake_limits(within: float = 3.0) -> Limits:
    """Those with which a webhook is answered `within` so many seconds, whatever happens."""
    return Limits(
        connect=within / 3, acquire=within / 6, statement=within / 2, lock=within / 3, idle_in_transaction=within
    )


INTAKE: Final = intake_limits()


def create_engine(
    url: str,
    *,
    pool_size: int = 4,
    limits: Limits | None = None,
    application_name: str = "inbox",
    timed: Timed | None = None,
) -> AsyncEngine:
    """A pool of at most `pool_size` connections; whoever finds none free waits for `limits.acquire`.

    JSON columns are read as text, for typed decoding, and written as text. `url` is any usual `postgresql://` address;
    a transaction pooler (PgBouncer, Supavisor on port 6543) cannot be used: it refuses the limits and loses statements.
    `timed` gets each statement, without its values, and the seconds it took, also if it failed.
    """
    limits = limits or Limits()
    address, tls = _address(url)
    engine = create_async_engine(
        address,
        poolclass=Pool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=limits.acquire,
        # The connection that was used last has its plans and its part of the caches at hand.
        pool_use_lifo=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=str,
        connect_args={
            **tls,
            "timeout": limits.connect,
            # The net for a server that does not answer at all; the server's own limit comes first.
            "command_timeout": limits.statement + 1.0,
            "server_settings": {
                "application_name": application_name,
                "jit": "off",
                "timezone": "UTC",
                "statement_timeout": _milliseconds(limits.statement),
                "lock_timeout": _milliseconds(limits.lock),
                "idle_in_transaction_session_timeout": _milliseconds(limits.idle_in_transaction),
            },
        },
    )
    event.listen(engine.sync_engine, "handle_error", _remember_failure)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    if timed is not None:
        _time(engine, timed)
    return engine


def _time(engine: AsyncEngine, timed: Timed) -> None:
    def begins(connection: Connection, *_: object) -> None:
        connection.info[_BEGUN] = time.perf_counter()

    def ended(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        timed(statement, time.perf_counter() - connection.info.pop(_BEGUN))

    def failed(context: ExceptionContext) -> None:
        connection = context.connection
        if context.statement is None or connection is None or connection.invalidated:
            return
        if (begun := connection.info.pop(_BEGUN, None)) is not None:
            timed(context.statement, time.perf_counter() - begun)

    event.listen(engine.sync_engine, "before_cursor_execute", begins)
    event.listen(engine.sync_engine, "after_cursor_execute", ended)
    event.listen(engine.sync_engine, "handle_error", failed)


def has_failed(connection: AsyncConnection) -> bool:
    """True if a statement failed since `forget_failure`: PostgreSQL would answer COMMIT with a silent roll-back."""
    return connection.sync_connection is not None and _FAILED in connection.sync_connection.info


def forget_failure(connection: AsyncConnection) -> None:
    """To be called when a transaction begins: the connection may have served others before."""
    if connection.sync_connection is not None:
        connection.sync_connection.info.pop(_FAILED, None)


def _refuse_closed(connection: Any, *_: object) -> None:  # noqa: ANN401 - the dialect names no type
    """After a restart of the server: the driver has seen the end of the connection, so nobody has to fail on it."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _remember_failure(context: ExceptionContext) -> None:
    if context.connection is not None and not context.connection.invalidated:
        context.connection.info[_FAILED] = True


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """A view of the same pool where each statement is a transaction of its own: two round trips less."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def database_errors(*, committing: bool = False) -> Iterator[None]:
    """Gives the driver's failures inside the block our names. What is no failure of the database passes unchanged."""
    try:
        yield
    except (SQLAlchemyError, asyncpg.PostgresError, *_DRIVER, OSError) as error:
        known = translated(error, committing=committing)
        if known is None:
            raise
        raise known from error


def translated(error: BaseException, *, committing: bool = False) -> InboxError | None:
    """Our error for a failure of the driver, None for what is a bug of ours.

    With `committing` a lost connection, or silence, means that nobody knows what became of the transaction.
    """
    state = sqlstate(error)
    if state is None:
        return _without_answer(error, committing=committing)
    if isinstance(error, DBAPIError) and (rule := constraint_error(error)):
        return rule
    if state in _TIMEOUTS:
        return DatabaseTimeout()
    if state.startswith(("22", "23")) or state == _TOO_LARGE_FOR_AN_INDEX:
        return Unstorable()
    if state.startswith(_OUTAGES):
        lost = committing and state.startswith(("08", "57P"))
        return CommitUnknown() if lost else DatabaseUnavailable()
    return None


def _without_answer(error: BaseException, *, committing: bool) -> InboxError | None:
    if isinstance(error, PoolTimeout):
        return DatabaseTimeout()
    if isinstance(error, TimeoutError):
        return CommitUnknown() if committing else DatabaseTimeout()
    # The second one is what SQLAlchemy says when the very first connection dies while it asks for the version.
    is_lost = isinstance(error, (OSError, *_DRIVER)) or (
        isinstance(error, ResourceClosedError) and "Connection is closed" in str(error)
    )
    if is_lost or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return CommitUnknown() if committing else DatabaseUnavailable()
    return None


def sqlstate(error: BaseException | None) -> str | None:
    """The five characters by which PostgreSQL names a failure."""
    source = error.orig if isinstance(error, DBAPIError) else error
    return getattr(source, "sqlstate", None)


async def repeated(action: Callable[[], Awaitable[T]]) -> T:
    """Runs `action`, and again if it collided with another transaction (deadlock, serialization): 3 times in all.

    Only for actions that begin and end their own transaction.
    """
    for attempt in range(1, _TRIES):
        try:
            return await action()
        except DatabaseUnavailable as error:
            if sqlstate(error.__cause__) not in _COLLISIONS:
                raise
            await asyncio.sleep(random.uniform(0.005, 0.02) * attempt)  # noqa: S311 - jitter, not a secret
    return await action()


_DURABILITY: Final = text("""
select name, setting from pg_settings where name in ('synchronous_commit', 'fsync', 'full_page_writes') order by name
""")


async def check_durability(engine: AsyncEngine, *, allow_unsafe: bool = False) -> None:
    """Raises `DatabaseNotDurable` if an answered commit could be lost. `allow_unsafe` is for tests alone.

    It also makes the first connection, while nobody can be cancelled: SQLAlchemy loses a cancellation in the middle of
    the questions that it asks a server only once, and who was to end goes on.
    """
    with database_errors():
        async with autocommit(engine).connect() as connection:
            found = {row.name: row.setting for row in (await connection.execute(_DURABILITY)).all()}
    unsafe = [f"{name} = {found[name]}" for name in ("fsync", "full_page_writes") if found[name] != "on"]
    if found["synchronous_commit"] not in _DURABLE:
        unsafe.append(f"synchronous_commit = {found['synchronous_commit']}")
    if unsafe and not allow_unsafe:
        raise DatabaseNotDurable(f"The server may lose committed data: {', '.join(unsafe)}. Set them to on.")


def _address(url: str) -> tuple[URL, Mapping[str, Any]]:
    """The address for the driver, and what it wants beside it: libpq's `sslmode` is an argument there."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    mode = parsed.query.get("sslmode")
    return parsed.difference_update_query(["sslmode"]), {"ssl": mode} if mode else {}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
