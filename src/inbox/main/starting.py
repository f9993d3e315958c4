"""From the environment to a running service: what the commands `serve`, `worker` and `migrate` share."""

import asyncio
import gc
import logging
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
import rich_click as click

from inbox.kit import telemetry
from inbox.kit.resilience import configure_retry_hooks
from inbox.main.failures import env_file
from inbox.main.runtime import Runtime, forgeable, prepared
from inbox.main.settings import Settings, SettingsError, from_environment
from inbox.main.stopping import leave_orderly_on_sigterm

T = TypeVar("T")

_COLLECT_AFTER: Final = 10_000
"""Objects that came and did not go again (Python's own: 700, 3.5 % of the time of a busy web side)."""


@contextmanager
def prepared_here(settings: Settings | None = None) -> Iterator[Runtime]:
    """The runtime of this environment; says so if an embedded database is used."""
    settings = settings or from_environment(env_file())
    configure_process(settings)
    with prepared(settings) as runtime:
        if runtime.embedded_version is not None:
            click.echo(
                f"inbox: embedded PostgreSQL {runtime.embedded_version}, data in {runtime.data_dir / 'postgres'} "
                "(set INBOX_DATABASE_URL for a server of your own)",
                err=True,
            )
        yield runtime


def configure_process(settings: Settings) -> None:
    """Signals, logs and retry hooks, once per process."""
    leave_orderly_on_sigterm()
    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    telemetry.configure(settings.log.level.upper(), json=as_json, colours=sys.stderr.isatty())
    if settings.log.level != "debug":
        logging.getLogger("alembic").setLevel(logging.WARNING)  # `migrate` tells each step itself
    configure_retry_hooks()


def start(*, web: bool, worker: bool, host: str | None = None, port: int | None = None) -> None:
    """Runs the service until it is told to stop."""
    settings = _listening_at(from_environment(env_file()), host, port)
    if web and (reason := forgeable(settings)) is not None:
        raise SettingsError(reason)
    with prepared_here(settings) as runtime:
        from inbox.main import serve  # noqa: PLC0415 - after the first line of output

        serve.bring_schema_up(runtime)
        address = f"http://{settings.http.host}:{settings.http.port}"
        ready = f"inbox: serving on {address}" if web else "inbox: the worker is running"
        run_loop(serve.run(runtime, web=web, worker=worker, started=lambda: _started(ready)))


def _started(line: str) -> None:
    """Everything that lives as long as the process is made: the garbage collector need not look at it again.

    Each full collection would walk through it while nobody is answered (measured: 115 ms every 2 s under load). Nor
    need it look after every few requests, since hardly anything of ours is a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    click.echo(line, err=True)


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Asyncio on uvloop where there is one."""
    factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - not on Windows

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _listening_at(settings: Settings, host: str | None, port: int | None) -> Settings:
    http = msgspec.structs.replace(settings.http, host=host or settings.http.host, port=port or settings.http.port)
    return msgspec.structs.replace(settings, http=http)
