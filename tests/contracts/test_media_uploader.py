"""What every uploader keeps: the whole file under an id that a message can name, or a word for each no."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from inbox.adapters.messaging.cloud_api.errors import is_outage
from inbox.adapters.messaging.cloud_api.uploads import CloudApiUploader
from inbox.adapters.messaging.fake_uploads import FakeUploader
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import AccountProblem, NothingSent, Refused, TryLater
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Timeouts
from inbox.kit.resilience import Guard, Policy
from inbox.ports.uploads import MediaUploader, OutgoingFile
from sample_files import JPEG

from .media_side import a_channel
from .trust import certificates
from .whatsapp_side import TOKEN, GraphSide

OUTCOMES: dict[str, Callable[[], InboxError]] = {
    "refused": lambda: Refused(graph_code=131053),
    "token refused": lambda: AccountProblem(graph_code=190),
    "throttled": lambda: TryLater("number"),
    "something went wrong": NothingSent,
    "gateway": NothingSent,
    "reset": NothingSent,
    "taken, answer lost": NothingSent,
    "unreadable": NothingSent,
    "silence": NothingSent,
}


def a_file(
    *pieces: bytes, name: str = "velo.jpg", mime_type: str = "image/jpeg", size: int | None = None
) -> OutgoingFile:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    total = sum(map(len, pieces)) if size is None else size
    return OutgoingFile(name=name, mime_type=mime_type, size=total, chunks=chunks())


class Side(Protocol):
    phone_number_id: str

    async def has(self, media_id: str) -> tuple[str, int]:
        """Type and size of the file that WhatsApp has under the id."""

    async def will(self, outcome: str) -> None:
        """The next upload ends so: one of `OUTCOMES`."""


class FakeSide:
    def __init__(self) -> None:
        self.uploader = FakeUploader()
        self.phone_number_id = "900111222333444"

    async def has(self, media_id: str) -> tuple[str, int]:
        (found,) = [given for given in self.uploader.given if given.media_id == media_id]
        return found.mime_type, len(found.data)

    async def will(self, outcome: str) -> None:
        self.uploader.fail_next(OUTCOMES[outcome]())


class EmulatedSide:
    _RULES: dict[str, dict[str, Any]] = {  # noqa: RUF012 - a table
        "refused": {"action": "http_error", "status": 400, "code": 131053},
        "token refused": {"action": "http_error", "status": 401, "code": 190},
        "throttled": {"action": "http_error", "status": 400, "code": 130429},
        "something went wrong": {"action": "http_error", "status": 500, "code": 131000},
        "gateway": {"action": "html_502"},
        "reset": {"action": "reset_before_accept"},
        "taken, answer lost": {"action": "reset_after_accept"},
        "unreadable": {"action": "truncated_json"},
        "silence": {"action": "hang"},
    }

    def __init__(self, graph: GraphSide) -> None:
        self.graph = graph
        self.phone_number_id = graph.phone_number_id

    async def has(self, media_id: str) -> tuple[str, int]:
        (found,) = [entry for entry in await self.graph.entries("media") if entry["media_id"] == media_id]
        return found["mime_type"], found["size"]

    async def will(self, outcome: str) -> None:
        await self.graph.call("POST", "/faults", {"count": 1, "kind": "media", **self._RULES[outcome]})


class UploaderCases:
    async def test_a_file_is_there_under_its_id(self, uploader: MediaUploader, side: Side) -> None:
        channel = a_channel(side.phone_number_id)
        ids = [await uploader.upload(channel, a_file(JPEG[:7], b"", JPEG[7:])) for _ in range(2)]
        assert len(set(ids)) == 2
        for media_id in ids:
            assert await side.has(media_id) == ("image/jpeg", len(JPEG))

    async def test_a_large_file_comes_whole(self, uploader: MediaUploader, side: Side) -> None:
        file = a_file(JPEG, *[bytes(65_536)] * 64)
        assert await side.has(await uploader.upload(a_channel(side.phone_number_id), file)) == ("image/jpeg", file.size)

    async def test_a_strange_name_breaks_nothing(self, uploader: MediaUploader, side: Side) -> None:
        file = a_file(JPEG, name='été "\r\n--.jpg')
        assert await side.has(await uploader.upload(a_channel(side.phone_number_id), file)) == ("image/jpeg", len(JPEG))

    @pytest.mark.parametrize("token", [None, ""])
    async def test_without_a_token_nothing_is_asked(self, uploader: MediaUploader, side: Side, token) -> None:
        with pytest.raises(AccountProblem):
            await uploader.upload(a_channel(side.phone_number_id, token), a_file(JPEG))

    @pytest.mark.parametrize("outcome", OUTCOMES)
    async def test_each_failure_has_its_class_and_the_next_file_goes_its_way(
        self, uploader: MediaUploader, side: Side, outcome: str
    ) -> None:
        channel, wanted = a_channel(side.phone_number_id), OUTCOMES[outcome]()
        await side.will(outcome)
        with pytest.raises(type(wanted)) as caught:
            await uploader.upload(channel, a_file(JPEG))
        assert getattr(caught.value, "graph_code", None) in (getattr(wanted, "graph_code", None), 130429)
        assert await uploader.upload(channel, a_file(JPEG))


class TestFakeUploader(UploaderCases):
    @pytest.fixture
    def side(self) -> FakeSide:
        return FakeSide()

    @pytest.fixture
    def uploader(self, side: FakeSide) -> FakeUploader:
        return side.uploader


class TestCloudApiUploader(UploaderCases):
    """Over real HTTP."""

    @pytest.fixture
    def side(self, graph: GraphSide) -> EmulatedSide:
        return EmulatedSide(graph)

    @pytest.fixture
    async def start(self) -> AsyncIterator[Callable[[str], CloudApiUploader]]:
        async with AsyncExitStack() as stack:

            def starting(url: str) -> CloudApiUploader:
                timeouts = Timeouts(connect=0.5, read=0.4, pool=0.6)
                api = ApiClient("uploads", url, timeouts=timeouts, tls=certificates())
                stack.push_async_callback(api.aclose)
                breakers = Breakers([Circuit(name="media", threshold=3, stays_open=30)])
                guard = Guard("uploads", Policy(total=10, attempt=10), breakers, "media", is_outage)
                return CloudApiUploader(api, guard, version="v24.0")

            yield starting

    @pytest.fixture
    def uploader(self, start, graph_url: str) -> CloudApiUploader:
        return start(graph_url)

    async def test_the_token_travels_in_the_header_alone_and_the_length_is_known(self, start) -> None:
        requests: list[bytes] = []

        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            length = int(requests[0].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            requests.append(await reader.readexactly(length))
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"id": "7800"}'[:-1])
            writer.close()

        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(NothingSent):  # the answer is cut: the file may be there, and is given again
                await start(url).upload(a_channel("900"), a_file(JPEG))
        head, body = requests
        assert head.startswith(b"POST /v24.0/900/media HTTP/1.1\r\n")
        assert f"authorization: bearer {TOKEN}".lower().encode() in head.lower()
        assert TOKEN.encode() not in body
        assert b'name="messaging_product"\r\n\r\nwhatsapp\r\n' in body
        assert b'name="type"\r\n\r\nimage/jpeg\r\n' in body

    async def test_a_file_that_breaks_off_is_not_taken_for_whole(self, uploader, side: EmulatedSide) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield JPEG[:5]
            raise NothingSent("the store broke")

        file = OutgoingFile(name="a.jpg", mime_type="image/jpeg", size=len(JPEG), chunks=broken())
        with pytest.raises(NothingSent):
            await uploader.upload(a_channel(side.phone_number_id), file)
        assert await side.graph.entries("media") == []

    async def test_whatsapp_is_left_alone_for_a_while_after_some_failures(self, uploader, side: EmulatedSide) -> None:
        channel = a_channel(side.phone_number_id)
        for _ in range(3):
            await side.will("gateway")
            with pytest.raises(NothingSent):
                await uploader.upload(channel, a_file(JPEG))
        with pytest.raises(NothingSent) as caught:
            await uploader.upload(channel, a_file(JPEG))
        assert caught.value.retry_after is not None
        assert await side.graph.entries("media") == []

    async def test_refusals_are_no_outage(self, uploader, side: EmulatedSide) -> None:
        channel = a_channel(side.phone_number_id)
        for outcome in ("refused", "throttled", "token refused", "refused"):
            await side.will(outcome)
            with pytest.raises(InboxError):
                await uploader.upload(channel, a_file(JPEG))
        assert await uploader.upload(channel, a_file(JPEG))

    async def test_a_number_in_trouble_keeps_no_files_of_others_back(self, uploader, side: EmulatedSide) -> None:
        for _ in range(4):
            await side.will("something went wrong")
            with pytest.raises(NothingSent):
                await uploader.upload(a_channel(side.phone_number_id), a_file(JPEG))
        waba = await side.graph.call("POST", "/wabas", {"numbers": [{"phone": f"3319000002{n}"} for n in range(4)]})
        numbers = [a_channel(number["id"]) for number in waba["numbers"]]
        assert await uploader.upload(numbers[0], a_file(JPEG))
        for channel in [*numbers, numbers[0]]:
            await side.will("something went wrong")
            with pytest.raises(NothingSent) as caught:
                await uploader.upload(channel, a_file(JPEG))
            assert caught.value.retry_after is None
        with pytest.raises(NothingSent) as caught:  # they all fail: that is no trouble of one number
            await uploader.upload(numbers[0], a_file(JPEG))
        assert caught.value.retry_after is not None

    async def test_a_type_that_whatsapp_does_not_take_is_refused_for_good(self, uploader, side: EmulatedSide) -> None:
        with pytest.raises(Refused):
            await uploader.upload(a_channel(side.phone_number_id), a_file(b"PK", mime_type="application/zip"))
