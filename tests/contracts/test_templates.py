"""What every template source keeps: the whole list, changes as they were asked for, a word for each way of no."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.template_drafts import TemplateEdit
from inbox.domain.template_errors import TemplateExists, TemplateNotEditable, TemplateNotFound
from inbox.ports.templates import PAGE, TemplateSource

from .template_side import (
    AT,
    OUTCOMES,
    FakeTemplateSide,
    GraphTemplateSide,
    TemplateSide,
    WiredTemplates,
    a_channel,
    a_draft,
    every,
    texts,
)
from .whatsapp_side import GraphSide


class TemplateSourceCases:
    @pytest.fixture
    def channel(self, side: TemplateSide) -> Channel:
        return a_channel(side.waba_id)

    async def test_a_list_is_read_page_by_page_to_its_end(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        assert await every(source, channel) == []
        names = {f"name_{number:03d}" for number in range(PAGE + 5)}
        for name in sorted(names):
            await side.holds(name)
        assert {one.name for one in await every(source, channel)} == names

    async def test_a_list_of_exactly_one_page_has_no_second(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        for number in range(PAGE):
            await side.holds(f"name_{number:03d}")
        page = await source.page(channel, at=AT)
        assert (len(page.templates), page.after) == (PAGE, None)

    async def test_what_whatsapp_says_of_a_template_comes_with_the_time_of_the_reading(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        meta_id = await side.holds("velo_pret", "fr", status="PAUSED")
        (one,) = await every(source, channel)
        assert (one.name, one.language, one.meta_id, one.at) == ("velo_pret", "fr", meta_id, AT)
        assert (one.status, one.category, one.quality, one.reason) == ("PAUSED", "UTILITY", "UNKNOWN", None)
        assert (one.parameter_format, texts(one.components), one.is_whole) == ("POSITIONAL", ["Bonjour"], True)

    async def test_a_new_template_is_pending_and_in_the_list(self, source: TemplateSource, channel: Channel) -> None:
        created = await source.create(channel, a_draft())
        assert (created.status, created.category) == ("PENDING", "UTILITY")
        (one,) = await every(source, channel)
        assert (one.meta_id, texts(one.components)) == (created.meta_id, ["Bonjour {{1}}, votre vélo est prêt."])

    async def test_a_template_exists_once_in_a_language(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        await side.holds("velo_pret", "fr")
        with pytest.raises(TemplateExists):
            await source.create(channel, a_draft())
        await source.create(channel, a_draft(language="en"))

    async def test_an_edited_template_is_looked_at_again(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        meta_id = await side.holds("velo_pret")
        await source.edit(channel, meta_id, TemplateEdit(components=a_draft().components, category="MARKETING"))
        (one,) = await every(source, channel)
        assert (one.status, one.category) == ("PENDING", "MARKETING")
        assert texts(one.components) == ["Bonjour {{1}}, votre vélo est prêt."]

    async def test_what_is_being_looked_at_takes_no_change(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        meta_id = await side.holds("velo_pret", status="PENDING")
        with pytest.raises(TemplateNotEditable):
            await source.edit(channel, meta_id, TemplateEdit(category="MARKETING"))

    async def test_a_template_is_deleted_in_its_language_only(
        self, source: TemplateSource, side: TemplateSide, channel: Channel
    ) -> None:
        meta_id, english = await side.holds("velo_pret", "fr"), await side.holds("velo_pret", "en")
        await source.delete(channel, "velo_pret", meta_id)
        assert [one.meta_id for one in await every(source, channel)] == [english]

    async def test_what_is_not_there_is_not_found(self, source: TemplateSource, channel: Channel) -> None:
        for meta_id in ("799999999999999", "", "../me", "1?fields=x"):
            with pytest.raises(TemplateNotFound):
                await source.edit(channel, meta_id, TemplateEdit(category="MARKETING"))
            with pytest.raises(TemplateNotFound):
                await source.delete(channel, "velo_pret", meta_id)

    async def test_a_sample_gives_a_handle(self, source: TemplateSource, channel: Channel) -> None:
        handle = await source.upload_sample(channel, bytes(3_000_000), mime_type="image/jpeg", filename="vélo 1.jpg")
        assert handle.startswith("4::")

    @pytest.mark.parametrize(("waba_id", "token"), [(None, "t"), ("", "t"), ("1", None), ("1", "")])
    async def test_without_waba_or_token_nothing_is_asked(
        self, source: TemplateSource, waba_id: str | None, token: str | None
    ) -> None:
        channel = a_channel(waba_id, token)
        with pytest.raises(WhatsAppNotConfigured):
            await source.page(channel, at=AT)
        with pytest.raises(WhatsAppNotConfigured):
            await source.create(channel, a_draft())
        with pytest.raises(WhatsAppNotConfigured):
            await source.upload_sample(channel, b"x", mime_type="image/jpeg", filename="x")

    @pytest.mark.parametrize(("outcome", "error"), OUTCOMES.items())
    async def test_each_failure_has_its_word_and_the_next_call_goes_its_way(
        self, source: TemplateSource, side: TemplateSide, channel: Channel, outcome: str, error: type[InboxError]
    ) -> None:
        await side.will(outcome)
        with pytest.raises(error) as caught:
            await source.page(channel, at=AT)
        assert type(caught.value) is error
        assert await every(source, channel) == []


class TestFakeTemplateSource(TemplateSourceCases):
    @pytest.fixture
    def side(self) -> FakeTemplateSide:
        return FakeTemplateSide()

    @pytest.fixture
    def source(self, side: FakeTemplateSide) -> TemplateSource:
        return side.source


class TestCloudApiTemplates(TemplateSourceCases):
    """Over real HTTP; what only this source can get wrong is in `test_templates_cloud_api.py`."""

    @pytest.fixture
    async def side(self, graph: GraphSide) -> GraphTemplateSide:
        (waba,) = await graph.call("GET", "/wabas")
        await graph.call("PATCH", "/behaviour", {"template_review_delay": [60, 60]})
        return GraphTemplateSide(graph, waba["id"])

    @pytest.fixture
    async def source(self, side: GraphTemplateSide, graph_url: str) -> AsyncIterator[TemplateSource]:
        async with AsyncExitStack() as stack:
            wired = WiredTemplates(graph_url)
            stack.push_async_callback(wired.api.aclose)
            yield wired.source
