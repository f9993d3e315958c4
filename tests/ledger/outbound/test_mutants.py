"""The comparison is able to fail: each broken variant of our code is noticed, and ours is not taken for one."""

import pytest

from crash.stage import Stage
from ledger.mutating import SOUND

from .mutants import MUTANTS
from .scenarios import played


@pytest.mark.parametrize("name", MUTANTS)
async def test_the_comparison_notices(stage: Stage, name: str) -> None:
    found = await played(stage, name, name)
    assert found.counts[MUTANTS[name].fault] > 0, found


@pytest.mark.parametrize("story", ["reaper_requeues_wire", "no_token_check", "ack_without_commit"])
async def test_our_own_code_survives_the_story_of(stage: Stage, story: str) -> None:
    found = await played(stage, story, SOUND)
    assert not found.counts, found
    assert found.ends.total() == 1
