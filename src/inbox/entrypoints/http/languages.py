"""Which language a caller reads: `Accept-Language`, as far as texts of ours go."""

from collections.abc import Mapping
from typing import Final

from inbox.domain.explanations import Language

_LANGUAGES: Final[Mapping[str, Language]] = {language.value: language for language in Language}


def preferred(header: str | None) -> Language:
    """The language that an `Accept-Language` likes best; French for whoever does not say, or wants neither."""
    liked = max((_quality(part) for part in (header or "").split(",")), key=lambda one: one[1])
    language, quality = liked
    return language if quality > 0 else Language.FRENCH


def _quality(part: str) -> tuple[Language, float]:
    """The language of one range and how much it is wanted; 0 for any other."""
    tag, _, weight = part.partition(";")
    primary = tag.strip().lower().partition("-")[0]
    language = _LANGUAGES.get(primary)
    if language is None:
        return Language.FRENCH, 0.0
    name, _, value = weight.strip().partition("=")
    try:
        quality = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return language, quality
