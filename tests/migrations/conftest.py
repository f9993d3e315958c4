"""A database of its own for each test, new or as the old scripts left it."""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from inbox.kit.sealing import Sealer
from inbox.main.embedded import Server
from migrations.migration_database import execute
from postgres_server import create_database, drop_database, template

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def encryption_keys() -> str:
    return base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="session")
def sealer(encryption_keys: str) -> Sealer:
    return Sealer.from_setting(encryption_keys)


@pytest.fixture
def create(postgres: Server) -> Iterator[Callable[..., str]]:
    """Makes a database in which SQL files of this folder were run; gives its URL."""
    made: list[str] = []

    def run(url: str, scripts: tuple[str, ...]) -> None:
        for script in scripts:
            execute(url, HERE / f"{script}.sql")

    def database(*scripts: str) -> str:
        copied = template(postgres, partial(run, scripts=scripts), "_".join(scripts)) if scripts else None
        made.append(f"migrations_{uuid4().hex}")
        return create_database(postgres, made[-1], template=copied)

    yield database
    for name in made:
        drop_database(postgres, name)


@pytest.fixture
def new_database(create: Callable[..., str]) -> str:
    return create()


@pytest.fixture
def old_database(create: Callable[..., str]) -> str:
    """Scripts 001 to 010, with rows."""
    return create("old_layout", "old_indexes", "old_rows")
