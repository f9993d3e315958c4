"""A peer that speaks just enough HTTP/1.1 over a raw socket to misbehave on purpose."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

from inbox.kit.http import ApiClient, Limits, Timeouts

Behaviour: TypeAlias = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
StartPeer: TypeAlias = Callable[[Behaviour], Awaitable["Peer"]]
Transport: TypeAlias = Literal["aiohttp", "httpx"]

PATIENT = Timeouts(connect=15.0, read=15.0, write=15.0, pool=20.0)
"""No pause of the machine is as long. Who waits until one of them is over names a shorter one."""


class StartClient(Protocol):
    def __call__(self, url: str, timeouts: Timeouts = PATIENT, limits: Limits | None = None) -> ApiClient: ...


class Peer:
    """Counts what it gets: connections, whole requests, and bytes for each connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._writers: list[asyncio.StreamWriter] = []
        self.url = ""
        self.requests: list[bytes] = []
        self.received: list[int] = []
        self.hung_up = asyncio.Event()  # a client closed its side
        self.asked = asyncio.Event()  # a whole request is here

    @property
    def connections(self) -> int:
        return len(self.received)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.received.append(0)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._behaviour(self, reader, writer)
        self.hung_up.set()
        writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one whole request and return it; IncompleteReadError when the client closes first."""
        raw = b""
        place = len(self.received) - 1
        while b"\r\n\r\n" not in raw:
            raw += await self._more(reader, place)
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            while not body.endswith(b"0\r\n\r\n"):
                body += await self._more(reader, place)
        else:
            lines = [line.split(b":") for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            while len(body) < (int(lines[0][1]) if lines else 0):
                body += await self._more(reader, place)
        self.requests.append(head + b"\r\n\r\n" + body)
        self.asked.set()
        return self.requests[-1]

    async def _more(self, reader: asyncio.StreamReader, place: int) -> bytes:
        if not (data := await reader.read(65536)):
            raise asyncio.IncompleteReadError(b"", None)
        self.received[place] += len(data)
        return data

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Trace: a\r\nSet-Cookie: tenant=1; Path=/\r\n\r\nok"


async def answers(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await peer.request(reader)
        writer.write(OK)
