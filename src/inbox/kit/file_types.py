"""What a file is, by its first bytes: what a stranger's phone calls it counts only as far as they agree.

The only importer of puremagic.
"""

from typing import Final

import puremagic

HEAD_BYTES: Final = 4096
"""How much of a file is looked at."""
UNKNOWN_TYPE: Final = "application/octet-stream"

_SOUND_AND_FILM: Final = frozenset({"audio", "video"})
_CONTAINERS: Final = frozenset({"application/ogg", "application/mp4"})
"""Sound and film share containers; only the streams inside tell which it is."""
_SHOWN_AS_IT_IS: Final = frozenset({"image", "audio", "video"})
_PDF: Final = "application/pdf"


def true_type(claimed: str | None, head: bytes | bytearray) -> str:
    """The type to serve a file as, in lower case and without parameters.

    `claimed` where the bytes do not speak against it, else what the bytes say. A browser shows pictures, sound, film
    and PDF itself: such a claim needs the proof of the bytes.
    """
    claim = (claimed or UNKNOWN_TYPE).partition(";")[0].strip().lower()
    found = _candidates(head)
    if any(_agree(claim, candidate) for candidate in found):
        return claim
    if found:
        return found[0]
    return UNKNOWN_TYPE if _family(claim) in _SHOWN_AS_IT_IS or claim == _PDF else claim


def _candidates(head: bytes | bytearray) -> list[str]:
    """The likely types, likeliest first; none if nothing is known."""
    if not head:
        return []
    try:
        matches = puremagic.magic_string(bytes(head[:HEAD_BYTES]))
    except puremagic.PureError:
        return []
    return [match.mime_type for match in matches if match.mime_type and match.mime_type != UNKNOWN_TYPE]


def _agree(claim: str, candidate: str) -> bool:
    if _family(claim) in _SOUND_AND_FILM:
        return _family(candidate) in _SOUND_AND_FILM or candidate in _CONTAINERS
    return claim == candidate


def _family(media_type: str) -> str:
    return media_type.partition("/")[0]
