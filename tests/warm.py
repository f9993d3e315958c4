"""Processes that need not import the product first, which takes longer than most of what tests ask of them.

    with warmed() as warm:
        child = warm.begin("inbox", ["serve"], environment=..., cwd=..., streams=(0, 1, 2))

A process that has imported everything makes a copy of itself (fork) for each. The copy then does what
`python -m inbox serve` does: with an environment, a folder and standard streams of its own, and leads its own session.
Tests of how the command itself starts use none of this.
"""

import gc
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

PRODUCT: Final = ("inbox.main.cli", "inbox.main.starting", "inbox.main.serve", "inbox.main.emulators", "ledger.mutated")
"""What is imported. Beside the product: `ledger.mutated`, which is the product with a part exchanged."""
_ENDS_WITHIN: Final = 60.0
_SAID: Final = 65_536


class Child:
    """A process that was made. It has ended when there is something to read at `socket`."""

    def __init__(self, link: socket.socket) -> None:
        self.socket = link
        self._said = link.makefile("rb", buffering=0)
        self.pid = int(self._said.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the number of the signal that killed it; None while it runs."""
        with suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, waited for so many seconds. Raises `TimeoutError`."""
        if self.returncode is None:
            if not select.select([self.socket], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} still runs")
            self.returncode = int(self._said.readline())
            self._said.close()
            self.socket.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """If it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)


class Warm:
    """Makes processes."""

    def __init__(self, address: Path) -> None:
        self._address = address

    def begin(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        streams: tuple[int, int, int],
    ) -> Child:
        """Runs `module`. The descriptors of its standard streams stay open here as well."""
        wish = {"module": module, "arguments": list(arguments), "environment": dict(environment), "cwd": str(cwd)}
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(self._address))
            socket.send_fds(link, [json.dumps(wish).encode()], streams)
            link.shutdown(socket.SHUT_WR)
            return Child(link)
        except BaseException:
            link.close()
            raise


@contextmanager
def warmed() -> Iterator[Warm]:
    """Until the block ends. Processes that still run then are left alone."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    # Of a path in the folder of a test, which may be long, no address can be made.
    with tempfile.TemporaryDirectory(prefix="inbox-warm-") as folder:
        address = Path(folder, "socket")
        command = [sys.executable, __file__, str(address)]
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"warm\n", "what it wrote to standard error says why"
                yield Warm(address)
            finally:
                process.stdin.close()
                process.wait(_ENDS_WITHIN)


# --- the process that makes them --------------------------------------------------------------------------------------

Wish: TypeAlias = dict[str, Any]
"""What `begin` was called with, and where its caller listens."""


class _Maker:
    """Makes copies until standard input ends."""

    def __init__(self) -> None:
        self._links: dict[int, socket.socket] = {}

    def serve(self, address: str) -> Wish | None:
        """In a copy: what it is made for."""
        woken, waking = socket.socketpair()
        waking.setblocking(False)  # noqa: FBT003 - as it is called
        signal.set_wakeup_fd(waking.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with socket.socket(socket.AF_UNIX) as listener, woken, waking, selectors.DefaultSelector() as selector:
            listener.bind(address)
            listener.listen()
            for source in (listener, woken, sys.stdin):
                selector.register(source, selectors.EVENT_READ)
            print("warm", flush=True)  # noqa: T201 - whoever started us waits for it
            while True:
                sources = [key.fileobj for key, _ in selector.select()]
                if woken in sources:
                    woken.recv(_SAID)
                    self._tell()
                if listener in sources and (wish := self._copied(listener.accept()[0])):
                    return wish
                if sys.stdin in sources:
                    return None

    def _copied(self, link: socket.socket) -> Wish | None:
        """None here; the wish in the copy."""
        said, streams, _, _ = socket.recv_fds(link, _SAID, 3)
        while more := link.recv(_SAID):
            said += more
        assert threading.active_count() == 1, "a copy would have this thread only"
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for other in self._links.values():
                other.close()
            wish: Wish = json.loads(said)
            return wish | {"streams": streams, "link": link}
        for stream in streams:
            os.close(stream)
        self._links[pid] = link
        return None

    def _tell(self) -> None:
        """Those who wait learn which copies have ended."""
        while self._links:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._links.pop(pid) as link, suppress(OSError):
                link.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(wish: Wish) -> None:
    """What `python -m` would be now."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with wish["link"] as link:
        link.sendall(b"%d\n" % os.getpid())
    for number, stream in enumerate(wish["streams"]):
        os.dup2(stream, number)
        os.close(stream)
    is_direct = "PYTHONUNBUFFERED" in wish["environment"]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", buffering=1 if is_direct else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    if os.environ.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    sys.argv = [wish["module"], *wish["arguments"]]
    runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)


def _main() -> None:
    for module in PRODUCT:
        import_module(module)
    gc.freeze()  # a collection, which the end of a process is too, would copy all its memory
    wish = _Maker().serve(sys.argv[1])
    if wish is not None:
        _become(wish)


if __name__ == "__main__":
    _main()
