"""One PostgreSQL data directory: made, started, asked and stopped with PostgreSQL's own programs.

Nothing here guards against a second process that does the same; `embedded` does.
"""

import hashlib
import os
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from inbox.main.embedded_binaries import Account, EmbeddedPostgresError, choose_account, major_of, nobody, run

PORT = "5432"  # Only names the socket; nothing listens on TCP.
READY_SECONDS = 30
POLL_SECONDS = 0.02

_SETTINGS = MappingProxyType(
    {
        "listen_addresses": "",
        "timezone": "UTC",
        # Statements and values may hold what customers wrote, so the log has the server's own events only.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
)
_LOG_LIMIT = 10_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory and the programs to run on it."""

    data_dir: Path
    binaries: Path
    use_namespace: bool = True

    @property
    def socket_dir(self) -> Path:
        # A socket's path has at most 107 bytes (unix(7)), so it cannot lie in the data directory. Always /tmp: TMPDIR
        # and XDG_RUNTIME_DIR differ between two processes of one user, which would then not find each other.
        return Path("/tmp") / f"inbox-pg-{hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]}"  # noqa: S108

    def check_owner(self) -> None:
        """Say in words what initdb would fail on: data, or a folder for it, that belongs to somebody else."""
        nearest = self.data_dir
        while not nearest.exists():
            nearest = nearest.parent
        owner, me = nearest.stat().st_uid, os.geteuid()
        if owner == me or (nearest == self.data_dir and me == 0 and owner == nobody()[0]):
            return
        # Inside a user namespace root cannot write below a folder of another user either.
        if me == 0 or nearest == self.data_dir or not os.access(nearest, os.W_OK | os.X_OK):
            raise EmbeddedPostgresError(
                f"{nearest} belongs to uid {owner}, but this process is uid {me} and cannot keep PostgreSQL's data in "
                f"{self.data_dir}. Run as the owner, choose another data directory, or set INBOX_DATABASE_URL."
            )

    def make_socket_dir(self) -> None:
        """Make it, or make sure that the one that is there is ours alone: /tmp is open to everybody."""
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{self.socket_dir} is not a private folder of this user, so PostgreSQL's socket would not be safe in "
                "it. Remove it, or choose another data directory."
            )

    def sibling(self, suffix: str) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.{suffix}")

    def is_ready(self) -> bool:
        if not (self.socket_dir / f".s.PGSQL.{PORT}").exists():
            return False
        return run(self._client("pg_isready", "-q", "-t", "3", "-d", "postgres"), seconds=20).returncode == 0

    def query(self, statement: str, database: str, seconds: float) -> str:
        command = self._client(
            "psql", *shlex.split("-X -A -t -q -w -v ON_ERROR_STOP=1"), "-d", database, "-c", statement
        )
        answer = run(command, seconds=seconds)
        if answer.returncode != 0:
            raise EmbeddedPostgresError(f"PostgreSQL refused a statement: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def postmaster(self) -> int | None:
        """The pid of the living server process of this data directory."""
        pid_file = self.data_dir / "postmaster.pid"
        first = pid_file.read_text().partition("\n")[0].strip() if pid_file.exists() else ""
        return int(first) if first.isdigit() and _is_living_server(int(first), self.data_dir) else None

    def launch(self, options: Mapping[str, str]) -> None:
        owner = self.data_dir.stat().st_uid if self.data_dir.exists() else None
        account, version = choose_account(self.binaries, data_owner=owner, use_namespace=self.use_namespace)
        if not self.data_dir.exists() or not any(self.data_dir.iterdir()):
            self._initialize(account)
        self._check_version(version)
        self._remove_leftovers()
        _give(self.data_dir, account)
        log = self.data_dir / "server.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(self.data_dir / "server.log.1")
        settings = {**_SETTINGS, **options, "unix_socket_directories": str(self.socket_dir), "port": PORT}
        words = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        start = (self.binaries / "pg_ctl", "start", "-w", "-t", str(READY_SECONDS), "-l", log.name, "-o", words)
        answer = run(
            (*account.prefix, *start),
            seconds=READY_SECONDS + 15,
            # pg_ctl builds a shell command from -D and -l; a quote or a dollar sign in the path would break it.
            folder=self.data_dir,
            environment={"PGDATA": str(self.data_dir)},
        )
        if answer.returncode != 0:
            said = " / ".join((_last_lines(log) or answer.stderr.splitlines())[-5:])
            raise EmbeddedPostgresError(
                f"PostgreSQL did not start on {self.data_dir}: {said}. All of it is in {log}; or set "
                "INBOX_DATABASE_URL to a server of your own."
            )

    def halt(self) -> None:
        if self.postmaster() is not None:
            owner = self.data_dir.stat().st_uid
            account, _ = choose_account(self.binaries, data_owner=owner, use_namespace=self.use_namespace)
            stop = (self.binaries / "pg_ctl", "stop", "-D", self.data_dir, "-m", "fast", "-w", "-t", "30")
            answer = run((*account.prefix, *stop), seconds=45)
            if answer.returncode != 0:
                raise EmbeddedPostgresError(
                    f"PostgreSQL on {self.data_dir} did not stop: {answer.stderr.strip()}. The next start attaches "
                    "to it."
                )
        if self.socket_dir.exists():
            shutil.rmtree(self.socket_dir)

    def _client(self, program: str, *arguments: str) -> tuple[str | Path, ...]:
        return (self.binaries / program, "-h", self.socket_dir, "-p", PORT, "-U", "postgres", *arguments)

    def _initialize(self, account: Account) -> None:
        # Beside its place and moved there when whole, so that a kill in the middle leaves nothing that looks like data.
        # A folder that is there already may be a mount point, which cannot be replaced.
        target = self.data_dir if self.data_dir.exists() else self.sibling("new")
        if target != self.data_dir and target.exists():
            shutil.rmtree(target)
        target.mkdir(mode=0o700, exist_ok=True)
        os.chown(target, account.uid, account.gid)
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        words = shlex.split(f"-U postgres -E UTF8 --locale={locale} --auth=trust -N")
        answer = run((*account.prefix, self.binaries / "initdb", "-D", target, *words), seconds=120)
        if answer.returncode != 0:
            said = " / ".join(answer.stderr.strip().splitlines()[-5:])
            raise EmbeddedPostgresError(
                f"initdb failed for {self.data_dir}: {said}. Choose another data directory, or set INBOX_DATABASE_URL "
                "to a server of your own."
            )
        if target != self.data_dir:
            target.rename(self.data_dir)

    def _check_version(self, version: str) -> None:
        version_file = self.data_dir / "PG_VERSION"
        if not version_file.exists():
            raise EmbeddedPostgresError(
                f"{self.data_dir} has files in it that are no PostgreSQL data. Name an empty or a new folder."
            )
        found = version_file.read_text().strip()
        if major_of(found) != major_of(version):
            raise EmbeddedPostgresError(
                f"The data in {self.data_dir} was written by PostgreSQL {found}, but {self.binaries} is {version}. "
                f"Move it with pg_upgrade, or dump it with the programs of {found} (pg_dumpall) and restore it into a "
                "new data directory, or set INBOX_DATABASE_URL to a server of your own."
            )

    def _remove_leftovers(self) -> None:
        """Make way after a kill -9.

        PostgreSQL itself clears what a dead pid left, but takes a zombie, or a stranger that got the pid, for the old
        server. A process of the old server that still works is found here, and once more by PostgreSQL through the
        shared memory segment, whose key is made from the data directory.
        """
        deadline = time.monotonic() + READY_SECONDS
        while pids := _server_processes(self.data_dir):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Processes of a server that died still use {self.data_dir}. End them with: kill -9 "
                    + " ".join(map(str, pids))
                )
            time.sleep(POLL_SECONDS)
        socket = self.socket_dir / f".s.PGSQL.{PORT}"
        for leftover in (self.data_dir / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
            leftover.unlink(missing_ok=True)


def _give(folder: Path, account: Account) -> None:
    """Hand existing data to the account that runs the server now. Only root ever has another one to give it to."""
    if folder.stat().st_uid == account.uid:
        return
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(Path(parent, name), account.uid, account.gid, follow_symlinks=False)


def _last_lines(log: Path) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(-min(4096, log.stat().st_size), os.SEEK_END)
        return file.read().decode(errors="replace").splitlines()


def _server_processes(data_dir: Path) -> list[int]:
    """The living PostgreSQL processes whose working directory is `data_dir`. Empty where there is no /proc."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if _is_postgres(pid) and _works_in(pid, data_dir) is True]


def _is_living_server(pid: int, data_dir: Path) -> bool:
    if not Path("/proc/self/stat").exists():
        return _exists(pid)
    # A process that hides its working directory, as one with capabilities does inside a container, counts as ours.
    return _is_postgres(pid) and _works_in(pid, data_dir) is not False


def _is_postgres(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # "4711 (postgres) S 1 ...", proc_pid_stat(5); Z is a zombie, X is dead.
    name, _, rest = line.partition("(")[2].rpartition(")")
    return name == "postgres" and rest.split()[0] not in {"Z", "X"}


def _works_in(pid: int, data_dir: Path) -> bool | None:
    """None when the system does not tell."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data_dir
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
