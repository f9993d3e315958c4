"""The media proxy under the server that production runs: only there is seen how a connection breaks or stalls."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, get
from litestar.types import ASGIApp

from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.upstream_errors import WhatsAppTimeout
from inbox.entrypoints.http.media import Passing
from inbox.main.listening import answering
from inbox.ports.views import MediaRow
from inbox.services.media import OpenMedia
from main.command import free_port

CHANNEL = Channel(account_id=AccountId(UUID(int=1)), phone_number_id="1", access_token="token")
ROW = MediaRow(
    account_id=None, conversation_id=None, message_type="video", media_id="7", mime_type=None, filename="film.mp4"
)
PIECE, PIECES = 65_536, 65_536
FILM = FakeFile(data=bytes(PIECE), times=PIECES, mime_type="video/mp4")
"""4 GiB: nobody comes to its end before a busy machine has noticed that a client left."""


@pytest.fixture
def source() -> FakeMediaSource:
    return FakeMediaSource()


@pytest.fixture
async def start(source) -> AsyncIterator[Callable]:
    async with AsyncExitStack() as stack:

        async def starting(client_seconds: float = 60.0) -> httpx.AsyncClient:
            return await stack.enter_async_context(_served(source, client_seconds))

        yield starting


@asynccontextmanager
async def _served(source: FakeMediaSource, client_seconds: float) -> AsyncIterator[httpx.AsyncClient]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[OpenMedia]:
        async with source.open(CHANNEL, "7", limit=sys.maxsize) as stream:
            yield OpenMedia(row=ROW, mime_type=stream.mime_type, size=stream.size, chunks=stream.chunks)

    @get("/file")
    async def file() -> ASGIApp:
        return Passing(opened(), MessageId(UUID(int=5)), client_seconds=client_seconds)

    app, port = Litestar([file], openapi_config=None, logging_config=None), free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.create_task(server.serve())
    try:
        await answering("127.0.0.1", port, task)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        server.stop()
        await task


async def closed(source: FakeMediaSource) -> None:
    async with asyncio.timeout(20):
        await source.closed.wait()


@pytest.mark.parametrize("is_sized", [True, False])
async def test_a_file_that_breaks_in_the_middle_breaks_the_connection(start, source, is_sized):
    source.files["7"] = FakeFile(
        data=bytes(100_000), mime_type="video/mp4", is_sized=is_sized, breaks=WhatsAppTimeout()
    )
    client = await start()
    with pytest.raises(httpx.TransportError):
        await client.get("/file")
    await closed(source)


async def test_a_whole_file_ends_well(start, source):
    source.files["7"] = FakeFile(data=bytes(100_000), mime_type="video/mp4", is_sized=False)
    assert len((await (await start()).get("/file")).content) == 100_000


async def test_when_the_client_leaves_the_file_is_closed_before_its_end(start, source):
    source.files["7"] = FILM
    client = await start()
    async with client.stream("GET", "/file") as answer:
        assert await anext(answer.aiter_raw())
    await closed(source)
    assert source.given < PIECE * PIECES


async def test_a_client_that_takes_nothing_is_cut_off(start, source):
    source.files["7"] = FILM
    client = await start(0.2)
    with pytest.raises(httpx.TransportError):
        async with client.stream("GET", "/file") as answer:
            await closed(source)
            async for _ in answer.aiter_raw():
                pass
    assert source.given < 128 * 1024 * 1024
