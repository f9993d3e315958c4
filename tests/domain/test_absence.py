"""The proof that a message never arrived: each part of it is needed."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from inbox.domain.absence import BACKLOG, CANARIES, SILENT_FOR, Evidence, is_absent

PROOF = Evidence(
    silent_for=SILENT_FOR,
    canaries=CANARIES,
    backlog=timedelta(),
    strays=0,
    is_over=True,
    is_first=True,
    is_free_form=True,
    is_timely=True,
)


def test_all_of_it_together_is_a_proof() -> None:
    assert is_absent(PROOF)


@pytest.mark.parametrize(
    "weaker",
    [
        {"silent_for": SILENT_FOR - timedelta(seconds=1)},
        {"canaries": CANARIES - 1},
        {"backlog": BACKLOG},
        {"strays": 1},
        {"is_over": False},
        {"is_first": False},
        {"is_free_form": False},
        {"is_timely": False},
    ],
)
def test_without_one_part_it_is_none(weaker: dict[str, Any]) -> None:
    assert not is_absent(msgspec.structs.replace(PROOF, **weaker))


def test_every_part_of_the_evidence_was_taken_away_once() -> None:
    assert len(msgspec.structs.fields(Evidence)) == 8
