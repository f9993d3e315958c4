"""The composition root: which adapter stands behind each port. Everything lives as long as the process."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

from dishka import AsyncContainer, Provider, Scope, from_context, make_async_container, provide, provide_all

from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.database.postgres.engine import Limits, check_durability, create_engine, intake_limits
from inbox.adapters.database.postgres.pool import connections
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.clock import Clock
from inbox.domain.contacts import CountryCode
from inbox.domain.work import WorkKind
from inbox.entrypoints.http.messages import SendWait
from inbox.entrypoints.http.monitoring import Lifecycle, MetricsToken
from inbox.entrypoints.http.uploads import UploadSeconds
from inbox.entrypoints.worker import Limits as WorkerLimits
from inbox.entrypoints.worker import Services as WorkerServices
from inbox.entrypoints.worker import Worker
from inbox.kit.breaker import Breakers
from inbox.kit.telemetry import Metrics
from inbox.main.assisting import Assisting
from inbox.main.caching import open_cache
from inbox.main.copiloting import Copiloting
from inbox.main.feeding import Telling
from inbox.main.keeping import Keeping
from inbox.main.keeping_files import open_media_store
from inbox.main.knowing import Knowing
from inbox.main.llm_settings import circuit_of
from inbox.main.models import Models
from inbox.main.observing import Observing, ingested, timed
from inbox.main.people import People, default_role
from inbox.main.reading import Reading
from inbox.main.runtime import Runtime
from inbox.main.signalling import open_bus
from inbox.main.templating import Templating
from inbox.main.vendors import Vendors
from inbox.main.watching import Watching
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.media import MediaStore
from inbox.ports.messaging import MediaSource, WebhookCodec
from inbox.ports.uploads import MediaUploader
from inbox.services.accounts import Accounts
from inbox.services.api_keys import ApiKeys
from inbox.services.bot import Bot
from inbox.services.contacts import Contacts
from inbox.services.conversations import Conversations
from inbox.services.decisions import Decisions
from inbox.services.handing_over import HandingOver
from inbox.services.ingest import Ingest
from inbox.services.intake import Intake
from inbox.services.media import Media
from inbox.services.media_files import MediaFiles
from inbox.services.members import Members
from inbox.services.notices import Notices
from inbox.services.outbound import Outbound
from inbox.services.processes import Processes
from inbox.services.reacting import Reacting
from inbox.services.read_receipts import ReadReceipts
from inbox.services.rights import Rights
from inbox.services.roles import Roles
from inbox.services.uploads import Uploads


class Core(Provider):
    """Services: they know ports only."""

    scope = Scope.APP
    runtime = from_context(Runtime, scope=Scope.APP)

    @provide
    def clock(self) -> Clock:
        return lambda: datetime.now(UTC)

    @provide
    def intake(self, runtime: Runtime, database: Database, codec: WebhookCodec, rights: Rights) -> Intake:
        whatsapp, within = runtime.settings.whatsapp, runtime.settings.intake.timeout
        token = whatsapp.verify_token.reveal() if whatsapp.verify_token else None
        is_signed = whatsapp.signature_required or codec.has_secret
        return Intake(database, codec, rights, verify_token=token, is_signed=is_signed, within=within)

    @provide
    def ingest(self, runtime: Runtime, database: Database, codec: WebhookCodec) -> Ingest:
        bot = runtime.settings.bot
        quiet, gather = timedelta(seconds=bot.quiet_seconds), timedelta(seconds=bot.gather_seconds)
        return Ingest(database, codec, quiet_for=quiet, gather_for=gather)

    @provide
    async def rights(self, database: Database, cache: Cache, processes: Processes) -> AsyncIterator[Rights]:
        rights = Rights(database, cache, processes)
        async with rights.watching():
            yield rights

    @provide
    def members(self, runtime: Runtime, database: Database, rights: Rights) -> Members:
        email = runtime.settings.users.bootstrap_email
        return Members(database, rights, bootstrap_email=email, default_role=default_role(runtime))

    @provide
    def worker_limits(self, runtime: Runtime, breakers: Breakers) -> WorkerLimits:
        settings, model = runtime.settings.worker, circuit_of(runtime.settings.llm)
        gates = {WorkKind.SEND: breakers.gate("whatsapp"), WorkKind.TURN: breakers.gate(model)}
        fetches = runtime.settings.media.fetches
        return WorkerLimits(sends=settings.sends, turns=settings.turns, fetches=fetches, gates=gates)

    @provide
    def worker_services(
        self, ingest: Ingest, outbound: Outbound, bot: Bot, media_files: MediaFiles, receipts: ReadReceipts
    ) -> WorkerServices:
        return WorkerServices(ingest=ingest, outbound=outbound, bot=bot, media_files=media_files, receipts=receipts)

    worker = provide(Worker)
    accounts = provide(Accounts)
    notices = provide(Notices)

    @provide
    def country_code(self, runtime: Runtime) -> CountryCode:
        return CountryCode(runtime.settings.whatsapp.country_code)

    @provide
    def media(
        self, runtime: Runtime, database: Database, rights: Rights, source: MediaSource, store: MediaStore
    ) -> Media:
        limit, readers = runtime.settings.whatsapp.max_media_bytes, runtime.settings.media.readers
        return Media(database, rights, source, store, limit=limit, readers=readers)

    @provide
    def media_files(
        self, runtime: Runtime, database: Database, source: MediaSource, store: MediaStore, clock: Clock
    ) -> MediaFiles:
        return MediaFiles(database, source, store, clock, limit=runtime.settings.whatsapp.max_media_bytes)

    @provide
    def uploads(self, runtime: Runtime, database: Database, rights: Rights, store: MediaStore) -> Uploads:
        settings = runtime.settings.media
        within = settings.upload_seconds + 30  # a slow client is told so before the store gives up
        return Uploads(database, rights, store, within=within, at_once=settings.uploads)

    @provide
    def upload_seconds(self, runtime: Runtime) -> UploadSeconds:
        return UploadSeconds(runtime.settings.media.upload_seconds)

    @provide
    def handing_over(
        self, runtime: Runtime, database: Database, uploader: MediaUploader, store: MediaStore, clock: Clock
    ) -> HandingOver:
        at_once = max(1, runtime.settings.worker.sends // 4)  # the rest is for messages without files
        within = timedelta(seconds=runtime.settings.media.handover_timeout)
        return HandingOver(database, uploader, store, clock, at_once=at_once, within=within)

    for_people = provide_all(Conversations, Contacts, Roles, ApiKeys, Outbound, Reacting, Decisions)

    lifecycle = provide(Lifecycle)

    @provide
    def send_wait(self, runtime: Runtime) -> SendWait:
        return SendWait(runtime.settings.send.wait_seconds)

    @provide
    def metrics_token(self, runtime: Runtime) -> MetricsToken:
        token = runtime.settings.metrics.auth_token
        return MetricsToken(token.reveal().encode() if token else None)


class Storage(Provider):
    """PostgreSQL: the database port; the bus, the cache that listens to it; the folder of media files."""

    scope = Scope.APP

    @provide
    async def events(self, runtime: Runtime, metrics: Metrics) -> AsyncIterator[Events]:
        events = open_bus(runtime, metrics)
        async with events.running():
            yield events

    @provide
    async def cache(self, runtime: Runtime, events: Events, metrics: Metrics) -> AsyncIterator[Cache]:
        cache = open_cache(runtime, events, metrics)
        async with cache.running():
            yield cache

    @provide
    def media(self, runtime: Runtime) -> MediaStore:
        return open_media_store(runtime)

    @provide
    async def database(self, runtime: Runtime, events: Events, metrics: Metrics) -> AsyncIterator[Database]:
        settings = runtime.settings.database
        engine = create_engine(
            runtime.database_url,
            pool_size=settings.pool_size,
            limits=Limits(statement=settings.statement_timeout),
            timed=timed(metrics, "main", slow=settings.slow_statement),
        )
        intake = create_engine(
            runtime.database_url,
            pool_size=settings.intake_pool_size,
            limits=intake_limits(runtime.settings.intake.timeout),
            application_name="inbox-intake",
            timed=timed(metrics, "intake", slow=settings.slow_statement),
        )
        metrics.gauges.databases |= {"main": partial(connections, engine), "intake": partial(connections, intake)}
        try:
            await check_durability(engine, allow_unsafe=settings.allow_unsafe_durability)
            database = PostgresDatabase(
                engine,
                intake,
                runtime.sealer,
                events,
                ingested(metrics),
                intake_every=settings.intake_commit_interval,
                intake_within=runtime.settings.intake.timeout,
            )
            async with database.running(auto_resend=runtime.settings.send.auto_resend):
                failpoints = runtime.settings.test.failpoints
                yield FaultyDatabase(database, Failpoints.parse(failpoints)) if failpoints else database
        finally:
            await intake.dispose()
            await engine.dispose()


def build(runtime: Runtime, *overrides: Provider) -> AsyncContainer:
    """The container, its graph checked. A later provider replaces what an earlier one gives: the seam of tests."""
    return make_async_container(
        Core(),
        Storage(),
        Vendors(),
        Models(),
        Assisting(),
        People(),
        Watching(),
        Observing(),
        Keeping(),
        Reading(),
        Templating(),
        Knowing(),
        Copiloting(),
        Telling(),
        *overrides,
        context={Runtime: runtime},
        skip_validation=False,
    )
