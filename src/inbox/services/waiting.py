"""Lanes that this process gave back because another service was out of reach."""

from typing import Final

_MOST: Final = 10_000


class Waiting:
    """Their keys, oldest first. One that is forgotten costs time and no more: its lane is due by itself in the end."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def add(self, key: str) -> None:
        """Beyond 10,000 nothing is remembered."""
        if len(self._keys) < _MOST:
            self._keys[key] = None

    def discard(self, key: str) -> None:
        """It got on."""
        self._keys.pop(key, None)

    def take(self, most: int | None) -> list[str]:
        """Up to `most` of them (None is all), which are forgotten here."""
        taken = list(self._keys)[:most]
        for key in taken:
            del self._keys[key]
        return taken
