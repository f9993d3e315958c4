"""One `inbox serve` or `inbox worker`, as a process of its own that may die at any moment."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import httpx

STARTS_WITHIN: Final = 20.0
LOOK_EVERY: Final = 0.02


class Service:
    """Leads a process group, so that nothing else is hit by what is sent to it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self._process = process
        self._url = url
        self._log = log

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], url: str, log: Path, *, module: str = "inbox"
    ) -> "Service":
        """`inbox`, or another `module`, with the words of `command`.

        Returns at once; what it prints goes to the end of `log`.
        """
        with _appending(log) as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", module, *command),
                cwd=log.parent,
                env=dict(environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, url, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def ready(self, client: httpx.AsyncClient) -> float:
        """Waits until it serves; returns after how many seconds."""
        began = time.monotonic()
        async with asyncio.timeout(STARTS_WITHIN):
            while self._process.returncode is None:
                try:
                    if (await client.get(f"{self._url}/health/ready")).is_success:
                        return time.monotonic() - began
                except httpx.TransportError:
                    pass
                await asyncio.sleep(LOOK_EVERY)
        raise AssertionError(f"it ended with {self._process.returncode}: {self.said()}")

    async def ended(self) -> int:
        """Its exit code; minus the number of the signal that killed it."""
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL to it and to everything it started in its group."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def go_on(self) -> None:
        """For a process that stands still."""
        self._process.send_signal(signal.SIGCONT)

    async def terminate(self) -> tuple[int, float]:
        """SIGTERM; its exit code and how many seconds it took."""
        began = time.monotonic()
        self._process.terminate()
        return await self._process.wait(), time.monotonic() - began

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _appending(log: Path) -> IO[bytes]:
    return log.open("ab")
