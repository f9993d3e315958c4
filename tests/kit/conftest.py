import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from contracts.trust import certificates
from inbox.kit.http import ApiClient, Limits, Timeouts

from .raw_peer import PATIENT, Behaviour, Peer, StartClient, StartPeer, Transport


@pytest.fixture
async def a_peer() -> AsyncIterator[StartPeer]:
    """Start a peer with a behaviour; all of them end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(behaviour: Behaviour) -> Peer:
            peer = Peer(behaviour)
            server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            stack.callback(peer.close)
            peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return peer

        yield start


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


@pytest.fixture
async def a_client(transport: Transport) -> AsyncIterator[StartClient]:
    async with contextlib.AsyncExitStack() as stack:

        def start(url: str, timeouts: Timeouts = PATIENT, limits: Limits | None = None) -> ApiClient:
            client = ApiClient("test", url, timeouts=timeouts, limits=limits, transport=transport, tls=certificates())
            stack.push_async_callback(client.aclose)
            return client

        yield start
