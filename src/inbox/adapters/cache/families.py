"""What the administrator sees of a cache: counters by key family, the part of a key before its first colon."""

from collections.abc import Iterable
from typing import Final

import msgspec

from inbox.ports.cache import FamilyStats

_MOST: Final = 100
_OTHERS: Final = "other"


class Counters(msgspec.Struct):
    """Of one family."""

    hits: int = 0
    misses: int = 0
    shared_hits: int = 0
    shared_misses: int = 0


class Families:
    """Bounded: what comes after the first hundred is counted together."""

    def __init__(self) -> None:
        self._counters: dict[str, Counters] = {}

    def name(self, key: str) -> str:
        family = key.partition(":")[0]
        return family if family in self._counters or len(self._counters) < _MOST else _OTHERS

    def counters(self, key: str) -> Counters:
        return self._counters.setdefault(self.name(key), Counters())

    def stats(self, keys: Iterable[str]) -> list[FamilyStats]:
        """`keys` are those that are kept."""
        sizes: dict[str, int] = {}
        for key in keys:
            family = self.name(key)
            sizes[family] = sizes.get(family, 0) + 1
        return [
            FamilyStats(family=family, size=sizes.get(family, 0), **msgspec.structs.asdict(counters))
            for family, counters in sorted(self._counters.items())
        ]
