"""One durable server, one emulator and one seeded database for all crash tests of a run."""

from collections.abc import Iterator

import pytest

from .stage import Stage, staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("crash")) as stage:
        yield stage
