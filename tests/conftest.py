"""What every tier shares: the event loop of anyio's plugin."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "postgres_server",
    "database_fixtures",
    "redis_server",
    "applications",
    "process_fixtures",
    "supabase_js",
]


LONG = ("tests/api/test_fuzz.py", "tests/ledger/", "tests/crash/", "tests/main/", "tests/migrations/")
"""Where processes are started, or a test takes long for other reasons."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_configure() -> None:
    """How long an example takes says something about the machine, not about the code."""
    settings.register_profile("inbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("inbox")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that in the end no worker of the run waits for another one.

    Within both parts the order is that of chance.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
