"""The one clock. It is passed in, so that a test decides what time it is."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time now, in UTC, aware."""

    def __call__(self) -> datetime: ...
