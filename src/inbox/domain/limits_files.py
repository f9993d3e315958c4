"""What WhatsApp takes of files and places, wherever they stand in a message."""

import re
from typing import Final
from urllib.parse import urlsplit

from inbox.domain import limits_checks as check
from inbox.domain.content import Location
from inbox.domain.limits_checks import MAX_ID, MAX_OTHER, Problems, inside
from inbox.domain.outgoing_files import File, TemplateFile, Voice

MAX_FILENAME: Final = 240
"""Characters; Meta names no limit, file systems end at 255 bytes."""
VOICE: Final = "a voice note has to be OGG with Opus, one channel; send other sound as audio"
_OTHER_SOUND: Final = (".aac", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".mp3", ".wav", ".wma")
"""Endings of sound that is no OGG. Any other ending, or none, says nothing about what is there."""
_FILENAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\]+")


def file(path: str, given: File | TemplateFile) -> Problems:
    """One name of a file, and a good one. `path` is that of the object that holds the names."""
    media_id = "id" if isinstance(given, TemplateFile) else "media_id"
    names = (given.media_id, given.link, given.upload_id)
    yield from check.one_of(inside(path, media_id), names, f"{media_id}, link and upload_id")
    if given.media_id is not None:
        yield from check.identity(inside(path, media_id), given.media_id, MAX_ID)
    if given.link is not None:
        found = list(check.url(inside(path, "link"), given.link))
        yield from found
        if not found and isinstance(given, Voice) and urlsplit(given.link).path.lower().endswith(_OTHER_SOUND):
            yield inside(path, "link"), VOICE


def filename(path: str, given: str | None) -> Problems:
    """The name that the customer sees: a name, not a path."""
    if given is None:
        return
    yield from check.text(path, given, MAX_FILENAME)
    if given and not _FILENAME.fullmatch(given):
        yield path, "no slash, no backslash and no control character"


def pin(path: str, location: Location) -> Problems:
    yield from check.number(inside(path, "latitude"), location.latitude, 90)
    yield from check.number(inside(path, "longitude"), location.longitude, 180)
    yield from check.optional_text(inside(path, "name"), location.name, MAX_OTHER)
    yield from check.optional_text(inside(path, "address"), location.address, MAX_OTHER)
    if location.url is not None:
        yield inside(path, "url"), "none: WhatsApp sends a place without an address of a page"
