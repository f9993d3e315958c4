"""The ledger in some seconds: races, deaths, budgets, failures, canaries; and the broken variants that it notices."""

import pytest

from services.injections import INJECTIONS

from . import limits, races
from .mutants import MUTANTS, is_caught
from .stage import Desk, desk


@pytest.fixture
async def small(engine, database_url):
    async with desk(database_url) as one:
        yield one


async def test_nothing_is_said_lost_doubled_or_leaked_in_a_small_run(small: Desk) -> None:
    counts = await races.races(small, 12, 8)
    counts += await races.deaths(small)
    counts += await limits.budgets(small, 2)
    counts += await limits.failures(small)
    counts += await limits.canaries(small, INJECTIONS[::12])
    assert counts.is_sound(silence=0.0), counts
    assert counts.runs >= 40


@pytest.mark.parametrize("name", MUTANTS)
async def test_the_ledger_notices(small: Desk, name: str) -> None:
    broken, ours = await is_caught(small, name)
    assert getattr(broken, MUTANTS[name].fault) > 0, broken
    assert ours.is_sound(silence=0.0), ours
