"""The send fence: the last moment at which a send can be stopped, counted in bytes at the peer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from inbox.domain.upstream_errors import FenceRefused
from inbox.kit.fence_check import check_fence
from inbox.kit.http import ApiClient, CallFailed, Fence, Limits, Reach, Reply, Timeouts

from .raw_peer import OK, Peer, StartClient, StartPeer, Transport, answers, reset


class Counted:
    """A fence that counts its runs and may refuse."""

    def __init__(self, refusal: BaseException | None = None) -> None:
        self.runs = 0
        self._refusal = refusal

    async def __call__(self) -> None:
        self.runs += 1
        await asyncio.sleep(0)
        if self._refusal is not None:
            raise self._refusal


async def gone(peer: Peer) -> None:
    """Wait until the client has closed, so that every byte it sent is counted."""
    await peer.hung_up.wait()


@pytest.mark.parametrize(
    "refusal",
    [
        FenceRefused(),
        ConnectionResetError("looks like a broken connection"),
        TimeoutError("looks like a slow peer"),
        CallFailed(Reach.NOTHING, "own"),
        KeyError("a bug"),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
async def test_a_refusing_fence_sends_nothing_on_a_new_connection_and_its_error_arrives_unchanged(
    a_client: StartClient, a_peer: StartPeer, refusal: BaseException
) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    with pytest.raises(type(refusal)) as caught:
        await client.call("POST", "/", content=b"{}", fence=Counted(refusal))
    assert caught.value is refusal
    await client.aclose()
    await gone(peer)
    assert peer.received == [0]


async def test_a_refusing_fence_sends_nothing_on_a_kept_connection(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    await client.call("POST", "/", content=b"{}")
    before = list(peer.received)
    with pytest.raises(FenceRefused):
        await client.call("POST", "/", content=b"{}", fence=Counted(FenceRefused()))
    await client.aclose()
    await gone(peer)
    assert peer.received == before
    assert len(peer.requests) == 1


async def test_after_a_refusal_the_only_connection_is_free_again(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url, limits=Limits(connections=1))
    for _ in range(5):
        with pytest.raises(FenceRefused):
            await client.call("POST", "/", fence=Counted(FenceRefused()))
    assert (await client.call("POST", "/", fence=Counted())).status == 200
    assert len(peer.requests) == 1


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
async def test_the_fence_runs_once_in_each_call(a_client: StartClient, a_peer: StartPeer, method: str) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    for _ in range(3):
        fence = Counted()
        await client.call(method, "/", fence=fence)
        assert fence.runs == 1
    assert peer.connections == 1


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
async def test_the_fence_runs_once_when_the_connection_breaks(
    a_client: StartClient, a_peer: StartPeer, method: str
) -> None:
    async def resets(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        reset(writer)

    peer = await a_peer(resets)
    fence = Counted()
    with pytest.raises(CallFailed) as caught:
        await a_client(peer.url).call(method, "/", fence=fence)
    assert caught.value.reach is Reach.BEGUN
    assert fence.runs == 1
    assert len(peer.requests) == 1


async def test_without_a_connection_the_fence_does_not_run(a_client: StartClient) -> None:
    fence = Counted()
    with pytest.raises(CallFailed) as caught:
        await a_client("http://127.0.0.1:1").call("POST", "/", fence=fence)
    assert caught.value.reach is Reach.NOTHING
    assert fence.runs == 0


async def test_a_fence_that_passed_too_long_ago_sends_nothing(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url, Timeouts(fence=0.0))
    fence = Counted()
    with pytest.raises(CallFailed) as caught:
        await client.call("POST", "/", content=b"{}", fence=fence)
    assert (caught.value.reach, caught.value.reason) == (Reach.NOTHING, "fence_expired")
    assert fence.runs == 1
    await client.aclose()
    await gone(peer)
    assert peer.received == [0]


async def test_a_cancelled_fence_sends_nothing(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    waiting = asyncio.Event()

    async def waits() -> None:
        waiting.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(client.call("POST", "/", content=b"{}", fence=waits))
    await waiting.wait()
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    await client.aclose()
    await gone(peer)
    assert peer.received == [0]


async def test_a_kept_connection_that_the_peer_closes_while_the_fence_runs_is_noticed(
    a_client: StartClient, a_peer: StartPeer, transport: Transport
) -> None:
    fence_runs = asyncio.Event()

    async def answers_once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(OK)
        await fence_runs.wait()

    peer = await a_peer(answers_once)
    client = a_client(peer.url)
    await client.call("POST", "/")

    async def slow() -> None:
        fence_runs.set()
        await peer.hung_up.wait()
        for _ in range(10):  # turns of the loop, until the end of the stream is here too
            await asyncio.sleep(0)

    with pytest.raises(CallFailed) as caught:
        await client.call("POST", "/", content=b"{}", fence=slow)
    assert len(peer.requests) == 1
    if transport == "aiohttp":  # the other one cannot know, and says so
        assert (caught.value.reach, caught.value.reason) == (Reach.NOTHING, "closed")
    else:
        assert caught.value.reach is Reach.BEGUN


async def test_many_calls_at_a_time_run_each_their_own_fence(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url, Timeouts(), Limits(connections=8))
    fences = [Counted(FenceRefused() if place % 3 == 0 else None) for place in range(60)]

    async def one(fence: Counted) -> bool:
        try:
            await client.call("POST", "/", content=b"{}", fence=fence)
        except FenceRefused:
            return False
        return True

    passed = await asyncio.gather(*map(one, fences))
    assert passed == [place % 3 != 0 for place in range(60)]
    assert {fence.runs for fence in fences} == {1}
    assert len(peer.requests) == 40


async def test_the_start_up_check_passes_with_the_installed_libraries(a_client: StartClient) -> None:
    await check_fence(a_client("http://127.0.0.1:1"))


class Deaf(ApiClient):
    """As if a new version of the transport no longer called the hooks."""

    def pointed_at(self, base_url: str) -> "Deaf":
        return Deaf(self.name, base_url)

    def __getattribute__(self, name: str) -> object:
        if name != "call":
            return super().__getattribute__(name)
        call: Callable[..., Awaitable[Reply]] = super().__getattribute__("call")

        async def without_fence(method: str, path: str, *, content: bytes, fence: Fence) -> Reply:
            del fence
            return await call(method, path, content=content)

        return without_fence


async def test_the_start_up_check_fails_where_fences_do_not_run() -> None:
    client = Deaf("test", "http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="does not hold"):
        await check_fence(client)
