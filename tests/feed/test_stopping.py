"""How a process takes its leave of those who listen."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from feed.conftest import Person, served
from feed.streams import stream
from feed.test_connections import EVENTS, REALTIME, code_of
from feed.test_realtime import MESSAGES, Phoenix
from feed.test_socket import closed, subscribed
from inbox.entrypoints.connections import ConnectionLimits, Connections


def who_reads_nothing(port: int) -> socket.socket:
    """Asks for far more than the buffers of two sockets hold, and takes none of it."""
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect(("127.0.0.1", port))
    stalled.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 30)
    return stalled


async def test_everybody_hears_that_the_process_stops_and_who_reads_nothing_does_not_hold_it_up(
    database_url: str, engine: AsyncEngine, tmp_path: Path, agent: Person
) -> None:
    async with AsyncExitStack() as stack:
        serving, limits = AsyncExitStack(), ConnectionLimits(server_stops_within=0.3)
        house = await serving.enter_async_context(served(database_url, tmp_path, limits))
        stopping = None
        try:
            session = await stack.enter_async_context(aiohttp.ClientSession(house.url))
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=house.url, timeout=10))
            told = await stack.enter_async_context(stream(client, "/events", **agent.headers))
            events = await stack.enter_async_context(session.ws_connect(EVENTS, headers=agent.headers))
            idle = await stack.enter_async_context(session.ws_connect(EVENTS, headers=agent.headers))
            joined = await stack.enter_async_context(session.ws_connect(REALTIME))
            unjoined = await stack.enter_async_context(session.ws_connect(REALTIME))
            await told.placed()
            await subscribed(events)
            await Phoenix(joined).join(agent, MESSAGES)
            stack.callback((await asyncio.to_thread(who_reads_nothing, house.port)).close)
            connections = await house.container.get(Connections)
            assert connections.count == 5

            stopping = asyncio.create_task(serving.aclose())
            assert (await told.next()).data == {"reason": "stopping"}
            for one in (events, idle):
                assert await closed(one) == (1012, "stopping")
            for one in (joined, unjoined):
                assert await code_of(one) == 1012
            assert await connections.over(2)
        finally:
            async with asyncio.timeout(20):
                await (serving.aclose() if stopping is None else stopping)
