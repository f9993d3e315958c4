"""WhatsApp and the media behind it; and the fakes that stand in for all vendors, the language model's as well."""

from collections.abc import AsyncIterator, Callable

from dishka import Provider, Scope, provide

from inbox.adapters.identity.fake import FakeIdentity
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.adapters.messaging.cloud_api.media import CloudApiMedia
from inbox.adapters.messaging.cloud_api.receipts import CloudApiReceipts
from inbox.adapters.messaging.cloud_api.sender import CloudApiSender
from inbox.adapters.messaging.cloud_api.uploads import CloudApiUploader
from inbox.adapters.messaging.fake import FakeSender
from inbox.adapters.messaging.fake_media import FakeMediaSource
from inbox.adapters.messaging.fake_receipts import FakeReceipts
from inbox.adapters.messaging.fake_templates import FakeTemplateSource
from inbox.adapters.messaging.fake_uploads import FakeUploader
from inbox.kit.breaker import Breakers
from inbox.kit.fence_check import check_fence
from inbox.kit.resilience import Observation
from inbox.kit.telemetry import Metrics
from inbox.main.observing import circuit_changed
from inbox.main.people import PeopleIdentity
from inbox.main.runtime import Runtime
from inbox.main.upstreams import Upstreams, circuits
from inbox.ports.llm import Assistant
from inbox.ports.messaging import MediaSource, Receipts, Sender, WebhookCodec
from inbox.ports.monitoring import Circuits
from inbox.ports.templates import TemplateSource
from inbox.ports.uploads import MediaUploader


class Vendors(Provider):
    """WhatsApp, and the circuits of all vendors."""

    scope = Scope.APP

    @provide
    def breakers(self, runtime: Runtime, metrics: Metrics) -> Breakers:
        return Breakers(circuits(runtime.settings), on_change=circuit_changed(metrics))

    @provide
    def circuits(self, breakers: Breakers) -> Circuits:
        return breakers

    @provide
    def upstreams(
        self, runtime: Runtime, breakers: Breakers, metrics: Metrics, calls: Callable[[Observation], None]
    ) -> Upstreams:
        return Upstreams(runtime.settings, breakers, calls, metrics.gauges)

    @provide
    def codec(self, runtime: Runtime) -> WebhookCodec:
        return CloudApiCodec([secret.reveal().encode() for secret in runtime.settings.whatsapp.app_secret])

    @provide
    async def sender(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[Sender]:
        api = upstreams.whatsapp_client()
        await check_fence(api)
        yield CloudApiSender(api, upstreams.whatsapp_guard(), version=runtime.settings.whatsapp.graph_version)
        await api.aclose()

    @provide
    async def receipts(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[Receipts]:
        api = upstreams.receipts_client()
        yield CloudApiReceipts(api, upstreams.receipts_guard(), version=runtime.settings.whatsapp.graph_version)
        await api.aclose()

    @provide
    async def media_source(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[MediaSource]:
        settings = runtime.settings.whatsapp
        api = upstreams.media_client()
        yield CloudApiMedia(
            api, upstreams.media_guard(), version=settings.graph_version, idle=settings.media_read_timeout
        )
        await api.aclose()

    @provide
    async def media_uploader(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[MediaUploader]:
        api = upstreams.upload_client()
        yield CloudApiUploader(api, upstreams.upload_guard(), version=runtime.settings.whatsapp.graph_version)
        await api.aclose()


class Fakes(Provider):
    """Vendors without vendors, on the real database: for tests and for work on a front end."""

    scope = Scope.APP

    @provide
    def fake_sender(self) -> FakeSender:
        return FakeSender()

    @provide
    def fake_assistant(self) -> FakeAssistant:
        return FakeAssistant()

    @provide
    def fake_receipts(self) -> FakeReceipts:
        return FakeReceipts()

    @provide
    def fake_media_source(self) -> FakeMediaSource:
        return FakeMediaSource()

    @provide
    def fake_uploader(self) -> FakeUploader:
        return FakeUploader()

    @provide
    def fake_templates(self) -> FakeTemplateSource:
        return FakeTemplateSource()

    @provide(override=True)
    def templates(self, source: FakeTemplateSource) -> TemplateSource:
        return source

    @provide(override=True)
    def media_uploader(self, uploader: FakeUploader) -> MediaUploader:
        return uploader

    @provide(override=True)
    def sender(self, sender: FakeSender) -> Sender:
        return sender

    @provide(override=True)
    def receipts(self, receipts: FakeReceipts) -> Receipts:
        return receipts

    @provide(override=True)
    def media_source(self, source: FakeMediaSource) -> MediaSource:
        return source

    @provide(override=True)
    def assistant(self, assistant: FakeAssistant) -> Assistant:
        return assistant

    @provide(override=True)
    def people(self) -> PeopleIdentity:
        return FakeIdentity()
