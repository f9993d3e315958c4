"""What every tier shares: the event loop of anyio's plugin."""

import pytest

pytest_plugins = ["postgres_server", "database_fixtures", "redis_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
