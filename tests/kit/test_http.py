"""What an API client does when nothing breaks, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from inbox.kit.http import ApiClient, CallFailed, Reach, StreamedReply, Timeouts
from inbox.kit.multipart import FilePart, multipart

from .raw_peer import Peer, StartClient, StartPeer, answers


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_an_answer_comes_whole_with_names_in_lower_case(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    reply = await a_client(peer.url).call("POST", "/v1/x", headers={"Authorization": "Bearer t"}, content=b"{}")
    assert (reply.status, reply.headers["x-trace"], reply.body) == (200, "a", b"ok")
    head = peer.requests[0].lower()
    assert head.startswith(b"post /v1/x http/1.1\r\n")
    assert b"authorization: bearer t\r\n" in head
    assert b"user-agent: whatsapp-inbox\r\n" in head
    assert head.endswith(b"\r\n\r\n{}")


async def test_parameters_are_encoded_and_the_base_path_is_kept(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    await a_client(peer.url + "/v24.0/").call("GET", "/123", params={"fields": "a b&c"})
    assert peer.requests[0].startswith(b"GET /v24.0/123?fields=a+b%26c HTTP/1.1") or peer.requests[0].startswith(
        b"GET /v24.0/123?fields=a%20b%26c HTTP/1.1"
    )


async def test_connections_are_kept_and_cookies_are_not(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    await client.call("GET", "/")
    await client.call("GET", "/")
    assert peer.connections == 1
    assert b"cookie" not in peer.requests[1].lower()


async def test_a_redirect_is_an_answer_and_is_not_followed(a_client: StartClient, a_peer: StartPeer) -> None:
    async def redirects(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await peer.request(reader)

    peer = await a_peer(redirects)
    assert (await a_client(peer.url).call("GET", "/")).status == 302
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("http://127.0.0.1:9/x", "not_allowed"),
        ("http://example.test/x", "not_allowed"),
        ("https://127.0.0.1/x", "not_allowed"),
        ("http://user:secret@127.0.0.1:1/x", "not_allowed"),
        ("ftp://127.0.0.1:1/x", "not_allowed"),
        ("/\x00", "invalid_request"),
    ],
)
async def test_a_bearer_never_goes_to_an_origin_that_was_not_named(
    a_client: StartClient, path: str, reason: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await a_client("http://127.0.0.1:1").call("GET", path, headers={"authorization": "Bearer t"})
    assert (caught.value.reach, caught.value.reason) == (Reach.NOTHING, reason)


async def test_a_path_that_looks_like_another_host_stays_at_home(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    await a_client(peer.url).call("GET", "//example.test/x")
    assert b"host: 127.0.0.1" in peer.requests[0].lower()


async def test_an_origin_that_was_named_may_be_called(a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = ApiClient("media", "http://127.0.0.1:1", origins=frozenset({peer.url}))
    assert (await client.call("GET", f"{peer.url}/file?sig=1")).body == b"ok"
    await client.aclose()


@pytest.mark.parametrize("value", ["a\r\nx-injected: 1", "a\nb", "a\0"])
async def test_a_header_cannot_carry_a_second_one(a_client: StartClient, value: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await a_client("http://127.0.0.1:1").call("GET", "/", headers={"authorization": value})
    assert (caught.value.reach, caught.value.reason) == (Reach.NOTHING, "invalid_request")


def test_a_pool_timeout_below_the_connect_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="pool timeout"):
        Timeouts(connect=3.0, pool=3.0)


# --- streams ----------------------------------------------------------------------------------------------------------


async def read_into(got: bytearray, stream: AbstractAsyncContextManager[StreamedReply]) -> None:
    async with stream as reply:
        async for chunk in reply.chunks:
            got += chunk


async def sends_events(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
    await peer.request(reader)


async def test_a_stream_yields_pieces_and_leaving_it_early_closes_the_connection(
    a_client: StartClient, a_peer: StartPeer
) -> None:
    peer = await a_peer(sends_events)
    async with a_client(peer.url).stream("GET", "/", limit=1000) as reply:
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert (await anext(reply.chunks)).startswith(b"data: 1")
    await peer.hung_up.wait()


async def test_a_stream_that_falls_silent_ends_after_the_idle_time(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(sends_events)
    client = a_client(peer.url, Timeouts(read=30))
    got = bytearray()
    with pytest.raises(CallFailed) as caught:
        await read_into(got, client.stream("GET", "/", limit=1000, idle=0.1))
    assert got == b"data: 1\n\ndata: 2\n\n"
    assert (caught.value.reach, caught.value.reason) == (Reach.ANSWERED, "read_timeout")
    await peer.hung_up.wait()


async def test_a_stream_beyond_its_limit_is_cut(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(sends_events)
    with pytest.raises(CallFailed) as caught:
        await read_into(bytearray(), a_client(peer.url).stream("GET", "/", limit=10))
    assert (caught.value.reach, caught.value.reason) == (Reach.ANSWERED, "too_large")


async def test_a_stream_that_cannot_be_opened_says_how_far_it_came(a_client: StartClient) -> None:
    with pytest.raises(CallFailed) as caught:
        async with a_client("http://127.0.0.1:1").stream("GET", "/", limit=10):
            pytest.fail("nothing to read")
    assert caught.value.reach is Reach.NOTHING


async def test_a_whole_stream_leaves_the_connection_for_the_next_call(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    client = a_client(peer.url)
    for _ in range(2):
        async with client.stream("GET", "/", limit=10) as reply:
            assert b"".join([chunk async for chunk in reply.chunks]) == b"ok"
    assert peer.connections == 1


# --- uploads ----------------------------------------------------------------------------------------------------------


async def test_an_upload_is_streamed(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    await a_client(peer.url).call("POST", "/media", content=pieces(b"abc", b"def"))
    assert b"transfer-encoding: chunked" in peer.requests[0].lower()
    assert b"3\r\nabc\r\n" in peer.requests[0]


async def test_a_form_with_a_file_of_known_size_has_a_content_length(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    part = FilePart(name="file", filename='a"\r\n.png', mime="image/png", chunks=pieces(b"PNG", b"DATA"), size=7)
    form = multipart({"messaging_product": "whatsapp"}, part)
    await a_client(peer.url).call("POST", "/media", headers=form.headers, content=form.content)
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert b'name="messaging_product"\r\n\r\nwhatsapp\r\n' in body
    assert b'name="file"; filename="a%22%0D%0A.png"\r\nContent-Type: image/png\r\n\r\nPNGDATA\r\n--' in body


async def test_a_form_with_a_file_of_unknown_size_is_chunked(a_client: StartClient, a_peer: StartPeer) -> None:
    peer = await a_peer(answers)
    form = multipart({}, FilePart(name="file", filename="a", mime="image/png", chunks=pieces(b"DATA")))
    await a_client(peer.url).call("POST", "/media", headers=form.headers, content=form.content)
    assert b"transfer-encoding: chunked" in peer.requests[0].lower()


async def test_a_peer_that_answers_before_it_read_the_upload_is_heard(a_peer: StartPeer) -> None:
    async def refuses_early(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del peer
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        while await reader.read(65536):
            pass

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    peer = await a_peer(refuses_early)
    client = ApiClient("test", peer.url)  # httpx's own transport writes to the end before it reads
    async with asyncio.timeout(5):
        reply = await client.call("POST", "/media", content=endless())
    assert reply.status == 413
    await client.aclose()


async def test_an_upload_whose_source_fails_breaks_off(a_client: StartClient, a_peer: StartPeer) -> None:
    async def fails() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("disk")

    peer = await a_peer(answers)
    with pytest.raises(CallFailed) as caught:
        await a_client(peer.url).call("POST", "/media", content=fails())
    assert caught.value.reach is Reach.BEGUN
    assert peer.requests == []
