"""How soon `inbox serve` answers on an existing embedded database, and what it holds in memory when nobody calls.

    python -m tests.bench.idle [--long]

Each start is a fresh process with the database server stopped before, as after a reboot; the time runs from the start
of the process to the first 200 of `/health/ready`. Memory is the resident set of the service's process, and the
proportional set size (shared pages divided among those who share them) of PostgreSQL's processes together. The last
line is one JSON object. Linux only: it reads /proc.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

_READY_WITHIN = 60.0
_LOOK_EVERY = 0.01
_MEGABYTE = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="15 starts and a minute of rest instead of 5 and 10 s")
    is_long = parser.parse_args().long
    with tempfile.TemporaryDirectory(prefix="inbox-bench-") as folder:
        environment = _environment(Path(folder))
        with _serving(environment):
            click.echo("the database is made", err=True)
        found = _measured(environment, starts=15 if is_long else 5, rest=60.0 if is_long else 10.0)
    click.echo(json.dumps(found))


def _measured(environment: dict[str, str], *, starts: int, rest: float) -> dict[str, object]:
    took: list[float] = []
    memory = (0.0, 0.0)
    for number in range(1, starts + 1):
        with _serving(environment) as (process, seconds):
            took.append(seconds)
            click.echo(f"start {number}: ready after {seconds:.2f} s", err=True)
            if number == starts:
                time.sleep(rest)
                memory = _resident(process.pid), _postgres(Path(environment["INBOX_DATA_DIR"]) / "postgres")
    return {
        "ready_s": round(statistics.median(took), 3),
        "ready_s_all": [round(seconds, 3) for seconds in took],
        "rss_mb": round(memory[0], 1),
        "postgres_rss_mb": round(memory[1], 1),
        "starts": starts,
        "rest_s": rest,
    }


def _environment(folder: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "INBOX_DATA_DIR": str(folder / "data"),
        "INBOX_HTTP_PORT": str(port),
        "INBOX_WHATSAPP_APP_SECRET": "bench",
        "INBOX_LOG_LEVEL": "warning",
    }


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The service, ready, and the seconds that this took. Stopped at the end, with its database."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "inbox", "serve"]
    with subprocess.Popen(command, env=environment, cwd=environment["HOME"], stderr=subprocess.DEVNULL) as process:
        try:
            while not _is_ready(int(environment["INBOX_HTTP_PORT"])):
                if process.poll() is not None or time.monotonic() - begun > _READY_WITHIN:
                    raise SystemExit("inbox serve did not become ready")
                time.sleep(_LOOK_EVERY)
            yield process, time.monotonic() - begun
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _resident(pid: int) -> float:
    """Megabytes (proc_pid_statm(5))."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


def _postgres(data_dir: Path) -> float:
    """Megabytes of all processes of the server in `data_dir`."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == data_dir:
                rollup = (entry / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It ended, or it is somebody else's.
    return total / 1024


if __name__ == "__main__":
    main()
