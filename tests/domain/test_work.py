"""When work is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.work import back_off


@given(attempt=st.integers(0, 10**6), first=st.floats(0.01, 60), most=st.floats(60, 3600))
def test_every_wait_is_bounded_and_none_is_nothing(attempt: int, first: float, most: float) -> None:
    wait = back_off(attempt, first=first, most=most)
    assert timedelta(0) < wait <= timedelta(seconds=most)
    assert wait <= timedelta(seconds=first * 2.0 ** min(attempt, 20)) + timedelta(microseconds=1)
