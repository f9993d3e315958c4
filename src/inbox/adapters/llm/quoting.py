"""A prompt as what is said to a model, the same for every vendor: who speaks in turn, and data quoted as data.

What customers write, and whatever is known about them, stands inside tags that it cannot close; nobody opens one.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from inbox.ports.llm import MOST_MEDIA_BYTES, MOST_MEDIA_PARTS, MediaPart, Prompt, Source, Turn

_OPENING: Final = re.compile("[<\uff1c\ufe64]")
"""A tag begins with it, or seems to."""
_NOTHING_NEW: Final = "[Le client n'a rien écrit depuis.]"


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """All that one side said before the other spoke again: texts and files."""

    is_customer: bool
    parts: tuple[str | MediaPart, ...]


def spoken(prompt: Prompt, reads: Callable[[str], bool]) -> list[Spoken]:
    """Turn and turn about. The first and the last are the customer's: vendors refuse anything else."""
    media = _readable(prompt.history, reads)
    found: list[Spoken] = []
    for turn, files in zip(prompt.history, media, strict=True):
        is_customer = turn.role == "customer"
        parts: tuple[str | MediaPart, ...] = (_customers(turn.text), *files) if is_customer else (_tagless(turn.text),)
        if not found and not is_customer:
            found.append(Spoken(is_customer=True, parts=(f"[L'entreprise a écrit : {_tagless(turn.text)}]",)))
        elif found and found[-1].is_customer is is_customer:
            found[-1] = Spoken(is_customer=is_customer, parts=found[-1].parts + parts)
        else:
            found.append(Spoken(is_customer=is_customer, parts=parts))
    if not found or not found[-1].is_customer:
        found.append(Spoken(is_customer=True, parts=(_NOTHING_NEW,)))
    # What may be used is said last but one: what is the same from turn to turn comes first, for the vendor's cache.
    found[-1] = Spoken(is_customer=True, parts=(*map(_shown, prompt.sources), *found[-1].parts))
    return found


def essence(mime_type: str) -> str:
    """`audio/ogg; codecs=opus` is `audio/ogg`."""
    return mime_type.partition(";")[0].strip().lower()


def _readable(history: tuple[Turn, ...], reads: Callable[[str], bool]) -> list[tuple[MediaPart, ...]]:
    """For each turn the files of it that are given: the newest that the model reads and there is room for."""
    room, places = MOST_MEDIA_BYTES, MOST_MEDIA_PARTS
    chosen: list[tuple[MediaPart, ...]] = []
    for turn in reversed(history):
        kept: list[MediaPart] = []
        for file in reversed(turn.media if turn.role == "customer" else ()):
            if places and reads(file.mime_type) and 0 < len(file.data) <= room:
                room, places = room - len(file.data), places - 1
                kept.append(file)
        chosen.append(tuple(kept[::-1]))
    return chosen[::-1]


def _customers(text: str) -> str:
    return f"<customer_message>{_escaped(text)}</customer_message>"


def _shown(source: Source) -> str:
    named = (("id", source.id), ("title", source.title))
    attributes = "".join(f' {name}="{_attribute(value)}"' for name, value in named if value)
    return f"<{source.kind}{attributes}>{_escaped(source.text)}</{source.kind}>"


def _attribute(text: str) -> str:
    return " ".join(_escaped(text).replace('"', "&quot;").replace(">", "&gt;").split())


def _escaped(text: str) -> str:
    return _tagless(text.replace("&", "&amp;"))


def _tagless(text: str) -> str:
    """Of the business as well: names of customers are in its templates. A model imitates the rest of its own turns."""
    return _OPENING.sub("&lt;", text)
