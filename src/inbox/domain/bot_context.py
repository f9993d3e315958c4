"""What of a conversation the model gets to read: described, cut, and as many tokens as it may be."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from inbox.domain.bot_briefing import one_line
from inbox.domain.content import Content, Media, MediaKind, Unsupported
from inbox.domain.explanations import Language

MOST_MESSAGES: Final = 60
MOST_CHARACTERS: Final = 4_000
"""Of one message; the rest of it is left out."""
_CHARACTERS_PER_TOKEN: Final = 2.8
_BYTES_PER_TOKEN: Final = 3.0
_PER_MESSAGE: Final = 6
_MAX_FILENAME: Final = 80
_IMAGE_TOKENS: Final = 2_580
"""Ten tiles of 258, as models count that cut images up; those that do not take fewer."""
_TOKENS_PER_SECOND: Final = 32
_BYTES_PER_SECOND: Final = 1_000
"""Of sound at the least: voice notes have twice as many. How long a recording is says its file, if one believes it."""
_LONGEST_SECONDS: Final = 600
"""So much of a recording is reserved for: other kinds of sound have up to twenty times as many bytes, and a song of
three minutes must not shut others out for a day. What a longer one takes beyond that is counted afterwards."""
_MOST_OF_HISTORY: Final = 1_200
"""Tokens that a file takes away from the messages before it: a long recording must not push them all out."""

_CUT: Final = {Language.FRENCH: " [… coupé]", Language.ENGLISH: " [… cut]"}
_WORDS: Final = {
    Language.FRENCH: {
        MediaKind.IMAGE: "image",
        MediaKind.AUDIO: "fichier audio",
        MediaKind.VOICE: "message vocal",
        MediaKind.VIDEO: "vidéo",
        MediaKind.DOCUMENT: "document",
        MediaKind.STICKER: "autocollant",
    },
    Language.ENGLISH: {
        MediaKind.IMAGE: "image",
        MediaKind.AUDIO: "audio file",
        MediaKind.VOICE: "voice note",
        MediaKind.VIDEO: "video",
        MediaKind.DOCUMENT: "document",
        MediaKind.STICKER: "sticker",
    },
}
_UNSUPPORTED: Final = {Language.FRENCH: "[contenu illisible]", Language.ENGLISH: "[unreadable content]"}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the model reads it. `media_tokens` is what its file costs, if it is given away."""

    is_inbound: bool
    text: str
    media_tokens: int = 0


def tokens_of(text: str) -> int:
    """An estimate that is seldom too low, for any script: letters count, or their bytes where those are more."""
    return math.ceil(max(len(text) / _CHARACTERS_PER_TOKEN, len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN))


def tokens_of_file(mime_type: str, size: int) -> int:
    """What a file of `size` bytes costs, rather too much: its sender made it, and its tokens are known afterwards."""
    if not mime_type.startswith("audio/"):
        return _IMAGE_TOKENS
    return min(math.ceil(size / _BYTES_PER_SECOND), _LONGEST_SECONDS) * _TOKENS_PER_SECOND


def described(content: Content | None, text: str, language: Language) -> str:
    """What the model reads of a message: files by their kind, with name and caption."""
    match content:
        case Media(kind=kind, caption=caption, filename=filename):
            name = f" : {one_line(filename, _MAX_FILENAME)}" if filename and kind is MediaKind.DOCUMENT else ""
            said = f"[{_WORDS[language][kind]}{name}] {caption or ''}".strip()
        case Unsupported():
            said = _UNSUPPORTED[language]
        case _:
            said = text
    return said if len(said) <= MOST_CHARACTERS else said[:MOST_CHARACTERS] + _CUT[language]


def kept(lines: Sequence[Line], most_tokens: int) -> int:
    """How many of the newest `lines` (oldest first) fit into `most_tokens`; the newest one always does."""
    left = most_tokens
    for place, line in enumerate(reversed(lines)):
        left -= tokens_of(line.text) + min(line.media_tokens, _MOST_OF_HISTORY) + _PER_MESSAGE
        if left < 0:
            return max(1, place)
    return len(lines)
