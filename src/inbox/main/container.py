"""The composition root: which adapter stands behind each port. Everything lives as long as the process."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from secrets import token_hex
from typing import Final

from dishka import AsyncContainer, Provider, Scope, from_context, make_async_container, provide

from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.database.faulty import Failpoints, FaultyDatabase
from inbox.adapters.database.postgres.engine import INTAKE, Limits, check_durability, create_engine
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.events.postgres import PostgresEvents
from inbox.adapters.identity.fake import FakeIdentity
from inbox.adapters.identity.local import LocalIdentity, LocalSignIn
from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.passwords import Passwords
from inbox.adapters.identity.supabase import SupabaseIdentity, SupabaseSecretIdentity
from inbox.adapters.llm.absent import NoAssistant
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.adapters.media.obstore import ObstoreMediaStore
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.adapters.messaging.cloud_api.errors import is_outage
from inbox.adapters.messaging.cloud_api.sender import TOTAL_SECONDS, CloudApiSender
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.clock import Clock
from inbox.entrypoints.http.messages import SendWait
from inbox.entrypoints.http.monitoring import Lifecycle, MetricsToken
from inbox.entrypoints.worker import Limits as WorkerLimits
from inbox.entrypoints.worker import Worker
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.fence_check import check_fence
from inbox.kit.http import ApiClient, Timeouts
from inbox.kit.http import Limits as HttpLimits
from inbox.kit.resilience import Guard, Observation, Policy
from inbox.kit.telemetry import Metrics
from inbox.main.runtime import Runtime
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.identity import Identity, SignIn
from inbox.ports.llm import Assistant
from inbox.ports.media import MediaStore
from inbox.ports.messaging import Sender, WebhookCodec
from inbox.services.bot import Bot, BotSettings
from inbox.services.conversations import Conversations
from inbox.services.ingest import Ingest
from inbox.services.intake import Intake
from inbox.services.members import Members
from inbox.services.outbound import Outbound

_SEND_KEEPALIVE: Final = 5.0
"""Seconds that an idle connection for sends is kept: stale ones make needless doubts."""


class Core(Provider):
    """Services: they know ports only."""

    scope = Scope.APP
    runtime = from_context(Runtime, scope=Scope.APP)

    @provide
    def clock(self) -> Clock:
        return lambda: datetime.now(UTC)

    @provide
    def intake(self, runtime: Runtime, database: Database, codec: WebhookCodec) -> Intake:
        whatsapp = runtime.settings.whatsapp
        token = whatsapp.verify_token.reveal() if whatsapp.verify_token else None
        return Intake(database, codec, verify_token=token, is_signed=whatsapp.signature_required or codec.has_secret)

    @provide
    def ingest(self, runtime: Runtime, database: Database, codec: WebhookCodec) -> Ingest:
        return Ingest(database, codec, quiet_for=timedelta(seconds=runtime.settings.bot.quiet_seconds))

    @provide
    def bot(self, runtime: Runtime, database: Database, assistant: Assistant, clock: Clock) -> Bot:
        number = runtime.settings.bot.human_backup_number
        settings = BotSettings(
            template=resources.files("inbox.services").joinpath("prompts/fr/assistant.txt").read_text("utf-8"),
            canary=f"ref-{token_hex(8)}",
            backup_number="".join(filter(str.isdigit, number)) if number else None,
        )
        return Bot(database, assistant, settings, clock)

    @provide
    def members(self, runtime: Runtime, database: Database) -> Members:
        users = runtime.settings.users
        role = None if users.default_role == "none" else users.default_role
        return Members(database, bootstrap_email=users.bootstrap_email, default_role=role)

    @provide
    def worker(
        self,
        runtime: Runtime,
        database: Database,
        events: Events,
        metrics: Metrics,
        ingest: Ingest,
        outbound: Outbound,
        bot: Bot,
    ) -> Worker:
        limits = WorkerLimits(sends=runtime.settings.worker.sends, turns=runtime.settings.worker.turns)
        return Worker(database, events, metrics, limits, ingest=ingest, outbound=outbound, bot=bot)

    conversations = provide(Conversations)
    outbound = provide(Outbound)

    @provide
    def metrics(self, runtime: Runtime) -> Metrics:
        return Metrics(page=runtime.settings.metrics.path)

    lifecycle = provide(Lifecycle)

    @provide
    def send_wait(self, runtime: Runtime) -> SendWait:
        return SendWait(runtime.settings.send.wait_seconds)

    @provide
    def metrics_token(self, runtime: Runtime) -> MetricsToken:
        token = runtime.settings.metrics.auth_token
        return MetricsToken(token.reveal().encode() if token else None)


class Storage(Provider):
    """PostgreSQL: the database port and the bus; the cache that listens to it; the folder of media files."""

    scope = Scope.APP

    @provide
    async def events(self, runtime: Runtime) -> AsyncIterator[Events]:
        events = PostgresEvents(runtime.database_url.replace("postgresql+asyncpg://", "postgresql://", 1))
        async with events.running():
            yield events

    @provide
    async def cache(self, events: Events) -> AsyncIterator[Cache]:
        cache = MemoryCache(events)
        async with cache.running():
            yield cache

    @provide
    def media(self, runtime: Runtime) -> MediaStore:
        return ObstoreMediaStore.in_folder(runtime.data_dir / "media")

    @provide
    async def database(self, runtime: Runtime, events: Events) -> AsyncIterator[Database]:
        settings = runtime.settings.database
        engine = create_engine(
            runtime.database_url, pool_size=settings.pool_size, limits=Limits(statement=settings.statement_timeout)
        )
        intake = create_engine(
            runtime.database_url,
            pool_size=settings.intake_pool_size,
            limits=INTAKE,
            application_name="inbox-intake",
        )
        try:
            await check_durability(engine, allow_unsafe=settings.allow_unsafe_durability)
            database = PostgresDatabase(engine, intake, runtime.sealer, events)
            async with database.running():
                failpoints = runtime.settings.test.failpoints
                yield FaultyDatabase(database, Failpoints.parse(failpoints)) if failpoints else database
        finally:
            await intake.dispose()
            await engine.dispose()


class Vendors(Provider):
    """WhatsApp, the language model and the identity provider."""

    scope = Scope.APP

    @provide
    def breakers(self, metrics: Metrics) -> Breakers:
        circuits = [
            Circuit(name="whatsapp", threshold=3, stays_open=30.0, shown_as="whatsapp_api"),
            Circuit(name="gemini", threshold=5, stays_open=60.0, shown_as="gemini_api"),
            Circuit(name="supabase", threshold=5, stays_open=30.0),
        ]
        return Breakers(circuits, on_change=metrics.circuit)

    @provide
    def codec(self, runtime: Runtime) -> WebhookCodec:
        return CloudApiCodec([secret.reveal().encode() for secret in runtime.settings.whatsapp.app_secret])

    @provide
    async def sender(self, runtime: Runtime, breakers: Breakers, metrics: Metrics) -> AsyncIterator[Sender]:
        settings = runtime.settings.whatsapp
        limits = HttpLimits(keepalive_for=_SEND_KEEPALIVE)
        api = ApiClient("whatsapp", settings.graph_url, timeouts=Timeouts(connect=3.0, read=7.0), limits=limits)
        await check_fence(api)
        policy = Policy(total=TOTAL_SECONDS, attempt=TOTAL_SECONDS)
        guard = Guard("whatsapp", policy, breakers, "whatsapp", is_outage, _observer(metrics))
        yield CloudApiSender(api, guard, version=settings.graph_version)
        await api.aclose()

    @provide
    async def assistant(self, runtime: Runtime, breakers: Breakers, metrics: Metrics) -> AsyncIterator[Assistant]:
        settings = runtime.settings.gemini
        if settings.api_key is None:
            yield NoAssistant()
            return
        api = ApiClient(
            "gemini",
            settings.url,
            timeouts=Timeouts(connect=3.0, read=12.0),
            limits=HttpLimits(body=256 * 1024),
        )
        policy = Policy(total=settings.total_timeout, attempt=12.0, attempts=3, wait_initial=0.5)
        guard = Guard("gemini", policy, breakers, "gemini", observe=_observer(metrics))
        yield GeminiAssistant(api, guard, api_key=settings.api_key.reveal(), model=settings.model)
        await api.aclose()


class People(Provider):
    """Who signs in where: at Supabase if it is configured, else at this service itself."""

    scope = Scope.APP

    @provide
    def tokens(self, runtime: Runtime, database: Database, clock: Clock) -> LocalTokens:
        return LocalTokens(database, f"{public_url(runtime)}/auth/v1", clock=clock)

    @provide
    def sign_in(self, runtime: Runtime, database: Database, tokens: LocalTokens, clock: Clock) -> SignIn:
        return LocalSignIn(database, tokens, Passwords(), secrets=runtime.token_secrets, clock=clock)

    @provide
    async def identity(
        self,
        runtime: Runtime,
        database: Database,
        tokens: LocalTokens,
        breakers: Breakers,
        metrics: Metrics,
        clock: Clock,
    ) -> AsyncIterator[Identity]:
        supabase = runtime.settings.supabase
        if supabase.url is None:
            yield LocalIdentity(database, tokens, clock=clock)
            return
        issuers = [f"{supabase.url.rstrip('/')}/auth/v1"]
        if supabase.jwt_secret is not None:
            secret = supabase.jwt_secret.reveal().encode()
            yield SupabaseSecretIdentity(secret, issuers=issuers, clock=clock, is_email_trusted=supabase.email_trusted)
            return
        api = ApiClient("supabase", supabase.url, timeouts=Timeouts(connect=3.0, read=5.0))
        guard = Guard("supabase", Policy(total=5.0, attempt=5.0), breakers, "supabase", observe=_observer(metrics))
        identity = SupabaseIdentity(api, guard, issuers=issuers, clock=clock, is_email_trusted=supabase.email_trusted)
        yield identity
        await identity.aclose()
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

    @provide(override=True)
    def sender(self, sender: FakeSender) -> Sender:
        return sender

    @provide(override=True)
    def assistant(self, assistant: FakeAssistant) -> Assistant:
        return assistant

    @provide(override=True)
    def identity(self) -> Identity:
        return FakeIdentity()


def public_url(runtime: Runtime) -> str:
    """Where people reach this service; the issuer of its tokens."""
    http = runtime.settings.http
    return (http.public_url or f"http://{http.host}:{http.port}").rstrip("/")


def build(runtime: Runtime, *overrides: Provider) -> AsyncContainer:
    """The container, its graph checked. A later provider replaces what an earlier one gives: the seam of tests."""
    return make_async_container(
        Core(), Storage(), Vendors(), People(), *overrides, context={Runtime: runtime}, skip_validation=False
    )


def _observer(metrics: Metrics) -> Callable[[Observation], None]:
    return lambda seen: metrics.upstream(seen.name, seen.outcome, seen.took)
