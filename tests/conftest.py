"""What every tier shares: the event loop of anyio's plugin."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["postgres_server", "database_fixtures", "redis_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_configure() -> None:
    """How long an example takes says something about the machine, not about the code."""
    settings.register_profile("inbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("inbox")
