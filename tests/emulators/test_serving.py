"""The server under the emulators: ASGI over real HTTP, and connections that break when told to."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException
from litestar.response import Stream
from litestar.testing import RequestFactory

from inbox.emulators.serving import Served, abort_connection, serve

AnyRequest = Request[None, None, State]


@post("/echo", status_code=200)
async def echo(request: AnyRequest) -> dict[str, object]:
    body = await request.body()
    return {"size": len(body), "query": dict(request.query_params), "header": request.headers.get("x-one")}


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    return Stream(pieces(), media_type="text/plain")


@get("/abort")
async def abort(request: AnyRequest) -> str:
    abort_connection(request.scope)
    return "never seen"


@get("/refuse")
async def refuse() -> None:
    raise ClientException("no")


def an_app() -> Litestar:
    return Litestar([echo, stream, abort, refuse], openapi_config=None, logging_config=None)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(an_app()) as running:
        yield running


async def test_bodies_queries_and_headers_arrive_whole(served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    async with aiohttp.ClientSession(served.url) as client:
        async with client.post("/echo?a=1&b=%C3%BC", data=chunks(), headers={"X-One": "1"}) as chunked:
            assert await chunked.json() == {"size": 1_000_000, "query": {"a": "1", "b": "ü"}, "header": "1"}
        async with client.post("/echo") as empty:
            assert (await empty.json())["size"] == 0


async def test_answers_stream_and_errors_keep_their_status(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as client:
        async with client.get("/stream") as streamed:
            assert await streamed.text() == "one two three"
        async with client.get("/refuse") as refused:
            assert refused.status == 400
        async with client.get("/nowhere") as missing:
            assert missing.status == 404


async def test_an_aborted_connection_is_reset_without_a_byte(served: Served) -> None:
    reader, writer = await asyncio.open_connection(served.host, served.port)
    writer.write(b"GET /abort HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_other_connections_do_not_notice_an_abort(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as client, client.get("/stream") as before:
        with pytest.raises(aiohttp.ClientOSError):
            await client.get("/abort")
        assert await before.text() == "one two three"
        async with client.get("/stream") as after:
            assert after.status == 200


def test_a_server_that_cannot_abort_is_named_as_the_reason() -> None:
    with pytest.raises(RuntimeError, match=r"serve the emulator with inbox\.emulators\.serving"):
        abort_connection(RequestFactory().get("/").scope)


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with serve(an_app()):
            raise KeyError


async def test_a_start_up_hook_that_fails_is_an_error_that_says_why() -> None:
    async def start() -> None:
        raise ValueError("no disk")

    app = Litestar([echo], on_startup=[start], openapi_config=None, logging_config=None)
    with pytest.raises(RuntimeError, match="no disk"):
        async with serve(app):
            pass


async def test_start_up_and_shut_down_hooks_run_once_each() -> None:
    seen: list[str] = []

    async def start() -> None:
        seen.append("start")

    async def stop() -> None:
        seen.append("stop")

    app = Litestar([echo], on_startup=[start], on_shutdown=[stop], openapi_config=None, logging_config=None)
    async with serve(app):
        assert seen == ["start"]

    assert seen == ["start", "stop"]


async def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match="address already in use"):
        async with serve(an_app(), port=served.port):
            pass
