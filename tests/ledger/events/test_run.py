"""The run itself, in a few seconds: everybody hears everything once while a web side dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .stage import Stage, staged
from .story import Form, played

SMALL = Form(changes=900, clients=8, writers=2, accounts=3, talks=6, kill_every=2.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage


async def test_everybody_hears_everything_once_and_in_order_while_web_sides_die(stage: Stage) -> None:
    told = await played(stage, SMALL, 20261122, print)
    assert told.changes == SMALL.changes
    assert (dict(told.faults), told.resets) == ({}, 0)
    assert told.kills > 0
