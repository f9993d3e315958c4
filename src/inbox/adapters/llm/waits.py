"""How long the other side asks to wait, as headers say it."""

import re
from collections.abc import Mapping
from typing import Final

_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?")
_DURATION: Final = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?")


def named_wait(headers: Mapping[str, str], *names: str) -> float | None:
    """Seconds, by the first of these headers that says something; `retry-after-ms` goes before all."""
    if (milliseconds := seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    return next((found for name in names if (found := seconds(headers.get(name, ""))) is not None), None)


def seconds(text: str) -> float | None:
    """`20`, `1.5`, `6m0s`, `350ms`; None for a date or anything else."""
    bare = text.strip()
    if _SECONDS.fullmatch(bare):
        return float(bare)
    found = _DURATION.fullmatch(bare)
    if not bare or found is None:
        return None
    hours, minutes, whole, milli = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + whole + milli / 1000
