"""What every media source keeps: the whole file or an error, and a word for each way that WhatsApp says no."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from inbox.domain.errors import AccountTokenMissing, InboxError, MediaExpired, PayloadTooLarge

from .media_side import OUTCOMES, Downloading, FakeMediaSide, GraphMediaSide, MediaSide, WiredMedia, a_channel
from .whatsapp_side import GraphSide

JPEG = b"\xff\xd8\xff\x00--not-a-boundary\r\n\r\n\xff\xd9\r\n"


class MediaSourceCases:
    async def test_a_file_comes_byte_for_byte(self, download: Downloading, side: MediaSide) -> None:
        large = bytes(range(256)) * 2_000
        for data in (JPEG, large):
            assert await download(await side.holds(data)) == data

    async def test_what_whatsapp_names_is_known_before_the_bytes(self, download: Downloading, side: MediaSide) -> None:
        media_id = await side.holds(JPEG, "application/pdf")
        async with download.source.open(download.channel, media_id, limit=100) as stream:
            assert (stream.mime_type, stream.size) == ("application/pdf", len(JPEG))
            assert stream.sha256 == hashlib.sha256(JPEG).hexdigest()

    async def test_a_file_may_be_left_in_the_middle(self, download: Downloading, side: MediaSide) -> None:
        media_id = await side.holds(bytes(500_000))
        async with download.source.open(download.channel, media_id, limit=500_000) as stream:
            assert await anext(aiter(stream.chunks))
        assert len(await download(media_id)) == 500_000

    async def test_as_many_bytes_as_the_limit_are_not_too_many(self, download: Downloading, side: MediaSide) -> None:
        media_id = await side.holds(bytes(1_000))
        assert len(await download(media_id, limit=1_000)) == 1_000
        with pytest.raises(PayloadTooLarge):
            await download(media_id, limit=999)

    @pytest.mark.parametrize("media_id", ["799999999999999", "", "../me", "1?fields=x", "7/../8", "é", "7" * 200])
    async def test_an_id_that_names_no_file_is_expired_or_invalid(self, download: Downloading, media_id: str) -> None:
        with pytest.raises(MediaExpired):
            await download(media_id)

    @pytest.mark.parametrize("token", [None, ""])
    async def test_without_a_token_nothing_is_asked(
        self, download: Downloading, side: MediaSide, token: str | None
    ) -> None:
        download.channel = a_channel(side.phone_number_id, token)
        with pytest.raises(AccountTokenMissing):
            await download(await side.holds(JPEG))

    @pytest.mark.parametrize(("outcome", "error"), OUTCOMES.items())
    async def test_each_failure_has_its_word_and_the_next_call_goes_its_way(
        self, download: Downloading, side: MediaSide, outcome: str, error: type[InboxError]
    ) -> None:
        media_id = await side.holds(JPEG)
        await side.will(outcome)
        with pytest.raises(error) as caught:
            await download(media_id)
        assert type(caught.value) is error
        assert await download(media_id) == JPEG


class TestFakeMediaSource(MediaSourceCases):
    @pytest.fixture
    def side(self) -> FakeMediaSide:
        return FakeMediaSide()

    @pytest.fixture
    def download(self, side: FakeMediaSide) -> Downloading:
        return Downloading(side.source)


class TestCloudApiMedia(MediaSourceCases):
    """Over real HTTP; what only this source can get wrong is in `test_media_source_cloud_api.py`."""

    @pytest.fixture
    def side(self, graph: GraphSide) -> GraphMediaSide:
        return GraphMediaSide(graph)

    @pytest.fixture
    async def download(self, graph: GraphSide, graph_url: str) -> AsyncIterator[Downloading]:
        async with AsyncExitStack() as stack:
            wired = WiredMedia(graph_url)
            stack.push_async_callback(wired.api.aclose)
            yield Downloading(wired.source, a_channel(graph.phone_number_id))
