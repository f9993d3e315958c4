"""Beside the worker old rows are removed again and again, and counted; a failure ends a sweep, not the keeper."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_delivery, execute, until
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.domain.errors import DatabaseUnavailable
from inbox.entrypoints.keeper import Keeper
from inbox.kit.telemetry import Metrics
from inbox.ports.deliveries import Sweeper
from inbox.services.retention import Ages, Retention
from inbox.services.uploads import UnusedUploads

NONE_LEFT = "select 1 where not exists (select from deliveries)"


async def an_old_delivery(engine: AsyncEngine) -> None:
    await a_delivery(engine)
    await execute(engine, "update deliveries set state = 'done', done_at = now() - interval '31 days'")


def unused(database: PostgresDatabase) -> UnusedUploads:
    return UnusedUploads(database, MemoryMediaStore(), age=timedelta(days=7))


class Broken:
    """A database whose sweeps fail, in two ways, before they go well."""

    def __init__(self, inner: PostgresDatabase) -> None:
        self.retention = self
        self.failures = [DatabaseUnavailable(), ZeroDivisionError("a bug")]
        self._inner = inner

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Sweeper | None]:
        if self.failures:
            raise self.failures.pop(0)
        async with self._inner.retention.alone() as sweeper:
            yield sweeper


async def test_it_sweeps_at_once_and_again_and_counts(database: PostgresDatabase, engine: AsyncEngine) -> None:
    metrics = Metrics()

    def removed() -> float | None:
        return metrics.registry.get_sample_value("inbox_rows_removed_total", {"what": "deliveries"})

    async with Keeper(Retention(database, Ages()), unused(database), metrics).running(every=0.01):
        for before in range(3):
            await an_old_delivery(engine)
            await until(engine, NONE_LEFT)
            assert (removed() or 0) >= before


async def test_a_failure_ends_one_sweep_only(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await an_old_delivery(engine)
    broken = Broken(database)
    async with Keeper(Retention(broken, Ages()), unused(database), Metrics()).running(every=0.01):  # type: ignore[arg-type]
        await until(engine, NONE_LEFT)
    assert broken.failures == []


async def test_it_ends_in_the_middle_of_a_sweep_and_gives_up_its_right(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    await an_old_delivery(engine)
    async with engine.begin() as other:
        await other.exec_driver_sql("lock table deliveries in exclusive mode")
        async with Keeper(Retention(database, Ages()), unused(database), Metrics()).running(every=60):
            await until(engine, "select 1 from pg_locks where not granted")
    async with database.retention.alone() as sweeper:
        assert sweeper is not None
