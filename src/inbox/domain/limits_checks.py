"""The small checks that limits of messages are made of. Each names the value by its path and says what is wanted."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Problem: TypeAlias = tuple[str, str]
"""Path of the value inside the content, and what is wanted of it."""
Problems: TypeAlias = Iterator[Problem]

MAX_URL: Final = 2000
MAX_ID: Final = 100
"""Characters of an id that WhatsApp gave: of a file, a catalogue, a product. A bound of ours."""
MAX_OTHER: Final = 1000
"""Characters of what WhatsApp names no limit for."""
MAX_WHOLE: Final = 2**53
_NO_URL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\\]")
"""Blanks, control characters and marks of direction have no place in an address."""
_PHONE: Final = re.compile(r"\+?[0-9 ().\-]*")
_WA_ID: Final = re.compile(r"[1-9][0-9]{6,14}")
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
_MANY_BLANKS: Final = re.compile(r"[\n\r\t\x0b\x0c\x85\u2028\u2029]| {5}")


def inside(path: str, name: str) -> str:
    """The path of a member; the content itself has none."""
    return f"{path}.{name}" if path else name


def text(path: str, value: str, most: int) -> Problems:
    """Lengths are counted in Unicode code points."""
    if not value.strip() or len(value) > most or "\x00" in value:
        yield path, f"1 to {most} characters, not all of them blank"


def optional_text(path: str, value: str | None, most: int) -> Problems:
    if value is not None:
        yield from text(path, value, most)


def identity(path: str, value: str, most: int) -> Problems:
    """An id that comes back to us: WhatsApp takes none with a blank at an end."""
    if value != value.strip():
        yield path, "no blank at the beginning or the end"
    else:
        yield from text(path, value, most)


def count(path: str, values: Collection[object], least: int, most: int, what: str) -> Problems:
    if not least <= len(values) <= most:
        yield path, f"{least} to {most} {what}"


def unique(paths_and_values: Iterable[tuple[str, object]], what: str) -> Problems:
    """Names the second of two that are the same."""
    seen: set[object] = set()
    for path, value in paths_and_values:
        if value in seen:
            yield path, f"another {what} than the ones before it"
        seen.add(value)


def one_of(path: str, given: Sequence[object], what: str) -> Problems:
    """Exactly one of the values is there."""
    if sum(value is not None for value in given) != 1:
        yield path, f"exactly one of {what}"


def url(path: str, value: str) -> Problems:
    if len(value) > MAX_URL or _NO_URL.search(value) or not _is_web(value):
        yield path, f"an http or https address of at most {MAX_URL} characters"


def _is_web(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def number(path: str, value: float, bound: float) -> Problems:
    if not math.isfinite(value) or abs(value) > bound:
        yield path, f"degrees from -{bound:g} to {bound:g}"


def whole(path: str, value: int, least: int) -> Problems:
    """What every reader of JSON takes."""
    if not least <= value <= MAX_WHOLE:
        yield path, f"a whole number from {least} to {MAX_WHOLE}"


def phone(path: str, value: str) -> Problems:
    """As people write it on a card: it is shown, and dialled by the customer."""
    digits = sum(letter.isdigit() for letter in value)
    if not _PHONE.fullmatch(value) or not 3 <= digits <= 15:  # noqa: PLR2004 - the longest is E.164's
        yield path, "a phone number: 3 to 15 digits, with + in front if it is international"


def wa_id(path: str, value: str) -> Problems:
    if not _WA_ID.fullmatch(value):
        yield path, "7 to 15 digits with the country code, without +"


def email(path: str, value: str) -> Problems:
    if len(value) > MAX_OTHER or not _EMAIL.fullmatch(value):
        yield path, "an e-mail address"


def day(path: str, value: str) -> Problems:
    """YYYY-MM-DD."""
    try:
        is_day = date.fromisoformat(value).isoformat() == value
    except ValueError:
        is_day = False
    if not is_day:
        yield path, "a date, YYYY-MM-DD"


def one_line(path: str, value: str, most: int) -> Problems:
    """A parameter of a template."""
    yield from text(path, value, most)
    if _MANY_BLANKS.search(value):
        yield path, "no line break, no tab and no more than 4 spaces in a row"
