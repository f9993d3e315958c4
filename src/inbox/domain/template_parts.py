"""The components of a stored template, JSON in Meta's shape, as far as they are read here."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

VARIABLE: Final = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
"""As it stands in a text: `{{1}}` or `{{first_name}}`."""


class Button(msgspec.Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    url: str | None = None


class Card(msgspec.Struct, frozen=True):
    components: "tuple[Part, ...]" = ()


class Part(msgspec.Struct, frozen=True):
    """A component."""

    type: str | None = None
    format: str | None = None
    text: str | None = None
    buttons: tuple[Button, ...] = ()
    cards: tuple[Card, ...] = ()


_PARTS: Final = msgspec.json.Decoder(tuple[Part, ...])


def parts_of(components: bytes) -> Sequence[Part] | None:
    """None if they have a shape that nobody here knows."""
    try:
        return _PARTS.decode(components)
    except msgspec.DecodeError:
        return None


def by_kind(parts: Sequence[Part]) -> dict[str, Part]:
    """By Meta's word in capitals, like `BODY`."""
    return {(part.type or "").upper(): part for part in parts}
