"""The door to PostgreSQL, and the one form of a transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import audit, event_log, ingest, lanes
from inbox.adapters.database.postgres.accounts import PostgresAccounts
from inbox.adapters.database.postgres.api_keys import PostgresApiKeys
from inbox.adapters.database.postgres.archive import PostgresArchive, PostgresReplays
from inbox.adapters.database.postgres.bot import PostgresBot
from inbox.adapters.database.postgres.contacts import PostgresContacts
from inbox.adapters.database.postgres.conversations import PostgresConversations
from inbox.adapters.database.postgres.deliveries import STORE_SECONDS, PostgresDeliveries
from inbox.adapters.database.postgres.delivery_outcomes import DeliveryOutcomes
from inbox.adapters.database.postgres.engine import database_errors, forget_failure, has_failed
from inbox.adapters.database.postgres.event_feed import PostgresEventLog, PostgresTickets
from inbox.adapters.database.postgres.knowledge import PostgresArticles
from inbox.adapters.database.postgres.knowledge_search import PostgresKnowledge
from inbox.adapters.database.postgres.local_accounts import PostgresLocalAccounts
from inbox.adapters.database.postgres.media_files import PostgresMediaFiles
from inbox.adapters.database.postgres.members import CHANGE_RIGHTS, PostgresMembers
from inbox.adapters.database.postgres.messages import PostgresMessages
from inbox.adapters.database.postgres.operations import PostgresOperations
from inbox.adapters.database.postgres.outbox import PostgresOutbox
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.queries_bot import PostgresBotQueries
from inbox.adapters.database.postgres.queries_team import PostgresTeam
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.receipts import PostgresReceipts
from inbox.adapters.database.postgres.retention import PostgresRetention
from inbox.adapters.database.postgres.roles import PostgresRoles
from inbox.adapters.database.postgres.templates import PostgresTemplates
from inbox.adapters.database.postgres.uploads import PostgresUploads
from inbox.domain.audit import AuditEntry
from inbox.domain.errors import CommitUnknown, DatabaseTimeout
from inbox.domain.events import Event
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.signals import Signal, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.kit.boundaries import forbid_open_transaction, inside_transaction
from inbox.kit.sealing import Sealer
from inbox.ports.bot import Bot, BotQueries
from inbox.ports.database import Deliveries, Outbox, Work
from inbox.ports.deliveries import Archive, Replays, Retention
from inbox.ports.events import Events
from inbox.ports.feed import EventLog, Tickets
from inbox.ports.knowledge import Articles, KnowledgeQueries
from inbox.ports.local_accounts import LocalAccounts
from inbox.ports.monitoring import Operations
from inbox.ports.queries import Queries
from inbox.ports.receipts import ReadReceipts
from inbox.ports.records import Applied, InboundBatch
from inbox.ports.repositories import (
    Accounts,
    ApiKeys,
    Contacts,
    Conversations,
    MediaFiles,
    Members,
    Messages,
    Roles,
)
from inbox.ports.team import Team
from inbox.ports.templates import StoredTemplates
from inbox.ports.uploads import Uploads


class PostgresTransaction:
    """What changes together. Deliveries, finished lanes and events are written last, whatever the order of calls."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self.signals: list[Signal] = []
        self._events: list[Event] = []
        self.accounts: Accounts = PostgresAccounts(connection, sealer, self._events)
        self.contacts: Contacts = PostgresContacts(connection, self._events)
        ready: set[ConversationId] = set()
        self.conversations: Conversations = PostgresConversations(connection, self._events, ready)
        self.messages: Messages = PostgresMessages(connection, self._events, self.wake, ready)
        self.media_files: MediaFiles = PostgresMediaFiles(connection)
        self.uploads: Uploads = PostgresUploads(connection)
        self.members: Members = PostgresMembers(connection)
        self.roles: Roles = PostgresRoles(connection)
        self.api_keys: ApiKeys = PostgresApiKeys(connection)
        self.bot: Bot = PostgresBot(connection)
        self.local_accounts: LocalAccounts = PostgresLocalAccounts(connection, sealer)
        self.replays: Replays = PostgresReplays(connection)
        self.receipts: ReadReceipts = PostgresReceipts(connection, sealer)
        self.templates: StoredTemplates = PostgresTemplates(connection, self._events)
        self.knowledge: Articles = PostgresArticles(connection)
        self._connection = connection
        self._audited: list[AuditEntry] = []
        self._held = lanes.HeldLanes(connection)
        self._outcomes = DeliveryOutcomes(connection)
        self._ingested = ingest.Ingested()

    async def apply(self, batch: InboundBatch) -> Applied:
        done = await ingest.apply(self._connection, batch, self._outcomes)
        self._events += done.events
        self.signals += done.signals
        self._ingested.add(done)
        return done.applied

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await self._held.lock(lanes)

    async def enqueue(
        self, kind: WorkKind, key: str, *, account_id: AccountId | None, due_in: timedelta = timedelta()
    ) -> None:
        await lanes.enqueue(self._connection, kind, key, account_id=account_id, due_in=due_in)
        self.wake(WorkWaiting(kind))

    async def record(self, *events: Event) -> None:
        self._events += events

    async def audit(self, *entries: AuditEntry) -> None:
        self._audited += entries

    async def change_rights(self) -> None:
        await self._connection.execute(CHANGE_RIGHTS)

    def wake(self, *signals: Signal) -> None:
        self.signals += signals

    def ingested(self) -> ingest.Ingested | None:
        """What became of deliveries; None if the transaction had nothing to do with any."""
        self._ingested.deliveries = self._outcomes.closed
        return self._ingested if self._ingested != ingest.Ingested() else None

    async def complete(self) -> None:
        """What has to come last: deliveries, then the lanes they belong to, then the event log."""
        if has_failed(self._connection):
            raise RuntimeError("a statement of this transaction failed and its error was swallowed: it cannot commit")
        await self._outcomes.write()
        await self._held.finish()
        await audit.write(self._connection, self._audited)
        self.wake(*await event_log.record(self._connection, self._events))


class PostgresDatabase:
    """PostgreSQL as the service sees it."""

    def __init__(
        self,
        engine: AsyncEngine,
        intake: AsyncEngine,
        sealer: Sealer,
        events: Events,
        counted: Callable[[ingest.Ingested], None] = lambda _: None,
        *,
        intake_every: float = 0.0,
        intake_within: float = STORE_SECONDS,
    ) -> None:
        """`intake` is a small pool of its own, so that a webhook never waits behind a screen.

        `counted` is told what became of deliveries, after the commit. `intake_every` is the least time in seconds
        between two commits of webhooks, and none takes more than `intake_within`.
        """
        self._deliveries = PostgresDeliveries(engine, intake, events, every=intake_every, within=intake_within)
        self.deliveries: Deliveries = self._deliveries
        self.work: Work = lanes.PostgresWork(engine)
        self._outbox = PostgresOutbox(engine, sealer, events)
        self.outbox: Outbox = self._outbox
        reader = Reader(engine)
        self.queries: Queries = PostgresQueries(reader, sealer)
        self.team: Team = PostgresTeam(reader)
        self.operations: Operations = PostgresOperations(reader)
        self.archive: Archive = PostgresArchive(reader)
        self.retention: Retention = PostgresRetention(engine)
        self.knowledge: KnowledgeQueries = PostgresKnowledge(reader)
        self.bot: BotQueries = PostgresBotQueries(reader)
        self.event_log: EventLog = PostgresEventLog(engine)
        self.tickets: Tickets = PostgresTickets(engine)
        self._engine = engine
        self._sealer = sealer
        self._events = events
        self._counted = counted

    @asynccontextmanager
    async def running(self, *, auto_resend: bool = False) -> AsyncIterator[None]:
        """Webhooks can be stored and messages sent inside. Entered once, by main, never in a transaction.

        `auto_resend` is for the outbox.
        """
        async with self._outbox.running(auto_resend=auto_resend), self._deliveries.running():
            yield

    @asynccontextmanager
    async def transaction(self, *, within: float = 5.0) -> AsyncIterator[PostgresTransaction]:
        """Raises RuntimeError inside another transaction, and if the body swallowed a failed statement."""
        forbid_open_transaction()
        is_committing = False
        try:
            async with asyncio.timeout(within):
                with inside_transaction(), database_errors():
                    async with self._engine.connect() as connection:
                        forget_failure(connection)
                        tx = PostgresTransaction(connection, self._sealer)
                        yield tx
                        await tx.complete()
                        is_committing = True
                        with database_errors(committing=True):
                            await connection.commit()
                        is_committing = False
        except TimeoutError as error:
            raise (CommitUnknown if is_committing else DatabaseTimeout) from error
        self._events.publish(*dict.fromkeys(tx.signals))
        if (ingested := tx.ingested()) is not None:
            self._counted(ingested)
