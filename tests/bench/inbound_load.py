"""The load generator: a process of its own, light enough to leave the machine to what is measured.

    python -m bench.inbound_load < plan.json > seen.json

Every request is built and signed before it says `ready`; it starts at the next line on standard input. HTTP/1.1 over
kept connections, the first URL and the second one in turn, as a proxy would. With a rate requests start at fixed times
whether earlier ones were answered or not, and a latency counts from the time at which its request was due; without one
each connection sends the next request when the last one is answered.
"""

import asyncio
import re
import sys
import time
from collections import deque
from typing import Any, Final

import msgspec
import uvloop

from .inbound_bodies import Plan, bodies, signature

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK: Final = b"200"
_SETTLES_WITHIN: Final = 20.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send where: `rate` in events a second, 0 for as many as `connections` carry."""

    ports: list[int]
    secret: str
    plan: Plan
    connections: int
    seconds: float
    rate: float = 0.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of each answer, and what was answered with something else than 200."""

    took: list[float]
    events: int
    refused: dict[str, int]
    never: int
    seconds: float
    late: float


class _Request:
    __slots__ = ("content", "due", "events")

    def __init__(self, content: bytes, events: int) -> None:
        self.content = content
        self.events = events
        self.due = 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, generator: "_Generator") -> None:
        self._generator = generator
        self._received = b""
        self._request: _Request | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvloop's is no asyncio.Transport
        self._transport = transport

    def send(self, request: _Request) -> None:
        self._request = request
        self._transport.write(request.content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or self._request is None:
            return
        length = _LENGTH.search(self._received, 0, head)
        if length is None or len(self._received) >= head + 4 + int(length[1]):
            status, request = self._received[9:12], self._request
            self._received, self._request = b"", None
            self._generator.answered(self, request, status)

    def connection_lost(self, _: Exception | None) -> None:
        self._generator.lost()


class _Generator:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._requests = deque(_built(order))
        self._free: deque[_Connection] = deque()
        self._waiting: deque[_Request] = deque()
        self._took: list[float] = []
        self._events = 0
        self._refused: dict[str, int] = {}
        self._open = 0
        self._end = 0.0
        self._last = 0.0
        self._late = 0.0
        self._answered = asyncio.Event()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self._order.connections):
            port = self._order.ports[number % len(self._order.ports)]
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(connection)

    async def run(self) -> Seen:
        begun = time.perf_counter()
        self._end = begun + self._order.seconds
        if self._order.rate:
            await self._steadily(begun)
        else:
            while self._free:
                self._next(self._free.popleft())
        give_up = self._end + _SETTLES_WITHIN
        while self._open and time.perf_counter() < give_up:
            self._answered.clear()
            try:
                await asyncio.wait_for(self._answered.wait(), 1.0)
            except TimeoutError:
                continue
        return Seen(
            took=self._took,
            events=self._events,
            refused=self._refused,
            never=self._open,
            seconds=self._last - begun,
            late=self._late,
        )

    async def _steadily(self, begun: float) -> None:
        due = begun
        while self._requests and due < self._end:
            now = time.perf_counter()
            if due > now:
                await asyncio.sleep(due - now)
                now = time.perf_counter()
            self._late = max(self._late, now - due)
            # Whatever is due by now; a tick of the clock may hold several.
            while self._requests and due <= now:
                request = self._requests.popleft()
                request.due = due
                due += request.events / self._order.rate
                self._open += 1
                if self._free:
                    self._free.popleft().send(request)
                else:
                    self._waiting.append(request)

    def _next(self, connection: _Connection) -> None:
        now = time.perf_counter()
        if now < self._end and self._requests:
            request = self._requests.popleft()
            request.due = now
            self._open += 1
            connection.send(request)

    def answered(self, connection: _Connection, request: _Request, status: bytes) -> None:
        self._last = time.perf_counter()
        self._took.append(self._last - request.due)
        self._open -= 1
        self._answered.set()
        if status == _OK:
            self._events += request.events
        else:
            word = status.decode(errors="replace")
            self._refused[word] = self._refused.get(word, 0) + 1
        if not self._order.rate:
            self._next(connection)
        elif self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self) -> None:
        """Whatever it carried is never answered, and counts as that."""
        self._refused["lost"] = self._refused.get("lost", 0) + 1


def _built(order: Order) -> list[_Request]:
    requests = []
    for body in bodies(order.plan):
        head = (
            f"POST /webhook/whatsapp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"user-agent: facebookexternalua\r\nx-hub-signature-256: {signature(order.secret, body.content)}\r\n"
            f"content-length: {len(body.content)}\r\n\r\n"
        )
        requests.append(_Request(head.encode() + body.content, body.events))
    return requests


async def _play(order: Order) -> Seen:
    generator = _Generator(order)
    await generator.connect()
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    return await generator.run()


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(_play(order))
    sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")


if __name__ == "__main__":
    main()
