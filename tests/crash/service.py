"""One `inbox serve` or `inbox worker`, as a process of its own that may die at any moment."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from warm import Child, Warm

STARTS_WITHIN: Final = 20.0
LOOK_EVERY: Final = 0.02


class Service:
    """Leads a process group, so that nothing else is hit by what is sent to it."""

    def __init__(self, child: Child, url: str, log: Path) -> None:
        self._child = child
        self._url = url
        self._log = log
        self._end = asyncio.create_task(self._wait())

    @classmethod
    async def start(
        cls,
        warm: Warm,
        command: Sequence[str],
        environment: Mapping[str, str],
        url: str,
        log: Path,
        *,
        module: str = "inbox",
    ) -> "Service":
        """`inbox`, or another `module`, with the words of `command`.

        Returns at once; what it prints goes to the end of `log`.
        """
        child = await asyncio.to_thread(_begun, warm, module, command, environment, log)
        return cls(child, url, log)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.returncode is None

    async def ready(self, client: httpx.AsyncClient) -> float:
        """Waits until it serves; returns after how many seconds."""
        began = time.monotonic()
        async with asyncio.timeout(STARTS_WITHIN):
            while self.is_running:
                try:
                    if (await client.get(f"{self._url}/health/ready")).is_success:
                        return time.monotonic() - began
                except httpx.TransportError:
                    pass
                await asyncio.sleep(LOOK_EVERY)
        raise AssertionError(f"it ended with {self._child.returncode}: {self.said()}")

    async def ended(self) -> int:
        """Its exit code; minus the number of the signal that killed it."""
        return await asyncio.shield(self._end)

    async def kill(self) -> None:
        """SIGKILL to it and to everything it started in its group."""
        if self.is_running:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        await self.ended()

    def go_on(self) -> None:
        """For a process that stands still."""
        self._send(signal.SIGCONT)

    async def terminate(self) -> tuple[int, float]:
        """SIGTERM; its exit code and how many seconds it took."""
        began = time.monotonic()
        self._send(signal.SIGTERM)
        return await self.ended(), time.monotonic() - began

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def _wait(self) -> int:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._child.socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._child.socket)
        return self._child.wait()

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _begun(warm: Warm, module: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        streams = nothing.fileno(), output.fileno(), output.fileno()
        return warm.begin(module, command, environment=environment, cwd=log.parent, streams=streams)
