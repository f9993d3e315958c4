"""One PostgreSQL server for a whole test run, as a pytest plugin.

Load it from tests/conftest.py with `pytest_plugins = ["postgres_server"]`. The server is started by the first test
that asks for the fixture `postgres`, lies on a memory file system where there is one, and gives up durability for
speed. With xdist all workers share it. The process that started the run removes it all at the end, also after a worker
that crashed; what a killed run left behind is removed by the next run.

A migrated database for each worker, and one for a single test:

    @pytest.fixture(scope="session")
    def database_url(postgres: Server, worker_id: str) -> Iterator[str]:
        name = f"inbox_{worker_id}"
        create_database(postgres, name, template=template(postgres, migrate))
        yield postgres.url_for(name)
        drop_database(postgres, name)

`migrate` takes a URL, is called once per run whatever the number of workers, and closes its connections before it
returns (`NullPool`): PostgreSQL copies no database that somebody is connected to.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from inbox.main.embedded import Server, attach, locked, start

_ROOT = pytest.StashKey[Path]()
_RUN_LOCK = pytest.StashKey[int]()
_PREFIX = f"inbox-tests-{os.geteuid()}-"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FAST = MappingProxyType({"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
_YOUNG_SECONDS = 60.0


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The server of this run. What it answered may be lost in a crash: crash tests start a server of their own."""
    with start(pytestconfig.stash[_ROOT] / "data", durable=False, options=_FAST) as server:
        yield server


def create_database(server: Server, name: str, template: str | None = None) -> str:
    """Make a database, as a copy of `template` if one is named, and give its URL."""
    copied = f" template {_checked(template)}" if template else ""
    server.query(f"create database {_checked(name)}{copied}")
    return server.url_for(name)


def drop_database(server: Server, name: str) -> None:
    """Drop a database, with the connections that are still open to it."""
    server.query(f"drop database if exists {_checked(name)} with (force)")


def template(server: Server, migrate: Callable[[str], None], name: str = "inbox_template") -> str:
    """The name of a database that `migrate` has filled. Made once per run; the other workers wait for it.

    Nobody can connect to it afterwards: it is only there to be copied.
    """
    with locked(server.data_dir.with_name(f"{_checked(name)}.lock"), seconds=110):
        # Closed to connections only after `migrate` came back, so a half-made one is made again.
        if server.query(f"select datallowconn from pg_database where datname = '{name}'") != "f":  # noqa: S608 - checked
            drop_database(server, name)
            migrate(create_database(server, name))
            server.query(f"alter database {name} with allow_connections false")
    return name


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[_ROOT] = Path(given["postgres_root"])
        return
    _remove_what_killed_runs_left(_memory_folder())
    root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory_folder()))
    lock = os.open(root, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    config.stash[_ROOT] = root
    config.stash[_RUN_LOCK] = lock


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 - xdist names no type for it
    node.workerinput["postgres_root"] = str(node.config.stash[_ROOT])


def pytest_unconfigure(config: pytest.Config) -> None:
    lock = config.stash.get(_RUN_LOCK, None)
    if lock is not None:
        _remove(config.stash[_ROOT])
        os.close(lock)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain database name")
    return name


def _memory_folder() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 - the folder made below it has mode 0700
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


def _remove_what_killed_runs_left(folder: Path) -> None:
    for root in folder.glob(f"{_PREFIX}*"):
        try:
            # A run that is just being set up has its folder before its lock.
            is_young = time.time() - root.stat().st_mtime < _YOUNG_SECONDS
            lock = os.open(root, os.O_RDONLY)
        except FileNotFoundError:
            continue  # The run that it belonged to ended just now.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_young:
                _remove(root)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _remove(root: Path) -> None:
    server = attach(root / "data")
    if server is not None:
        server.stop()
    shutil.rmtree(root)
