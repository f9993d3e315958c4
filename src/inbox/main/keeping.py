"""Stored deliveries for operators, and how long things are kept."""

from datetime import timedelta

from dishka import Provider, Scope, provide

from inbox.domain.clock import Clock
from inbox.entrypoints.keeper import Keeper
from inbox.main.runtime import Runtime
from inbox.ports.database import Database
from inbox.ports.media import MediaStore
from inbox.ports.messaging import WebhookCodec
from inbox.services.deliveries import Deliveries
from inbox.services.reconciliation import Reconciliation
from inbox.services.retention import Ages, Retention
from inbox.services.uploads import UnusedUploads


class Keeping(Provider):
    """What there is beside the work itself: looking after what was stored."""

    scope = Scope.APP

    deliveries = provide(Deliveries)
    retention = provide(Retention)

    @provide
    def unused_uploads(self, runtime: Runtime, database: Database, store: MediaStore) -> UnusedUploads:
        age = timedelta(days=runtime.settings.retention.unused_uploads_days)
        return UnusedUploads(database, store, age=age)

    keeper = provide(Keeper)

    @provide
    def ages(self, runtime: Runtime) -> Ages:
        settings = runtime.settings.retention
        return Ages(
            deliveries=timedelta(days=settings.deliveries_days),
            parked_statuses=timedelta(days=settings.parked_statuses_days),
            idempotency_keys=timedelta(hours=settings.idempotency_hours),
            events=timedelta(days=settings.events_days),
        )

    @provide
    def reconciliation(self, database: Database, codec: WebhookCodec, clock: Clock, ages: Ages) -> Reconciliation:
        return Reconciliation(database, codec, clock, statuses_kept=ages.parked_statuses)
