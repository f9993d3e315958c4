"""Ids sort by time, and the id of an item of a delivery is always the same."""

import time
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.ids import uuid7, uuid7_at

Place: TypeAlias = tuple[datetime, int, int]

TIMES = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda at: at.replace(tzinfo=UTC, microsecond=at.microsecond // 1000 * 1000)
)
SERIALS = st.tuples(st.integers(0, 2**54 - 1), st.integers(0, 2**20 - 1))
PLACES = st.builds(lambda when, place: (when, *place), TIMES, SERIALS)


@given(PLACES)
def test_an_id_has_the_layout_of_the_rfc(place: Place) -> None:
    when = place[0]
    made = uuid7_at(*place)
    assert made.version == 7
    assert made.variant == RFC_4122
    milliseconds = made.int >> 80
    assert abs(milliseconds - (when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) <= 1


@given(PLACES)
def test_the_same_item_always_gets_the_same_id(place: Place) -> None:
    assert uuid7_at(*place) == uuid7_at(*place)


@given(when=TIMES, one=SERIALS, other=SERIALS)
def test_ids_of_one_moment_sort_by_delivery_and_place(
    when: datetime, one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert (uuid7_at(when, *one) < uuid7_at(when, *other)) is (one < other)


@given(one=PLACES, later_by=st.integers(2, 10**9))
def test_an_earlier_delivery_sorts_first(one: Place, later_by: int) -> None:
    when, serial, index = one
    assert uuid7_at(when, serial, index) < uuid7_at(when + timedelta(milliseconds=later_by), 0, 0)


def test_new_ids_differ_and_carry_the_time_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 1000
    assert all(one.version == 7 and before <= one.int >> 80 <= after for one in made)
