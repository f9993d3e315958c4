"""Files of the Cloud API over real HTTP: where the token goes, whom we ask, how much we take, how long we wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from inbox.domain.errors import InboxError, MediaExpired, MediaGone, PayloadTooLarge
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.http import Timeouts
from inbox.kit.resilience import Policy

from .media_side import Downloading, GraphMediaSide, HandWritten, StartMedia, WiredMedia, Write, a_channel, head
from .whatsapp_side import TOKEN, GraphSide

SECRET = f"authorization: Bearer {TOKEN}\r\n"


@pytest.fixture
async def hand_written() -> AsyncIterator[Callable]:
    async with AsyncExitStack() as stack:

        async def start(file: Write | None = None, **node: object) -> HandWritten:
            peer = HandWritten()
            peer.file, peer.node = file, node
            server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return peer

        yield start


@pytest.fixture
async def start() -> AsyncIterator[StartMedia]:
    async with AsyncExitStack() as stack:

        def starting(url: str, **wiring) -> WiredMedia:
            wired = WiredMedia(url, **wiring)
            stack.push_async_callback(wired.api.aclose)
            return wired

        yield starting


@pytest.fixture
def side(graph: GraphSide) -> GraphMediaSide:
    return GraphMediaSide(graph)


def giving(*parts: bytes, then: asyncio.Event | None = None) -> Write:
    async def file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if then is not None:
                await reader.read()  # until the caller hangs up
        finally:
            if then is not None:
                then.set()

    return file


async def test_the_token_is_in_the_header_of_both_requests_and_nowhere_else(hand_written, start):
    peer = await hand_written(giving(head(content_length=5), b"hello"))
    assert await Downloading(start(peer.url).source)() == b"hello"
    node, file = (request.replace("Authorization", "authorization") for request in peer.requests)
    assert node.startswith("GET /v24.0/700?phone_number_id=1 HTTP/1.1\r\n")
    assert file.startswith("GET /file HTTP/1.1\r\n")
    for request in (node, file):
        assert request.count(TOKEN) == 1
        assert SECRET in request


async def test_an_address_at_a_foreign_host_is_not_asked(hand_written, start):
    foreign = await hand_written()
    for url in (
        f"{foreign.url}/file",
        f"{foreign.url.replace('http://', 'http://lookaside.fbsbx.com@')}/file",
        f"//{foreign.url.removeprefix('http://')}/file",
    ):
        peer = await hand_written(url=url)
        wired = start(peer.url, origins=frozenset({"https://lookaside.fbsbx.com"}))
        with pytest.raises(WhatsAppError):
            await Downloading(wired.source)()
        assert len(peer.requests) == 1
        assert wired.breakers.inspect()["media"].failure_count == 0
    assert foreign.requests == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "http://127.0.0.1:1/\r\nx: y"])
async def test_what_is_no_address_is_an_error_of_whatsapp(hand_written, start, url):
    peer = await hand_written(url=url)
    with pytest.raises(WhatsAppError):
        await Downloading(start(peer.url).source)()
    assert len(peer.requests) == 1


async def test_a_file_may_lie_at_a_host_that_is_allowed(hand_written, start):
    files = await hand_written(giving(head(content_length=5), b"hello"))
    peer = await hand_written(url=f"{files.url}/file")
    wired = start(peer.url, origins=frozenset({files.url}))
    assert await Downloading(wired.source)() == b"hello"
    assert TOKEN in files.requests[0]


async def test_a_redirect_is_not_followed(hand_written, start):
    elsewhere = await hand_written()
    peer = await hand_written(giving(head("302 Found", location=f"{elsewhere.url}/file", content_length=0)))
    with pytest.raises(WhatsAppError):
        await Downloading(start(peer.url).source)()
    assert (len(peer.requests), elsewhere.requests) == (2, [])


async def test_a_file_that_announces_too_much_is_not_read_and_its_connection_ends(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(head(content_length=2_000), b"x" * 100, then=over))
    with pytest.raises(PayloadTooLarge):
        await Downloading(start(peer.url).source)(limit=1_999)
    async with asyncio.timeout(10):
        await over.wait()


async def test_a_file_of_unknown_length_is_cut_at_the_limit_and_its_connection_ends(hand_written, start):
    over = asyncio.Event()
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    peer = await hand_written(giving(head(transfer_encoding="chunked"), *[chunk] * 100, then=over))
    got = 0
    source = start(peer.url).source
    with pytest.raises(PayloadTooLarge):
        async with source.open(a_channel(), "700", limit=10_000) as stream:
            assert stream.size is None
            async for piece in stream.chunks:
                got += len(piece)
    assert got <= 10_000
    async with asyncio.timeout(10):
        await over.wait()


async def test_leaving_in_the_middle_ends_the_connection(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(head(content_length=5_000), b"x" * 100, then=over))
    async with start(peer.url).source.open(a_channel(), "700", limit=10_000) as stream:
        assert await anext(aiter(stream.chunks)) == b"x" * 100
        assert not over.is_set()
    async with asyncio.timeout(10):
        await over.wait()


@pytest.mark.parametrize(
    ("headers", "node"),
    [
        ({"content_length": 5_000}, {}),
        ({"transfer_encoding": "chunked"}, {}),
        ({"connection": "close"}, {"file_size": 5_000}),
        ({"connection": "close"}, {"file_size": "5000"}),
    ],
    ids=str,
)
async def test_a_file_that_ends_too_early_is_an_error_and_not_a_whole_one(hand_written, start, headers, node):
    part = b"64\r\n" + b"x" * 100 + b"\r\n" if "transfer_encoding" in headers else b"x" * 100
    peer = await hand_written(giving(head(**headers), part), **node)
    got = b""
    with pytest.raises(WhatsAppError):
        async with start(peer.url).source.open(a_channel(), "700", limit=10_000) as stream:
            async for piece in stream.chunks:
                got += piece
    assert got == b"x" * 100


async def test_a_file_longer_than_it_was_said_to_be_is_an_error(hand_written, start):
    peer = await hand_written(giving(head(connection="close"), b"x" * 100), file_size=99)
    with pytest.raises(WhatsAppError):
        await Downloading(start(peer.url).source)()


async def test_the_length_of_the_answer_counts_more_than_that_of_the_description(hand_written, start):
    peer = await hand_written(giving(head(content_length=5), b"hello"), file_size=7)
    assert await Downloading(start(peer.url).source)() == b"hello"


async def test_a_file_that_stops_coming_is_a_timeout(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(head(content_length=5_000), b"x" * 100, then=over))
    async with asyncio.timeout(10):
        with pytest.raises(WhatsAppTimeout):
            await Downloading(start(peer.url, idle=0.05).source)()
        await over.wait()


async def test_slow_but_steady_is_no_timeout(hand_written, start):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(content_length=8))
        loop = asyncio.get_running_loop()
        for _ in range(8):
            pause = asyncio.Event()
            loop.call_later(0.1, pause.set)
            await pause.wait()
            writer.write(b"x")
            await writer.drain()

    peer = await hand_written(drip)
    assert await Downloading(start(peer.url, idle=0.5).source)() == b"x" * 8


async def test_opening_has_a_deadline_and_the_second_try_is_within_it(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(then=over))
    wired = start(peer.url, policy=Policy(total=0.3, attempt=0.1, attempts=2, wait_initial=0.01), timeouts=Timeouts())
    async with asyncio.timeout(5):
        with pytest.raises(WhatsAppTimeout):
            await Downloading(wired.source)()
    assert len(peer.requests) == 4


async def test_packed_bytes_are_not_taken(hand_written, start):
    peer = await hand_written(giving(head(content_length=5, content_encoding="gzip"), b"hello"))
    with pytest.raises(WhatsAppError):
        await Downloading(start(peer.url).source)()


async def test_the_type_of_the_answer_stands_in_for_one_that_is_not_described(hand_written, start):
    peer = await hand_written(giving(head(content_length=1, content_type="audio/ogg"), b"x"))
    async with start(peer.url).source.open(a_channel(), "700", limit=10) as stream:
        assert stream.mime_type == "audio/ogg"


async def test_an_expired_id_is_told_from_a_file_that_is_gone(graph, graph_url, start, side):
    download = Downloading(start(graph_url).source, a_channel(graph.phone_number_id))
    media_id = await side.holds(b"hello")
    await graph.arm(action="http_error", status=404, body="", kind="media")
    with pytest.raises(MediaGone):
        await download(media_id)
    await graph.call("POST", "/clock", {"advance": 7 * 86_400})
    with pytest.raises(MediaExpired):
        await download(media_id)


async def test_a_file_of_another_number_is_not_given(graph, graph_url, start, side):
    media_id = await side.holds(b"hello")
    with pytest.raises(MediaExpired):
        await Downloading(start(graph_url).source, a_channel("123456789"))(media_id)


@pytest.mark.parametrize("token", ["wrong", "pasted with\na line break"])
async def test_a_refused_token_is_no_sign_of_an_outage_and_stays_unsaid(graph, graph_url, start, side, token):
    wired = start(graph_url)
    media_id = await side.holds(b"hello")
    for _ in range(4):
        with pytest.raises(WhatsAppError) as caught:
            await Downloading(wired.source, a_channel(graph.phone_number_id, token))(media_id)
        assert token not in str(caught.value)
    assert wired.breakers.inspect()["media"].state == "closed"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_where_the_file_lies_is_an_error_of_whatsapp(
    graph, graph_url, start, side, status
):
    await graph.arm(action="http_error", status=status, kind="media")
    with pytest.raises(WhatsAppError):
        await Downloading(start(graph_url).source, a_channel(graph.phone_number_id))(await side.holds(b"hello"))


@pytest.mark.parametrize("kind", ["account", "media"])
@pytest.mark.parametrize(
    "rule",
    [{"action": "html_502"}, {"action": "reset_before_accept"}, {"action": "http_error", "status": 503, "code": 2}],
    ids=str,
)
async def test_what_may_pass_is_tried_once_more(graph, graph_url, start, side, rule, kind):
    await graph.arm(kind=kind, **rule)
    media_id = await side.holds(b"hello")
    assert await Downloading(start(graph_url).source, a_channel(graph.phone_number_id))(media_id) == b"hello"


@pytest.mark.parametrize("retry_after", [None, 7.0])
async def test_a_throttle_is_not_tried_again_and_names_its_wait(graph, graph_url, start, side, retry_after):
    headers = {} if retry_after is None else {"retry-after": "7"}
    await graph.arm(action="http_error", status=429, code=4, kind="account", headers=headers)
    wired = start(graph_url)
    with pytest.raises(WhatsAppUnavailable) as caught:
        await Downloading(wired.source, a_channel(graph.phone_number_id))(await side.holds(b"hello"))
    assert caught.value.retry_after == (retry_after or 30.0)
    assert len(await graph.entries("fault")) == 1
    assert wired.breakers.inspect()["media"].failure_count == 0


async def test_an_outage_opens_the_circuit_of_media_and_then_nothing_is_asked(graph, graph_url, start, side):
    wired = start(graph_url)
    download = Downloading(wired.source, a_channel(graph.phone_number_id))
    media_id = await side.holds(b"hello")
    await graph.arm(action="html_502", count=3, kind="account")
    errors: list[type[InboxError]] = []
    for _ in range(3):
        with pytest.raises(InboxError) as caught:
            await download(media_id)
        errors.append(type(caught.value))
    assert errors == [WhatsAppError, WhatsAppUnavailable, WhatsAppUnavailable]
    assert caught.value.retry_after
    assert len(await graph.entries("fault")) == 3


async def test_a_file_that_breaks_in_the_middle_frees_its_slot(hand_written, start):
    policy = Policy(total=2, attempt=1, concurrency=1, waiting=1)
    peer = await hand_written(giving(head(content_length=50), b"x"))
    wired = start(peer.url, policy=policy)
    for _ in range(3):
        with pytest.raises(WhatsAppError):
            await Downloading(wired.source)()


async def test_too_many_that_are_opened_at_once_are_refused_and_blame_nobody(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(then=over))
    wired = start(peer.url, policy=Policy(total=60, attempt=60, concurrency=1, waiting=0), timeouts=Timeouts(read=60))
    opening = asyncio.create_task(Downloading(wired.source)())
    async with asyncio.timeout(20):
        while len(peer.requests) < 2:  # noqa: ASYNC110 - the peer only keeps a list
            await asyncio.sleep(0.01)
    with pytest.raises(WhatsAppUnavailable):
        await Downloading(wired.source)()
    opening.cancel()
    await asyncio.wait([opening])
    assert wired.breakers.inspect()["media"].failure_count == 0


async def test_who_reads_a_file_holds_nobody_up_who_opens_another(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(head(content_length=50), b"x", then=over))
    wired = start(peer.url, policy=Policy(total=2, attempt=1, concurrency=1, waiting=0))
    async with wired.source.open(a_channel(), "700", limit=100), wired.source.open(a_channel(), "700", limit=100):
        assert len(peer.requests) == 4


async def test_a_queue_for_connections_blames_nobody(hand_written, start):
    over = asyncio.Event()
    peer = await hand_written(giving(head(content_length=50), b"x", then=over))
    policy = Policy(total=2, attempt=1)
    wired = start(peer.url, connections=1, policy=policy, timeouts=Timeouts(connect=0.05, pool=0.1))
    async with wired.source.open(a_channel(), "700", limit=100):
        with pytest.raises(WhatsAppUnavailable):
            await Downloading(wired.source)()
    assert wired.breakers.inspect()["media"].failure_count == 0


@pytest.mark.parametrize(
    "body",
    [[], 5, {"url": 5}, {"url": {}}, {"url": "x", "file_size": []}, {"url": "https://é.example/" * 5_000}],
    ids=lambda body: str(body)[:30],
)
async def test_whatever_the_description_is_it_ends_in_an_error_of_whatsapp(graph, graph_url, start, body):
    await graph.arm(action="http_error", status=200, kind="account", body=body, count=2)
    with pytest.raises(WhatsAppError):
        await Downloading(start(graph_url).source, a_channel(graph.phone_number_id))("700")
