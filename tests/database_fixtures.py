"""A real PostgreSQL for each worker of the run: migrated once, cloned per worker, emptied between tests."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER
from inbox.adapters.database.postgres import (  # noqa: F401 - complete the metadata
    inbound_tables,
    knowledge_tables,
    process_tables,
    team_tables,
    work_tables,
)
from inbox.adapters.database.postgres.engine import INTAKE, create_engine
from inbox.adapters.database.postgres.tables import metadata
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.signals import Signal
from inbox.main.embedded import Server
from inbox.main.migrating import upgrade
from inbox.ports.events import Wanted
from postgres_server import create_database, drop_database, template

KEPT = frozenset({"app_permissions", "app_roles", "role_permissions", "rights_version", "event_log_state"})
"""What the migrations seed."""


class RecordedSignals:
    """The bus of one test: what was published, in order."""

    def __init__(self) -> None:
        self.published: list[Signal] = []

    def publish(self, *signals: Signal) -> None:
        self.published.extend(signals)

    @contextlib.asynccontextmanager
    async def subscribe(self, wanted: Wanted | None = None) -> AsyncIterator[AsyncIterator[Signal]]:
        async def nothing() -> AsyncIterator[Signal]:
            return
            yield

        yield nothing()


def _migrate(url: str) -> None:
    upgrade(url, sealer=SEALER)


@pytest.fixture(scope="session")
def database_url(postgres: Server, worker_id: str) -> Iterator[str]:
    name = f"inbox_{worker_id}"
    create_database(postgres, name, template=template(postgres, _migrate))
    yield postgres.url_for(name)
    drop_database(postgres, name)


@pytest.fixture(scope="session")
async def shared_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=12)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def intake_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=2, limits=INTAKE)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(shared_engine: AsyncEngine) -> AsyncEngine:
    """The pool, on an empty database."""
    tables = [table.name for table in reversed(metadata.sorted_tables) if table.name not in KEPT]
    async with shared_engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        # The audit trail refuses to be deleted: this switch lets triggers rest.
        deletes = [f"delete from {table}" for table in tables]  # noqa: S608 - names of our schema
        await raw.execute(
            ";".join(["set session_replication_role = replica", *deletes, "reset session_replication_role"])
        )
    return shared_engine


@pytest.fixture
def signals() -> RecordedSignals:
    return RecordedSignals()


@pytest.fixture
async def database(
    engine: AsyncEngine, intake_engine: AsyncEngine, signals: RecordedSignals
) -> AsyncIterator[PostgresDatabase]:
    """The adapter, running, on an empty database."""
    database = PostgresDatabase(engine, intake_engine, SEALER, signals)
    async with database.running():
        yield database
