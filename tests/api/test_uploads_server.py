"""Uploads under the server that production runs: what is not taken yet is not read, and who is silent is told so."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Request, post
from litestar.exceptions import HTTPException

from inbox.entrypoints.http.uploads import pieces_of
from inbox.kit.form_reading import one_file
from inbox.main.listening import answering
from main.command import free_port

MB = 1024 * 1024
BLOCK = bytes(256 * 1024)
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
HEADERS = {"content-type": "multipart/form-data; boundary=x"}


class Taken:
    """What the route has seen of the file, and of how large pieces it came."""

    def __init__(self) -> None:
        self.bytes = 0
        self.largest = 0
        self.may_go_on = asyncio.Event()


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def client(taken: Taken) -> AsyncIterator[httpx.AsyncClient]:
    @post("/file", status_code=200)
    async def take(request: Request) -> int:
        file = await one_file("x", pieces_of(request, seconds=60, idle=0.5), field="file")
        async for piece in file.chunks:
            taken.bytes += len(piece)
            taken.largest = max(taken.largest, len(piece))
            await taken.may_go_on.wait()
        return taken.bytes

    app = Litestar([take], request_max_body_size=None, openapi_config=None, logging_config=None)
    port = free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.create_task(server.serve())
    try:
        await answering("127.0.0.1", port, task)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.stop()
        await task


async def test_sixty_megabytes_come_in_pieces_and_only_as_fast_as_they_are_taken(client, taken):
    sent = 0

    async def form() -> AsyncIterator[bytes]:
        nonlocal sent
        yield HEAD
        for _ in range(240):
            sent += len(BLOCK)
            yield BLOCK
        yield b"\r\n--x--\r\n"

    posting = asyncio.create_task(client.post("/file", content=form(), headers=HEADERS))
    before = -1
    async with asyncio.timeout(30):
        while sent != before or not taken.bytes:
            before = sent
            await _some_rounds()
    assert sent < 30 * MB
    taken.may_go_on.set()
    answer = await posting
    assert (answer.status_code, answer.json()) == (200, 240 * len(BLOCK))
    assert taken.largest <= MB


async def _some_rounds() -> None:
    """Longer than the server needs to pass on what waits."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.3
    while loop.time() < until:
        await loop.run_in_executor(None, lambda: None)


async def test_a_client_that_falls_silent_in_the_middle_is_408(client, taken):
    taken.may_go_on.set()
    lines = (
        "POST /file HTTP/1.1",
        "host: inbox",
        f"content-type: {HEADERS['content-type']}",
        "content-length: 1000000",
    )
    request = "".join(f"{line}\r\n" for line in (*lines, ""))
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(request.encode() + HEAD + b"%PDF")
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


class Slow:
    """A request whose body never comes, or comes and then ends in the middle."""

    def __init__(self, *pieces: bytes, waits: bool) -> None:
        self._pieces, self._waits = pieces, waits

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._waits:
            await asyncio.Event().wait()


@pytest.mark.parametrize(("seconds", "idle"), [(30.0, 0.01), (0.01, 30.0)])
async def test_a_body_that_does_not_come_is_408(seconds, idle):
    with pytest.raises(HTTPException) as caught:
        async for _ in pieces_of(Slow(b"a", waits=True), seconds=seconds, idle=idle):  # type: ignore[arg-type]
            pass
    assert caught.value.status_code == 408
