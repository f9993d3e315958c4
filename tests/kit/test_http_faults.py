"""The table of faults: what a failure means, whatever the transport calls it. The peer is a raw socket."""

import asyncio
import contextlib
import gzip
import socket
from collections.abc import Iterator

import msgspec
import pytest

from inbox.kit.http import ApiClient, CallFailed, Limits, Progress, Reach, Timeouts

from .raw_peer import OK, PATIENT, Behaviour, Peer, StartClient, StartPeer, answers, reset


async def failure_of(client: ApiClient, method: str = "POST") -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await client.call(method, "/messages", content=b'{"text":"hello"}' if method == "POST" else None)
    return caught.value


# --- nothing left -----------------------------------------------------------------------------------------------------


async def test_a_refused_connection_means_that_nothing_left(a_client: StartClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = await failure_of(a_client(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert (failed.reach, failed.reason, failed.status) == (Reach.NOTHING, "refused", None)


async def test_an_unknown_name_means_that_nothing_left(a_client: StartClient) -> None:
    too_long_for_any_name_server = ".".join(["a" * 60] * 5) + ".invalid"
    failed = await failure_of(a_client(f"http://{too_long_for_any_name_server}"))
    assert (failed.reach, failed.reason) == (Reach.NOTHING, "dns")


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full: the next one waits for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the standard library's
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_a_connect_that_takes_too_long_means_that_nothing_left(a_client: StartClient, full_backlog: int) -> None:
    failed = await failure_of(a_client(f"http://127.0.0.1:{full_backlog}", Timeouts(connect=0.4, pool=0.5)))
    assert (failed.reach, failed.reason) == (Reach.NOTHING, "connect_timeout")


async def test_waiting_too_long_for_a_free_connection_means_that_nothing_left(
    a_client: StartClient, a_peer: StartPeer
) -> None:
    peer = await a_peer(hangs)
    client = a_client(peer.url, Timeouts(connect=0.4, pool=0.5, read=30), Limits(connections=1))
    busy = asyncio.create_task(client.call("POST", "/"))
    await peer.asked.wait()
    failed = await failure_of(client)
    assert (failed.reach, failed.reason) == (Reach.NOTHING, "pool_timeout")
    assert peer.connections == 1
    busy.cancel()
    await asyncio.wait({busy})


async def test_a_failed_tls_handshake_means_that_nothing_left(a_client: StartClient, a_peer: StartPeer) -> None:
    async def speaks_no_tls(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-nothing of yours\r\n")

    peer = await a_peer(speaks_no_tls)
    failed = await failure_of(a_client(peer.url.replace("http://", "https://")))
    assert (failed.reach, failed.reason) == (Reach.NOTHING, "tls")


# --- begun ------------------------------------------------------------------------------------------------------------


async def resets_at_accept(_: Peer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def resets_after_the_request(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    reset(writer)


async def closes_after_the_request(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await peer.request(reader)


async def hangs(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    await peer.request(reader)


async def cuts_the_head(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def speaks_another_protocol(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"220 smtp ready\r\n\r\n")


@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        (resets_after_the_request, {"reset"}),
        (closes_after_the_request, {"closed", "broken"}),
        (hangs, {"read_timeout"}),
        (cuts_the_head, {"closed", "broken"}),
        (speaks_another_protocol, {"closed", "broken"}),
    ],
)
async def test_a_break_after_the_request_means_that_it_may_have_been_processed(
    a_client: StartClient, a_peer: StartPeer, behaviour: Behaviour, reasons: set[str]
) -> None:
    peer = await a_peer(behaviour)
    failed = await failure_of(a_client(peer.url, patience_with(behaviour)))
    assert failed.reach is Reach.BEGUN
    assert failed.reason in reasons
    assert failed.status is None
    assert len(peer.requests) == 1


async def test_a_reset_at_accept_is_not_taken_for_proof_that_nothing_left(
    a_client: StartClient, a_peer: StartPeer
) -> None:
    peer = await a_peer(resets_at_accept)
    assert (await failure_of(a_client(peer.url))).reach is Reach.BEGUN


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_no_method_is_repeated_by_the_transport(a_client: StartClient, a_peer: StartPeer, method: str) -> None:
    peer = await a_peer(closes_after_the_request)
    assert (await failure_of(a_client(peer.url), method)).reach is Reach.BEGUN
    assert len(peer.requests) == 1
    assert peer.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_breaks_under_the_request_is_not_taken_for_proof_that_nothing_left(
    a_client: StartClient, a_peer: StartPeer, method: str
) -> None:
    async def answers_once_then_resets(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(OK)
        await reader.read(1)  # the next request has begun
        reset(writer)

    peer = await a_peer(answers_once_then_resets)
    client = a_client(peer.url)
    await client.call("POST", "/")
    failed = await failure_of(client, method)
    assert failed.reach is Reach.BEGUN
    assert peer.connections == 1


# --- answered ---------------------------------------------------------------------------------------------------------


async def cuts_the_body(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"messages"')


async def cuts_a_chunked_body(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


async def resets_in_the_body(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"messages"')
    await writer.drain()
    asyncio.get_running_loop().call_later(0.05, reset, writer)
    await peer.request(reader)


def patience_with(behaviour: Behaviour) -> Timeouts:
    return msgspec.structs.replace(PATIENT, read=0.4 if behaviour in (hangs, stalls_in_the_body) else PATIENT.read)


async def stalls_in_the_body(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"messages"')
    await peer.request(reader)


async def sends_too_much(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (cuts_the_body, "broken"),
        (cuts_a_chunked_body, "broken"),
        (stalls_in_the_body, "read_timeout"),
        (sends_too_much, "too_large"),
    ],
)
async def test_a_break_after_the_status_line_tells_the_status(
    a_client: StartClient, a_peer: StartPeer, behaviour: Behaviour, reason: str
) -> None:
    peer = await a_peer(behaviour)
    failed = await failure_of(a_client(peer.url, patience_with(behaviour), Limits(body=65536)))
    assert (failed.reach, failed.reason, failed.status) == (Reach.ANSWERED, reason, 201)
    await peer.hung_up.wait()


async def test_a_reset_in_the_body_tells_the_status(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(resets_in_the_body)
    failed = await failure_of(a_client(peer.url))
    assert (failed.reach, failed.status) == (Reach.ANSWERED, 201)


async def test_a_packed_answer_is_refused_unread(a_client: StartClient, a_peer: StartPeer) -> None:
    bomb = gzip.compress(bytes(20_000_000))

    async def bombs(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"accept-encoding: identity" in (await peer.request(reader)).lower()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        await peer.request(reader)

    peer = await a_peer(bombs)
    failed = await failure_of(a_client(peer.url, limits=Limits(body=65536)))
    assert (failed.reach, failed.reason) == (Reach.ANSWERED, "encoded")


async def drips(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    loop = asyncio.get_running_loop()

    def drip() -> None:
        if not writer.is_closing():
            writer.write(b"x")
            loop.call_later(0.02, drip)

    drip()
    await peer.request(reader)


async def test_a_drip_ends_at_the_outer_deadline_and_its_connection_is_closed(
    a_client: StartClient, a_peer: StartPeer
) -> None:
    peer = await a_peer(drips)
    client = a_client(peer.url, Timeouts(connect=1.0, pool=1.2, read=0.25))
    progress = Progress()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):  # four times the read timeout
            await client.call("POST", "/", progress=progress)
    assert (progress.reach, progress.status) == (Reach.ANSWERED, 200)
    await peer.hung_up.wait()


# --- cancellation and deadlines ---------------------------------------------------------------------------------------


async def test_a_cancelled_call_closes_its_connection_and_tells_how_far_it_came(
    a_client: StartClient, a_peer: StartPeer
) -> None:
    peer = await a_peer(hangs)
    client = a_client(peer.url, Timeouts(read=30))
    progress = Progress()
    call = asyncio.create_task(client.call("POST", "/", content=b"{}", progress=progress))
    await peer.asked.wait()
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    assert progress.reach is Reach.BEGUN
    await peer.hung_up.wait()


async def test_a_deadline_while_connecting_tells_that_nothing_left(a_client: StartClient, full_backlog: int) -> None:
    client = a_client(f"http://127.0.0.1:{full_backlog}", Timeouts())
    progress = Progress()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.call("POST", "/", progress=progress)
    assert progress.reach is Reach.NOTHING


async def test_after_every_fault_the_client_still_works(a_client: StartClient, a_peer: StartPeer) -> None:
    turns = iter([resets_at_accept, closes_after_the_request, cuts_the_body, hangs, resets_after_the_request])

    async def misbehaves_first(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(turns, answers)(peer, reader, writer)

    peer = await a_peer(misbehaves_first)
    client = a_client(peer.url, msgspec.structs.replace(PATIENT, read=2.0), Limits(connections=1))
    for _ in range(5):
        await failure_of(client)
    assert (await client.call("POST", "/")).body == b"ok"
