"""The public status of a message only rises."""

from itertools import permutations, product

import pytest

from inbox.domain.messages import FAILURES, FROM_META, RANK, Status, later


@pytest.mark.parametrize(("current", "seen"), list(product(RANK, RANK)))
def test_the_rank_never_falls(current: Status, seen: Status) -> None:
    after = later(current, seen)
    assert RANK[after] >= RANK[current]
    assert after in (current, seen)


@pytest.mark.parametrize("heard", list(permutations([Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED])))
def test_the_order_in_which_statuses_come_does_not_matter(heard: tuple[Status, ...]) -> None:
    status = Status.PENDING
    for seen in (*heard, *heard):
        status = later(status, seen)
    assert status is Status.READ


def test_failed_is_final_but_for_a_proof_of_delivery() -> None:
    assert later(Status.FAILED, Status.SENT) is Status.FAILED
    assert later(Status.FAILED, Status.PENDING) is Status.FAILED
    assert later(Status.FAILED, Status.DELIVERED) is Status.DELIVERED
    assert later(Status.DELIVERED, Status.FAILED) is Status.DELIVERED


def test_every_word_of_meta_that_moves_the_status_has_a_rank() -> None:
    assert set(FROM_META.values()) <= set(RANK)
    assert set(RANK) == set(Status) - {Status.RECEIVED}


def test_the_codes_of_the_contract_are_explained_in_words() -> None:
    assert set(FAILURES) >= {100, 190, 131026, 131030, 131042, 131047, 131048, 131051, 131052}
    assert all(text.endswith(".") for text in FAILURES.values())
