import contextlib
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.errors import Invalid
from inbox.kit.paging import Position, decode_cursor, encode_cursor, format_time, parse_time

AT = datetime(2025, 11, 25, 15, 33, 54, 123400, tzinfo=UTC)
ROW = UUID("01970000-0000-7000-8000-000000000001")
aware = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


@given(aware.filter(lambda at: 2 < at.year < 9999), st.uuids())
def test_a_cursor_comes_back_as_the_row_it_was_made_for(at: datetime, row: UUID) -> None:
    text = encode_cursor(at, row)
    assert decode_cursor(text) == Position(at=at.astimezone(UTC), id=row)
    assert text.isascii()
    assert not set(text) & set("+/=&?# ")


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-25T15:33:54.123400Z",
        "2025-11-25T15:33:54.1234Z",
        "2025-11-25T15:33:54.123400",
        "2025-11-25T15:33:54.123400+00:00",
        "2025-11-25T15:33:54.123400 00:00",
        "2025-11-25 15:33:54.1234+00:00",
        "2025-11-25t15:33:54.123400999z",
        "2025-11-25T17:33:54.123400+02:00",
        "2025-11-25T17:33:54.123400 02:00",
        "2025-11-25T10:03:54.123400-05:30",
    ],
)
def test_a_bare_timestamp_is_read_as_utc(text: str) -> None:
    assert decode_cursor(text) == Position(at=AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2025-11-25",
        "2025-13-25T15:33:54Z",
        "2025-11-25T25:33:54Z",
        "2025-11-25T15:33:60Z",
        "2025-11-25T15:33:54+0200",
        "2025-11-25T15:33:54+02:75",
        "2025-11-25T15:33:54Z\n",
        "٢٠٢٥-11-25T15:33:54Z",
        "0001-01-01T00:00:00+05:00",
        "A" * 34,
        "AQ" + "_" * 32,
        encode_cursor(AT, ROW) + "A",
        encode_cursor(AT, ROW)[:-1],
        "1764084834",
    ],
)
def test_anything_else_is_a_validation_error_that_names_the_parameter(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_cursor(text, name="before")
    assert caught.value.errors[0]["path"] == "before"


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        decode_cursor(text)


def test_times_are_shown_in_utc_with_z_and_six_digits() -> None:
    assert format_time(AT) == "2025-11-25T15:33:54.123400Z"
    assert format_time(datetime(2025, 11, 25, 15, tzinfo=timezone(timedelta(hours=1)))) == "2025-11-25T14:00:00.000000Z"


def test_a_time_without_offset_is_not_shown() -> None:
    with pytest.raises(ValueError, match="without offset"):
        format_time(datetime(2025, 1, 1))  # noqa: DTZ001


@given(aware.filter(lambda at: 2 < at.year < 9999))
def test_a_shown_time_reads_back_and_sorts_like_the_time(at: datetime) -> None:
    text = format_time(at)
    assert parse_time(text, name="updated_since") == at
    later = at + timedelta(microseconds=1)
    assert format_time(later) > text


def test_an_unreadable_time_names_its_parameter() -> None:
    with pytest.raises(Invalid) as caught:
        parse_time("yesterday", name="updated_since")
    assert caught.value.errors[0]["path"] == "updated_since"
