"""What tests with processes of their own stand on, once per worker of the run."""

from collections.abc import Iterator

import pytest

from crash.stage import Stage, staged
from warm import Warm, warmed


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    with warmed() as warm:
        yield warm


@pytest.fixture(scope="session")
def stage(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One durable server, one emulator and one seeded database, which each crash and each ledger copies."""
    with staged(tmp_path_factory.mktemp("stage"), warm) as stage:
        yield stage
