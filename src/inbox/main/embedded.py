"""A PostgreSQL of our own, for development, demo, tests and small installations.

    with start(default_data_dir(environ)) as server:
        connect(server.url)

Blocking: call it before the event loop runs, and `stop` after it. One server serves all processes that use the same
data directory. Each holds a shared lock while it uses the server, and the last one out stops it. The kernel drops the
lock of a process that is killed; the server it leaves behind is attached to, and in the end stopped, by the next one.

The server listens on a unix socket only. Its directory has mode 0700, which is the whole protection (`trust`).
"""

import fcntl
import os
import pwd
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from inbox.main.embedded_binaries import EmbeddedPostgresError, find_binaries
from inbox.main.embedded_cluster import POLL_SECONDS, PORT, READY_SECONDS, Cluster

__all__ = ["EmbeddedPostgresError", "Server", "attach", "default_data_dir", "find_binaries", "locked", "start"]

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_DURABLE = MappingProxyType({"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"})
_OPTION = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_GATE_SECONDS = 90.0


def default_data_dir(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """Where the data of this user's server lives: the user's data folder of the platform (XDG base directories)."""
    home = environ.get("HOME") or _home_of_user()
    if platform == "darwin":
        folder = Path(home, "Library", "Application Support")
    else:
        chosen = environ.get("XDG_DATA_HOME", "")
        # The XDG specification says to ignore relative paths.
        folder = Path(chosen) if chosen.startswith("/") else Path(home, ".local", "share")
    return folder / "whatsapp-inbox" / "postgres"


def start(
    data_dir: Path,
    *,
    durable: bool = True,
    options: Mapping[str, str] = _NO_OPTIONS,
    binaries: Path | None = None,
    use_namespace: bool = True,
) -> "Server":
    """Use the server of `data_dir`: attach when it runs, else start it, after making its files when there are none.

    `options` are PostgreSQL settings for a server that is started here. `durable` refuses every setting under which an
    answered commit could be lost. `use_namespace=False` makes root run it as `nobody` even where user namespaces work.
    Raises EmbeddedPostgresError; the message names the remedy.
    """
    settings = _checked_settings(options, durable=durable)
    with _in_words(data_dir):
        cluster = Cluster(data_dir.resolve(), binaries or find_binaries(), use_namespace)
        cluster.check_owner()
        cluster.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with locked(cluster.sibling("lock"), seconds=_GATE_SECONDS):
            cluster.make_socket_dir()
            return _use(cluster, lambda: _bring_up(cluster, settings), durable=durable)


def attach(data_dir: Path, *, binaries: Path | None = None) -> "Server | None":
    """Use the server of `data_dir` if it runs; otherwise None, and nothing is started or made."""
    with _in_words(data_dir):
        cluster = Cluster(data_dir.resolve(), binaries or find_binaries())
        if not cluster.is_ready():
            return None
        with locked(cluster.sibling("lock"), seconds=_GATE_SECONDS):
            return _use(cluster, lambda: False, durable=False) if cluster.is_ready() else None


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the exclusive flock of `path`. Raises EmbeddedPostgresError after `seconds`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Another process has held {path} for {seconds:.0f} s. Find it with `fuser {path}`, end it, and "
                    "start again."
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Server:
    """A running server in use by this process.

    `owned` says that this process started it, `version` is like `18.6`.
    """

    owned: bool
    version: str
    _cluster: Cluster
    _usage: ExitStack = field(repr=False)
    _is_used: bool = True

    @property
    def data_dir(self) -> Path:
        return self._cluster.data_dir

    @property
    def url(self) -> str:
        """For SQLAlchemy with asyncpg, to the database `postgres`."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        # The port is said because asyncpg would otherwise take PGPORT from the environment.
        socket_dir = quote(str(self._cluster.socket_dir))
        return f"postgresql+asyncpg://postgres@/{quote(database, safe='')}?host={socket_dir}&port={PORT}"

    def query(self, statement: str, *, database: str = "postgres", seconds: float = 30.0) -> str:
        """The answer to one statement, columns separated by `|`. Raises EmbeddedPostgresError when it is refused."""
        return self._cluster.query(statement, database, seconds)

    def stop(self) -> bool:
        """End this process's use. True when nobody else used the server, so that it was stopped."""
        if not self._is_used:
            return False
        self._is_used = False
        gate = locked(self._cluster.sibling("lock"), seconds=_GATE_SECONDS)
        with self._usage, _in_words(self.data_dir), gate:
            self._usage.close()
            descriptor = os.open(self._cluster.sibling("users"), os.O_RDWR)
            try:
                is_last = _try_lock(descriptor)
            finally:
                os.close(descriptor)
            if is_last:
                self._cluster.halt()
            return is_last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _use(cluster: Cluster, bring_up: Callable[[], bool], *, durable: bool) -> Server:
    with ExitStack() as usage:
        users = os.open(cluster.sibling("users"), os.O_RDWR | os.O_CREAT, 0o600)
        usage.callback(os.close, users)
        # Taken exclusively only behind the gate, which the caller holds, so this never waits.
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        owned = False
        try:
            owned = bring_up()
            version = _version(cluster, durable=durable)
        except EmbeddedPostgresError:
            # Nothing that was started or made here stays behind; a server of others does.
            if owned or cluster.postmaster() is None:
                cluster.halt()
            raise
        return Server(owned, version, cluster, usage.pop_all())


def _version(cluster: Cluster, *, durable: bool) -> str:
    names = ("server_version", *_DURABLE)
    statement = "select " + ", ".join(f"current_setting('{name}')" for name in names)
    version, *found = cluster.query(statement, "postgres", 30.0).split("|")
    lax = [f"{name}={value}" for name, value in zip(_DURABLE, found, strict=True) if value != "on"]
    if durable and lax:
        raise EmbeddedPostgresError(
            f"The server on {cluster.data_dir} runs with {', '.join(lax)} and could lose what was answered. Stop "
            "the processes that use it, remove the setting, and start again."
        )
    return version.split()[0]


def _bring_up(cluster: Cluster, settings: Mapping[str, str]) -> bool:
    """True when the server was started here, False when it ran already."""
    deadline = time.monotonic() + READY_SECONDS
    while not cluster.is_ready():
        pid = cluster.postmaster()
        if pid is None:
            cluster.launch(settings)
            return True
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {pid}) holds {cluster.data_dir} but does not answer on {cluster.socket_dir}. End "
                f"it with `kill {pid}` and start again."
            )
        time.sleep(POLL_SECONDS)
    return False


def _checked_settings(options: Mapping[str, str], *, durable: bool) -> Mapping[str, str]:
    for name, value in options.items():
        if not _OPTION.fullmatch(name):
            raise EmbeddedPostgresError(f"{name!r} is not the name of a PostgreSQL setting.")
        if durable and value != _DURABLE.get(name, value):
            raise EmbeddedPostgresError(
                f"{name}={value} could lose what was answered. Leave it out, or start with durable=False in tests."
            )
    return {**options, **_DURABLE} if durable else options


@contextmanager
def _in_words(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL cannot use {data_dir}: {error}. Choose another data directory, or set "
            "INBOX_DATABASE_URL to a server of your own."
        ) from error


def _home_of_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"The user with uid {os.geteuid()} has no home. Set HOME, or set INBOX_DATABASE_URL to a server of your "
            "own."
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
