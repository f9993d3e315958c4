"""Messages for later: what becomes of one is decided at its time."""

from datetime import UTC, datetime, timedelta

import pytest

from inbox.domain.outbound import WINDOW_MARGIN, Step
from inbox.domain.scheduling import when_due

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=4)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (None, (Step.WINDOW_CLOSED, LATER)),
        (NOW - SECOND, (Step.WINDOW_CLOSED, LATER)),
        (NOW + WINDOW_MARGIN, (Step.WINDOW_CLOSED, LATER)),
        (NOW + WINDOW_MARGIN + SECOND, (Step.DUE, NOW + SECOND)),
        (NOW + timedelta(days=1), (Step.DUE, LATER)),
    ],
)
def test_what_needs_a_window_needs_it_at_its_time_and_not_longer_than_it_lasts(window, expected) -> None:
    assert when_due(NOW, expires_at=LATER, window_expires_at=window, is_free=False) == expected


def test_a_template_needs_no_window() -> None:
    assert when_due(NOW, expires_at=LATER, window_expires_at=None, is_free=True) == (Step.DUE, LATER)


@pytest.mark.parametrize("is_free", [True, False])
def test_what_nobody_looked_at_in_time_is_over(is_free: bool) -> None:  # noqa: FBT001 - a case
    step, _ = when_due(NOW, expires_at=NOW, window_expires_at=NOW + timedelta(days=1), is_free=is_free)
    assert step is Step.EXPIRED
