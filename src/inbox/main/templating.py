"""Wiring of message templates."""

from collections.abc import AsyncIterator
from datetime import timedelta

from dishka import Provider, Scope, provide

from inbox.adapters.messaging.cloud_api.templates import CloudApiTemplates
from inbox.domain.clock import Clock
from inbox.entrypoints.template_keeper import TemplateKeeper
from inbox.main.runtime import Runtime
from inbox.main.upstreams import Upstreams
from inbox.ports.database import Database
from inbox.ports.media import MediaStore
from inbox.ports.templates import TemplateSource
from inbox.services.rights import Rights
from inbox.services.templates import Templates


class Templating(Provider):
    """WhatsApp's lists, and who reads them."""

    scope = Scope.APP
    keeper = provide(TemplateKeeper)

    @provide
    async def source(self, runtime: Runtime, upstreams: Upstreams) -> AsyncIterator[TemplateSource]:
        api = upstreams.templates_client()
        version = runtime.settings.whatsapp.graph_version
        yield CloudApiTemplates(
            api, upstreams.templates_guard(), upstreams.templates_guard(samples=True), version=version
        )
        await api.aclose()

    @provide
    def templates(
        self,
        runtime: Runtime,
        database: Database,
        rights: Rights,
        source: TemplateSource,
        store: MediaStore,
        clock: Clock,
    ) -> Templates:
        hours = runtime.settings.whatsapp.template_sync_hours
        return Templates(database, rights, source, store, clock, every=timedelta(hours=hours) if hours else None)
