"""The comparison notices what it is there for."""

from collections import Counter

import pytest

from .books import Fault, Heard, compared

OF = {"a": "ours", "b": "ours", "c": "theirs"}
MAY = frozenset({"ours"})


def heard(*numbers: int, talk: str = "a", account: str = "ours") -> list[Heard]:
    return [Heard(account=account, talk=talk, number=number) for number in numbers]


@pytest.mark.parametrize(
    ("told", "faults"),
    [
        (heard(1, 2, 3), {}),
        (heard(1, 3), {Fault.MISSED: 1}),
        (heard(1, 2), {Fault.MISSED: 1}),
        (heard(1, 2, 2, 3), {Fault.DOUBLED: 1}),
        (heard(2, 1, 3), {Fault.ORDER: 1}),
        (heard(1, 2, 3, 4), {Fault.FOREIGN: 1}),
        ([*heard(1, 2, 3), *heard(1, talk="c", account="theirs")], {Fault.FOREIGN: 1}),
        ([*heard(1, 2, 3), *heard(1, talk="c")], {Fault.FOREIGN: 1}),
        ([], {Fault.MISSED: 3}),
    ],
)
def test_a_fault_is_counted_where_it_is(told: list[Heard], faults: dict[Fault, int]) -> None:
    assert compared({"a": 3, "c": 5}, OF, MAY, told) == Counter(faults)
