"""How many calls a second the emulators of Meta's Graph API and of Gemini carry.

    python -m tests.bench.emulators [--long]

Each emulator is an `inbox emulator` in a process of its own, driven over loopback by one process with aiohttp, with a
fixed number of connections that each send the next call when the last one is answered. Delays that imitate the
vendors, and statuses after a send, are switched off: what is left is the cost of the emulator. Webhooks are messages
of customers that the emulator signs and delivers in batches to a callback server in the measuring process; an event
counts when it has arrived for the first time. The floor is an aiohttp server that reads the body and answers a
constant, under the load of the sends; `ratio` is sends divided by floor. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import aiohttp
import click
from aiohttp import web

_ROOT: Final = Path(__file__).parents[2]
_READY_WITHIN: Final = 30.0
_ANSWER_WITHIN: Final = 10.0
_WARM_UP: Final = 0.5
_CONNECTIONS: Final = 32
_BATCH: Final = 500  # messages of customers in one call of the control API
_IN_FLIGHT: Final = 4_000  # events that may wait for delivery
_CUSTOMERS: Final = 1_000
_NUMBER_ID: Final = "900555000111222"
_TOKEN: Final = "EMULATOR-TOKEN"
_GEMINI_KEY: Final = "emulator-key"
_MODEL: Final = "gemini-3.5-flash-lite"
_QUIET: Final = {"latency": [0, 0], "auto_statuses": False, "check_window": False}

Call: TypeAlias = Callable[[int], Awaitable[None]]


class Load(NamedTuple):
    """Answered calls a second, and how long the median call and the slowest hundredth took, in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="30 s for each of the four figures instead of 5")
    parser.add_argument("--floor-server", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.floor_server:
        asyncio.run(_serve_floor())
        return
    click.echo(json.dumps(asyncio.run(_measured(30.0 if arguments.long else 5.0))))


async def _measured(seconds: float) -> dict[str, float]:
    callback = _Callback()
    async with callback.running() as callback_url:
        with _emulator(callback_url) as graph, _emulator(callback_url) as gemini, _floor() as floor:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=_ANSWER_WITHIN),
            ) as session:
                await _prepare(session, graph["graph"])
                floor_load = await _loaded("floor", _send(session, floor), seconds)
                sends = await _loaded("sends", _send(session, graph["graph"]), seconds)
                answers = await _loaded("gemini", _generate(session, gemini["gemini"]), seconds)
                events = await _delivered(session, graph["graph"], callback, seconds)
    return {
        "sends_per_s": round(sends.per_s, 1),
        "webhook_events_per_s": round(events, 1),
        "gemini_per_s": round(answers.per_s, 1),
        "floor_per_s": round(floor_load.per_s, 1),
        "ratio": round(sends.per_s / floor_load.per_s, 3),
        "seconds": seconds,
    }


# --- load -------------------------------------------------------------------------------------------------------------


async def _loaded(name: str, call: Call, seconds: float) -> Load:
    """`call` over and over on every connection, after a short warm-up."""
    await _run(call, _WARM_UP)
    begun = time.perf_counter()
    took = await _run(call, seconds)
    per_s = len(took) / (time.perf_counter() - begun)
    hundredths = statistics.quantiles(took, n=100)
    load = Load(per_s=per_s, p50_ms=1000 * hundredths[49], p99_ms=1000 * hundredths[98])
    click.echo(f"{name}: {load.per_s:.0f}/s, p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms", err=True)
    return load


async def _run(call: Call, seconds: float) -> list[float]:
    """Seconds of each call. Any failure ends the measurement."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def connection(number: int) -> None:
        begun = time.perf_counter()
        while begun < end:
            await call(number)
            now = time.perf_counter()
            took.append(now - begun)
            begun = now

    async with asyncio.TaskGroup() as group:
        for number in range(_CONNECTIONS):
            group.create_task(connection(number))
    return took


def _send(session: aiohttp.ClientSession, base: str) -> Call:
    url, headers = f"{base}/v24.0/{_NUMBER_ID}/messages", {"Authorization": f"Bearer {_TOKEN}"}

    async def call(number: int) -> None:
        message = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": _customer(number),
            "type": "text",
            "text": {"body": "Your bicycle is ready."},
        }
        answer = await _post(session, url, message, headers)
        if not answer["messages"][0]["id"]:
            raise SystemExit(f"a send was answered without an id: {answer}")

    return call


def _generate(session: aiohttp.ClientSession, base: str) -> Call:
    url, headers = f"{base}/v1beta/models/{_MODEL}:generateContent", {"x-goog-api-key": _GEMINI_KEY}
    body = {"contents": [{"role": "user", "parts": [{"text": "What does a service cost?"}]}]}

    async def call(_: int) -> None:
        answer = await _post(session, url, body, headers)
        if answer["candidates"][0]["finishReason"] != "STOP":
            raise SystemExit(f"Gemini did not answer: {answer}")

    return call


async def _delivered(session: aiohttp.ClientSession, base: str, callback: "_Callback", seconds: float) -> float:
    """Events a second from the first message of a customer to the arrival of the last one."""
    begun, written = time.perf_counter(), 0
    async with asyncio.timeout(seconds + _READY_WITHIN):
        while time.perf_counter() - begun < seconds:
            await callback.arrived(written + _BATCH - _IN_FLIGHT)
            batch = [
                {"phone_number_id": _NUMBER_ID, "from": _customer(written + place), "text": "Are you open tomorrow?"}
                for place in range(_BATCH)
            ]
            await _post(session, f"{base}/_emu/inbound/batch", batch, {})
            written += _BATCH
        await callback.arrived(written)
    per_s = written / (time.perf_counter() - begun)
    click.echo(f"webhooks: {per_s:.0f} events/s in {callback.deliveries} deliveries", err=True)
    return per_s


async def _prepare(session: aiohttp.ClientSession, base: str) -> None:
    waba = {"name": "Bench", "numbers": [{"phone": "15550100001", "id": _NUMBER_ID}]}
    await _post(session, f"{base}/_emu/wabas", waba, {})
    async with session.patch(f"{base}/_emu/behaviour", json=_QUIET) as response:
        response.raise_for_status()


async def _post(session: aiohttp.ClientSession, url: str, body: object, headers: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    async with session.post(url, json=body, headers=headers) as response:
        if response.status not in (200, 201):
            raise SystemExit(f"{url} answered {response.status}: {await response.text()}")
        return await response.json()


def _customer(number: int) -> str:
    return str(15550200000 + number % _CUSTOMERS)


# --- servers ----------------------------------------------------------------------------------------------------------


class _Callback:
    """Counts the events that arrive, each id once."""

    def __init__(self) -> None:
        self.deliveries = 0
        self._seen: set[str] = set()
        self._change = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with _serving(self._receive) as port:
            yield f"http://127.0.0.1:{port}/webhook/whatsapp"

    async def arrived(self, events: int) -> None:
        """Returns when so many have arrived."""
        while len(self._seen) < events:
            self._change.clear()
            await self._change.wait()

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        body = json.loads(await request.read())
        self.deliveries += 1
        for entry in body["entry"]:
            for change in entry["changes"]:
                self._seen.update(message["id"] for message in change["value"]["messages"])
        self._change.set()
        return web.Response()


@asynccontextmanager
async def _serving(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """A bare server on a free port of loopback."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _serve_floor() -> None:
    """Reads the body, answers what a send answers; until SIGTERM."""
    answer = {"messaging_product": "whatsapp", "contacts": [], "messages": [{"id": "wamid.FLOOR"}]}
    content = json.dumps(answer).encode()

    async def constant(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=content, content_type="application/json")

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with _serving(constant) as port:
        click.echo(f"floor=http://127.0.0.1:{port}")
        await told.wait()


@contextmanager
def _emulator(callback_url: str) -> Iterator[dict[str, str]]:
    """The URLs of an `inbox emulator` on free ports, by the words `graph` and `gemini`."""
    command = ["-m", "inbox", "emulator", "--callback-url", callback_url, "--access-token", _TOKEN]
    command += ["--gemini-key", _GEMINI_KEY, "--graph-port", "0", "--gemini-port", "0", "--auth-port", "0"]
    with _process(command, lines=3) as text:
        yield {
            "graph": _found(r"INBOX_WHATSAPP_GRAPH_URL=(\S+)", text),
            "gemini": _found(r"INBOX_GEMINI_URL=(\S+)", text),
        }


@contextmanager
def _floor() -> Iterator[str]:
    with _process(["-m", "tests.bench.emulators", "--floor-server"], lines=1) as text:
        yield _found(r"floor=(\S+)", text)


@contextmanager
def _process(arguments: list[str], *, lines: int) -> Iterator[str]:
    """The first lines that a Python process prints: then it listens. Stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="inbox-bench-") as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, *arguments]
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            give_up = threading.Timer(_READY_WITHIN, process.kill)
            give_up.start()
            try:
                text = "".join(process.stdout.readline() for _ in range(lines)) if process.stdout else ""
                give_up.cancel()
                yield text
            finally:
                give_up.cancel()
                process.send_signal(signal.SIGTERM)
                process.wait(_READY_WITHIN)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"a server did not start: {text!r}")
    return match[1]


if __name__ == "__main__":
    main()
