"""One durable server for all runs; each has a database of its own in it."""

from collections.abc import Iterator

import pytest

from crash.stage import Stage, staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("ledger")) as stage:
        yield stage
