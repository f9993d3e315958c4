"""When the assistant of an account answers by itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, tzinfo
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from inbox.domain.errors import Invalid

MAX_HOURS: Final = 50
_MIDNIGHT: Final = "24:00"


class Answers(StrEnum):
    ALWAYS = "always"
    OUTSIDE_BUSINESS_HOURS = "outside_business_hours"
    NEVER = "never"


class OpeningHours(msgspec.Struct, frozen=True, kw_only=True):
    """Of one weekday, Monday is 1: from `opens` until just before `closes`, as `09:00`; `24:00` is the day's end."""

    day: int
    opens: str
    closes: str


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """`business_hours` are those of `time_zone` (an IANA name): what clocks show there counts, all year."""

    answers: Answers = Answers.ALWAYS
    time_zone: str
    business_hours: tuple[OpeningHours, ...] = ()


def may_answer(schedule: Schedule, now: datetime) -> bool:
    """True if the assistant answers by itself at `now`."""
    match schedule.answers:
        case Answers.ALWAYS:
            return True
        case Answers.NEVER:
            return False
        case Answers.OUTSIDE_BUSINESS_HOURS:
            local = now.astimezone(_zone(schedule.time_zone))
            return not any(_holds(hours, local) for hours in schedule.business_hours)


def check(schedule: Schedule, path: str) -> None:
    """Raises `Invalid` for a time zone that nobody knows and for hours that end before they begin."""
    try:
        ZoneInfo(schedule.time_zone)
    except (ValueError, OSError, LookupError):
        raise Invalid(f"{path}.time_zone", "no time zone of the IANA database") from None
    _check_hours(schedule.business_hours, f"{path}.business_hours")


def _check_hours(given: Sequence[OpeningHours], path: str) -> None:
    for place, hours in enumerate(given):
        opens, closes = _minutes(hours.opens), _minutes(hours.closes)
        if opens is None or opens == _minutes(_MIDNIGHT):
            raise Invalid(f"{path}[{place}].opens", "a time like 09:00")
        if closes is None or closes <= opens:
            raise Invalid(f"{path}[{place}].closes", "a time like 18:30, later than opens; 24:00 is the end of the day")


def _zone(name: str) -> tzinfo:
    """A zone that was known when it was stored may be missing on this machine: then the hours are UTC."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC


def _holds(hours: OpeningHours, local: datetime) -> bool:
    opens, closes = _minutes(hours.opens), _minutes(hours.closes)
    if hours.day != local.isoweekday() or opens is None or closes is None:
        return False
    return opens <= local.hour * 60 + local.minute < closes


def _minutes(text: str) -> int | None:
    """Since midnight; None if `text` is no time of a day."""
    if text == _MIDNIGHT:
        return 24 * 60
    try:
        found = time.fromisoformat(text) if len(text) == len(_MIDNIGHT) and text[2] == ":" else None
    except ValueError:
        return None
    return None if found is None else found.hour * 60 + found.minute
