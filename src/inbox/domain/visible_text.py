"""A text as a phone shows it: what is looked for in it is found however it is written."""

import re
import unicodedata
from typing import Final

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, and the anchors of annotations: nothing is shown where they stand."""
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]")
_FULL_STOP: Final = "\u3002"
"""Of Chinese and Japanese. In the name of a host it is a dot (RFC 3490)."""


def visible(text: str) -> str:
    """Compatible letters are one, digits of all scripts are ours, and what is invisible is not there."""
    plain = unicodedata.normalize("NFKC", _IGNORABLE.sub("", text))
    return _FOREIGN.sub(lambda found: _shown(found[0]), plain)


def _shown(character: str) -> str:
    if character == _FULL_STOP:
        return "."
    digit = unicodedata.digit(character, None)
    return character if digit is None else str(digit)
