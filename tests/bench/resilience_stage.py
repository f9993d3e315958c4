"""What the bench stands on, each a process: PostgreSQL, Redis if there is one, the emulators, the service, the load."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import msgspec

from inbox.main import embedded
from inbox.main.runtime import new_encryption_key
from inbox.main.settings import variables
from redis_server import RedisServer, find_program, running_redis

from .resilience_plan import Plan, Seen, World
from .resilience_seed import seeded

TOKEN: Final = "EMULATOR-TOKEN"
DATABASE: Final = "bench"
_READY_WITHIN: Final = 40.0
_ENDS_WITHIN: Final = 90.0
_CALM: Final = {
    "latency": [0.03, 0.06],
    "sent_delay": [0.05, 0.2],
    "delivered_delay": [0.1, 0.3],
    "read_delay": [0.2, 0.5],
    "check_window": False,
    "retry_delays": [1, 2, 2],
}
"""A quick WhatsApp that delivers again soon."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that runs. `redis` is None where there is no server or the service has no setting for it."""

    server: embedded.Server
    redis: RedisServer | None
    emulator: subprocess.Popen[str]
    service: subprocess.Popen[bytes]
    url: str
    graph: str
    gemini: str
    identity: str
    secret: str
    world: World
    people: list[UUID]
    log: Path

    def tokens(self, *, each: int = 1) -> list[str]:
        """Fresh access tokens of the people, as the identity provider signs them."""
        answers = (
            httpx.post(f"{self.identity}/_emu/tokens", json={"user_id": str(person)}).raise_for_status().json()
            for _ in range(each)
            for person in self.people
        )
        return [answer["access_token"] for answer in answers]

    def postgres_pids(self) -> list[int]:
        """The postmaster first: while it stands still nothing new is forked."""
        first = int((self.server.data_dir / "postmaster.pid").read_text().partition("\n")[0])
        return [first, *(pid for pid in _working_in(self.server.data_dir) if pid != first)]

    def ask(self, statement: str) -> list[str]:
        return self.server.query(statement, database=DATABASE, seconds=60).splitlines()


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Everything stands while the block runs. Blocking."""
    secret = os.urandom(16).hex()
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        redis = _redis(stack)
        server = stack.enter_context(embedded.start(folder / "postgres"))
        emulator, urls = stack.enter_context(_emulators(folder, url, secret))
        server.query(f"create database {DATABASE}")
        environment = _environment(folder, urls, secret, port) | {"INBOX_DATABASE_URL": server.url_for(DATABASE)}
        if redis is not None:
            environment |= {_redis_setting(): redis.url}
        graph = urls["INBOX_WHATSAPP_GRAPH_URL"]
        httpx.patch(f"{graph}/_emu/behaviour", json=_CALM).raise_for_status()
        world, people = seeded(server, environment, graph=graph, identity=urls["INBOX_SUPABASE_URL"], token=TOKEN)
        log = folder / "service.log"
        yield Stage(
            server=server,
            redis=redis,
            emulator=emulator,
            service=stack.enter_context(_service(folder, environment, url, log)),
            url=url,
            graph=graph,
            gemini=urls["INBOX_GEMINI_URL"],
            identity=urls["INBOX_SUPABASE_URL"],
            secret=secret,
            world=world,
            people=people,
            log=log,
        )


class Load:
    """The generator at work."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def end(self) -> Seen:
        """Stops offering, waits until what was offered is settled, and gives what was seen."""
        output, _ = self._process.communicate(timeout=_ENDS_WITHIN)
        return msgspec.json.decode(output, type=Seen)


@contextmanager
def loaded(plan: Plan) -> Iterator[Load]:
    """A load while the block runs; `Load.end` gives what it saw."""
    command = [sys.executable, "-m", "bench.resilience_load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_inherited()) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(plan) + b"\n")
            process.stdin.flush()
            yield Load(process)
        finally:
            process.kill()


def _environment(folder: Path, urls: Mapping[str, str], secret: str, port: int) -> dict[str, str]:
    return {
        **_inherited(),
        "HOME": str(folder),
        "INBOX_DATA_DIR": str(folder / "data"),
        "INBOX_HTTP_PORT": str(port),
        "INBOX_ENCRYPTION_KEYS": new_encryption_key(),
        "INBOX_WHATSAPP_APP_SECRET": secret,
        "INBOX_BOT_QUIET_SECONDS": "0.2",
        "INBOX_SUPABASE_MODE": "introspection",
        "INBOX_SUPABASE_KEY": "sb_publishable_emulator",
        **urls,
    }


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def _redis(stack: ExitStack) -> RedisServer | None:
    program = find_program()
    if program is None or not _redis_setting():
        return None
    return stack.enter_context(running_redis(program))


def _redis_setting() -> str:
    """The variable that points the service at Redis; empty if this version has none."""
    return next((name for name in variables() if "REDIS" in name and name.endswith("URL")), "")


@contextmanager
def _emulators(folder: Path, url: str, secret: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-m", "inbox", "emulator", "--app-secret", secret, "--access-token", TOKEN]
    command += ["--callback-url", f"{url}/webhook/whatsapp", "--graph-port", "0", "--gemini-port", "0"]
    with (
        (folder / "emulator.log").open("wb") as log,
        subprocess.Popen(
            [*command, "--auth-port", "0"],
            cwd=folder,
            env=_inherited() | {"HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        give_up = threading.Timer(_READY_WITHIN, process.kill)
        give_up.start()
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(3))
            give_up.cancel()
            urls = dict(re.findall(r"(INBOX_[A-Z_]+)=(\S+)", said))
            if "INBOX_SUPABASE_URL" not in urls:
                raise SystemExit(f"the emulators did not start: {(folder / 'emulator.log').read_text()[-2000:]}")
            yield process, urls
        finally:
            give_up.cancel()
            process.terminate()


@contextmanager
def _service(folder: Path, environment: Mapping[str, str], url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`inbox serve`, ready. What it says is in `log`."""
    command = [sys.executable, "-m", "inbox", "serve"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(f"{url}/health/ready", process, log)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _READY_WITHIN
    while True:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > give_up:
            raise SystemExit(f"inbox serve did not become ready: {log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _working_in(folder: Path) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                yield int(entry.name)
        except OSError:
            continue  # it ended, or it is somebody else's


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
