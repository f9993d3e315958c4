"""How fast messages may leave."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from inbox.domain import pacing
from inbox.domain.messages import Author
from inbox.domain.pacing import BURST, FLOOR, RECOVERY, PairLimit, Priority, pair_wait

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
RATES = st.floats(1, 1_000)


@given(rate=RATES, gaps=st.lists(st.floats(0, 2), min_size=1, max_size=40), asked=st.integers(1, 500))
def test_no_span_of_time_ever_gets_more_than_its_rate_and_one_burst(rate: float, gaps: list[float], asked: int) -> None:
    now, free_at = START, None
    left: list[tuple[datetime, int]] = []
    for gap in gaps:
        now += timedelta(seconds=gap)
        count = min(asked, pacing.tokens(free_at, now, rate))
        free_at = pacing.after(free_at, now, rate, count)
        left.append((now, count))

    for number, (since, _) in enumerate(left):
        for until, _ in left[number:]:
            sent = sum(count for at, count in left if since <= at <= until)
            assert sent <= rate * ((until - since) + BURST).total_seconds() + 1.001


@given(rate=RATES, gaps=st.lists(st.floats(0, 0.1), min_size=1, max_size=60))
def test_whoever_asks_often_enough_loses_nothing_of_the_rate(rate: float, gaps: list[float]) -> None:
    """A rest of 0.1 s is within the burst, so that only parts of one message can be missing at the end."""
    now, free_at, sent = START, None, 0
    for gap in [0.0, *gaps]:
        now += timedelta(seconds=gap)
        count = pacing.tokens(free_at, now, rate)
        free_at = pacing.after(free_at, now, rate, count)
        sent += count
    assert sent >= rate * (now - START).total_seconds() - 1.001


def test_a_number_that_was_quiet_catches_up_with_a_fifth_of_a_second_and_no_more() -> None:
    assert pacing.tokens(None, START, 80) == pacing.tokens(START - timedelta(hours=1), START, 80) == 17
    spent = pacing.after(None, START, 80, 17)
    assert pacing.tokens(spent, START, 80) == 0
    assert pacing.tokens(spent, START + timedelta(seconds=1 / 80), 80) == 1


def test_a_learned_rate_halves_down_to_a_floor_and_rises_by_one_in_ten_seconds() -> None:
    assert [pacing.slowed(80), pacing.slowed(40), pacing.slowed(1.5)] == [40, 20, FLOOR]
    assert pacing.rate(80, 20, timedelta(seconds=10)) == 21
    assert pacing.rate(80, 20, RECOVERY) == 80
    assert pacing.rate(80, None, timedelta(0)) == 80


@given(every=st.floats(0.1, 60), burst=st.integers(1, 60))
def test_a_pair_gets_its_burst_at_once_and_then_one_message_for_each_interval(every: float, burst: int) -> None:
    limit = PairLimit(every=timedelta(seconds=every), burst=burst)
    next_at = None
    for _ in range(burst):
        assert next_at is None or next_at <= START
        next_at = limit.next_at(next_at, START)
    assert next_at == START + limit.every
    assert limit.next_at(next_at, next_at) == next_at + limit.every


def test_each_refusal_of_a_pair_makes_it_wait_four_times_longer() -> None:
    assert [pair_wait(refusals).total_seconds() for refusals in (0, 1, 2, 3, 4, 5, 99)] == [1, 4, 16, 64, 256, 256, 256]


def test_people_come_before_the_bot_and_the_bot_before_programs() -> None:
    ranks = [
        pacing.priority(Author.HUMAN, by_program=False),
        pacing.priority(Author.BOT, by_program=False),
        pacing.priority(Author.HUMAN, by_program=True),
    ]
    assert ranks == sorted(ranks) == [Priority.PERSON, Priority.BOT, Priority.BULK]
