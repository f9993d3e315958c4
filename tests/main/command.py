"""The command `inbox` as a process of its own, in an environment with nothing of ours but what a test sets."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from warm import Warm

INBOX = (sys.executable, "-m", "inbox")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A user whose home is `home`, and these variables."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONWARNINGS": "error", "COLUMNS": "100", **settings}


def inbox(
    *arguments: str, home: Path, cwd: Path | None = None, stdin: str = "", warm: Warm | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in `cwd` or at home; `warm` starts it sooner."""
    if warm is not None:
        return _quickly(warm, arguments, cwd or home, environment(home, **settings), stdin)
    return subprocess.run(
        [*INBOX, *arguments],
        cwd=cwd or home,
        env=environment(home, **settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def _quickly(
    warm: Warm, arguments: Sequence[str], cwd: Path, given: Mapping[str, str], stdin: str
) -> subprocess.CompletedProcess[str]:
    with ExitStack() as stack:
        streams = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
        told, out, err = streams
        told.write(stdin)
        told.seek(0)
        numbers = told.fileno(), out.fileno(), err.fileno()
        child = warm.begin("inbox", arguments, environment=given, cwd=cwd, streams=numbers)
        code = child.wait(90)
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess([*arguments], code, out.read(), err.read())


class Process(Protocol):
    """What is wanted of a process that stays."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class Running:
    """A command that stays. What it writes is read as it comes."""

    def __init__(self, process: Process, written: IO[str]) -> None:
        self.process = process
        self._written = written
        self.said: list[str] = []
        self._seen = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._written:
            with self._seen:
                self.said.append(line.rstrip("\n"))
                self._seen.notify_all()
        with self._seen:
            self.said.append("")
            self._seen.notify_all()

    def line(self, pattern: str, *, seconds: float = 40) -> re.Match[str]:
        """The first line with `pattern` in it, waited for."""

        def find() -> re.Match[str] | None:
            return next((found for line in self.said if (found := re.search(pattern, line))), None)

        with self._seen:
            self._seen.wait_for(lambda: find() or self.process.poll() is not None, timeout=seconds)
        found = find()
        assert found is not None, f"no {pattern!r} in:\n" + "\n".join(self.said)
        return found

    def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> int:
        """Sends the signal; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code


@contextmanager
def started(
    *arguments: str, home: Path, cwd: Path | None = None, warm: Warm | None = None, **settings: str
) -> Iterator[Running]:
    """A command while the block runs; killed at its end if it still runs. `warm` starts it sooner."""
    given = environment(home, PYTHONUNBUFFERED="1", **settings)
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    with os.fdopen(reading) as written:
        try:
            process: Process
            if warm is None:
                process = subprocess.Popen(
                    [*INBOX, *arguments], cwd=cwd or home, env=given, stdin=nothing, stdout=writing, stderr=writing
                )
            else:
                streams = nothing, writing, writing
                process = warm.begin("inbox", arguments, environment=given, cwd=cwd or home, streams=streams)
        finally:
            os.close(writing)
            os.close(nothing)
        try:
            yield Running(process, written)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of one request; None for an answer that is not JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, content, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    is_json = "json" in (answer.headers["content-type"] or "")
    return answer.status, json.loads(text) if is_json else None


def sign_in(port: int, email: str, password: str) -> tuple[int, Any]:
    return call(port, "POST", "/auth/v1/token?grant_type=password", {"email": email, "password": password})
