"""A running service: the web side, the worker, or both in one process; and how it stops.

Order of a stop: readiness off, no new claims, those who listen are told and go, calls on the wire are finished, the
server closes, then pools.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from dishka import AsyncContainer, Provider
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar

from inbox.domain.accounts import NewAccount
from inbox.domain.errors import PhoneNumberIdTaken
from inbox.domain.ids import AccountId, uuid7
from inbox.entrypoints.connections import ConnectionLimits, Connections
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.http.monitoring import Lifecycle
from inbox.entrypoints.keeper import Keeper
from inbox.entrypoints.knowledge_keeper import KnowledgeKeeper
from inbox.entrypoints.template_keeper import TemplateKeeper
from inbox.entrypoints.worker import Worker
from inbox.kit.recovery import Recovery
from inbox.kit.telemetry import Metrics
from inbox.main import migrating
from inbox.main.app import create_app, create_monitoring_app
from inbox.main.container import build
from inbox.main.listening import answering, free_address
from inbox.main.observing import observed
from inbox.main.runtime import Runtime, unseen
from inbox.main.settings import SettingsError
from inbox.main.stopping import stopped_by_signals
from inbox.ports.database import Database
from inbox.ports.monitoring import ProcessKind
from inbox.services.processes import Processes

_HEADER_MILLISECONDS: Final = 5_000
_BACKLOG: Final = 1024
_MOST_CONNECTIONS: Final = 8192
_DRAIN_SECONDS: Final = 22.0

_log = structlog.stdlib.get_logger("inbox.serve")


def bring_schema_up(runtime: Runtime) -> None:
    """An embedded database is migrated at once; a database of the operator's own only by `inbox migrate`."""
    if runtime.embedded_version is not None:
        done = migrating.upgrade(runtime.database_url, sealer=runtime.sealer)
        if done.steps:
            _log.info("migrated", revision=done.after, steps=len(done.steps))
        return
    current, head = migrating.current(runtime.database_url), migrating.head()
    if current != head:
        raise SettingsError(
            f"The database is at {current or 'no revision'}, this version needs {head}: run `inbox migrate`."
        )


async def run(
    runtime: Runtime,
    *overrides: Provider,
    web: bool,
    worker: bool,
    started: Callable[[], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, or until `stop` is set. `started` is called when requests are answered.

    A service whose worker died would take messages that nobody works on: it ends, with what the worker raised. So it
    does if a bug ends its server, or what tells the other processes of it.
    """
    stop = stop or stopped_by_signals()
    async with running(runtime, *overrides, web=web, worker=worker, ended=stop.set):
        started()
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def running(
    runtime: Runtime,
    *overrides: Provider,
    web: bool = True,
    worker: bool = True,
    ended: Callable[[], None] = lambda: None,
) -> AsyncIterator[AsyncContainer]:
    """The service while the block runs; leaving it drains, and raises what ended one of its tasks.

    `ended` is called at that moment.
    """
    container = build(runtime, *overrides)
    try:
        await _put_default_account(runtime, await container.get(Database))
        async with (
            observed(container),
            (await container.get(Recovery)).running(),
            (await container.get(Processes)).running(_kind(web=web, worker=worker), ended),
            _watchable(runtime, container, ended, web=web),
            _answering(runtime, container, ended, on=web),
            _working(container, ended, on=worker),
            _dismissing(container, web=web, worker=worker),
        ):
            yield container
    finally:
        await container.close()


def _kind(*, web: bool, worker: bool) -> ProcessKind:
    if web and worker:
        return ProcessKind.BOTH
    return ProcessKind.WEB if web else ProcessKind.WORKER


@asynccontextmanager
async def _working(container: AsyncContainer, ended: Callable[[], None], *, on: bool) -> AsyncIterator[None]:
    if not on:
        yield
        return
    worker = await container.get(Worker)
    task = asyncio.create_task(worker.run())
    task.add_done_callback(lambda _: ended())
    try:
        async with (
            (await container.get(Keeper)).running(),
            (await container.get(TemplateKeeper)).running(),
            (await container.get(KnowledgeKeeper)).running(),
        ):
            yield
    finally:
        worker.stop()
        async with asyncio.timeout(_DRAIN_SECONDS):
            await task


@asynccontextmanager
async def _dismissing(container: AsyncContainer, *, web: bool, worker: bool) -> AsyncIterator[None]:
    """At its end, first of all, everybody is told: while the worker finishes, those who listen find another process."""
    lifecycle = await container.get(Lifecycle)
    try:
        yield
    finally:
        lifecycle.is_stopping = True
        if worker:
            (await container.get(Worker)).stop()
        if web:
            connections = await container.get(Connections)
            (await container.get(Feed)).stop()
            connections.stop()
            if not await connections.over(connections.limits.go_within):
                _log.info("listeners_left_behind", connections=connections.count)


@asynccontextmanager
async def _answering(
    runtime: Runtime, container: AsyncContainer, ended: Callable[[], None], *, on: bool
) -> AsyncIterator[None]:
    """The whole API."""
    if not on:
        yield
        return
    if (reason := unseen(runtime.settings)) is not None:
        _log.info("metrics_not_served", reason=reason)
    app = create_app(runtime.settings, container, await container.get(Metrics))
    feed = await container.get(Feed)
    limits, http = await container.get(ConnectionLimits), runtime.settings.http
    async with feed.running(), _served(app, http.host, http.port, limits, ended):
        yield


@asynccontextmanager
async def _watchable(
    runtime: Runtime, container: AsyncContainer, ended: Callable[[], None], *, web: bool
) -> AsyncIterator[None]:
    """Health and metrics on a port of their own, if there is one."""
    settings = runtime.settings
    port = settings.metrics.port if web else settings.worker.port or settings.metrics.port
    if not port:
        yield
        return
    app = create_monitoring_app(settings, container, await container.get(Metrics))
    async with _served(app, settings.http.host, port, await container.get(ConnectionLimits), ended):
        yield


@asynccontextmanager
async def _served(
    app: Litestar, host: str, port: int, limits: ConnectionLimits, ended: Callable[[], None]
) -> AsyncIterator[None]:
    address = free_address(host, port)
    server = Server(
        app,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS),
        backlog=_BACKLOG,
        backpressure=_connections(),
        log_enabled=False,
    )
    task = asyncio.create_task(server.serve())
    task.add_done_callback(lambda _: ended())
    try:
        await answering(address, port, task)
        yield
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian publishes no types for it
        done, _ = await asyncio.wait((task,), timeout=limits.server_stops_within)
        if not done:
            _log.warning("server_still_busy", port=port)  # somebody reads nothing: the end of the process ends it
        for stopped in done:
            stopped.result()


def _connections() -> int:
    """How many may be open at once. The next one waits until one ends, even if all of them are idle.

    granian's own limit is 128: the kept connections of one proxy would lock everybody out, and webhooks would wait for
    ever (measured, 2.8.7). Half of the files that the process may open stay for the database and other services.
    """
    if sys.platform == "win32":
        return _MOST_CONNECTIONS
    import resource  # noqa: PLC0415 - not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, files // 2)


async def _put_default_account(runtime: Runtime, database: Database) -> None:
    """The account of installations that set one number in the environment; the environment wins."""
    settings = runtime.settings.whatsapp
    if not (settings.phone_id and settings.token and settings.verify_token):
        return
    new = NewAccount(
        name="Compte par défaut",
        slug="default-env-account",
        phone_number=settings.phone_number,
        phone_number_id=settings.phone_id,
        access_token=settings.token.reveal(),
        verify_token=settings.verify_token.reveal(),
        waba_id=settings.waba_id,
    )
    try:
        async with database.transaction() as tx:
            await tx.change_rights()
            await tx.accounts.put_default(AccountId(uuid7()), new)
    except PhoneNumberIdTaken:
        raise SettingsError(
            "INBOX_WHATSAPP_PHONE_ID names a number that another account has already: remove one of the two."
        ) from None
