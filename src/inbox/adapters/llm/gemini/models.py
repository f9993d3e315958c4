"""What the families of Gemini take: thinking by level or by budget, and whether temperature means anything.

As of November 2026. A model that the table does not know is treated like the newest ones.
"""

import re
from typing import Any, Final

from msgspec import Struct

_LEVELS: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
_UP_TO: Final = ((0, "MINIMAL"), (1_024, "LOW"), (8_192, "MEDIUM"), (24_576, "HIGH"))
"""Tokens of thinking that a level stands for; more are XHIGH."""
_LEAST_CAP: Final = 1_024
"""Tokens: thoughts are a part of the output, and a smaller cap may leave no room for the answer."""


class Family(Struct, frozen=True, kw_only=True):
    """`levels` from the least thinking on, or `budget`, the least and most tokens of it; neither: it does not think."""

    levels: tuple[str, ...] = ()
    budget: tuple[int, int] | None = None
    heeds_temperature: bool = False

    def thinking(self, tokens: int) -> dict[str, Any] | None:
        """`thinkingConfig` for about so many tokens, 0 for as few as can be; None leaves it out."""
        if self.budget is not None:
            least, most = self.budget
            return {"thinkingBudget": max(least, min(tokens, most))}
        if not self.levels:
            return None
        wanted = _LEVELS.index(next((level for most, level in _UP_TO if tokens <= most), "XHIGH"))
        fitting = [level for level in self.levels if _LEVELS.index(level) <= wanted]
        return {"thinkingLevel": fitting[-1] if fitting else self.levels[0]}

    def cap(self, tokens: int, thinking: dict[str, Any] | None) -> int:
        """`maxOutputTokens`, where the thoughts have to fit in as well."""
        is_idle = thinking is None or thinking in ({"thinkingLevel": "MINIMAL"}, {"thinkingBudget": 0})
        return tokens if is_idle else max(tokens, _LEAST_CAP)


_FOUR: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_THREE: Final = ("LOW", "MEDIUM", "HIGH")
_FAMILIES: Final[tuple[tuple[re.Pattern[str], Family], ...]] = (
    (re.compile(r"gemini-(3\.5-flash-lite|3\.6-flash)"), Family(levels=_FOUR)),
    (re.compile(r"gemini-(3\.1-flash-lite|3\.5-flash)"), Family(levels=_FOUR, heeds_temperature=True)),
    (re.compile(r"gemini-3\.[78]-flash"), Family(levels=_THREE)),
    (re.compile(r"gemini-3-pro"), Family(levels=("LOW", "HIGH"))),
    (re.compile(r"gemini-4-hydrogen"), Family(levels=(*_THREE, "XHIGH"))),
    (re.compile(r"gemini-2\.5-pro"), Family(budget=(128, 32_768), heeds_temperature=True)),
    (re.compile(r"gemini-2\.5-"), Family(budget=(0, 24_576), heeds_temperature=True)),
    (re.compile(r"gemini-[12]\.|gemma"), Family(heeds_temperature=True)),
)
_NEWEST: Final = Family(levels=_THREE)


def family_of(model: str) -> Family:
    return next((family for pattern, family in _FAMILIES if pattern.match(model)), _NEWEST)
