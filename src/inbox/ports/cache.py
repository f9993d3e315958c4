"""Remembered answers. Never used for a decision; optional, so it fails open."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

T = TypeVar("T")


class FamilyStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one key family, the part of a key before its first colon."""

    family: str
    size: int
    hits: int
    misses: int


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the administrator sees. Keys hold no secret: tokens appear as digests."""

    size: int
    keys: list[str]
    families: list[FamilyStats]


class Cache(Protocol):
    """Bounded, with time to live, single flight and tags."""

    async def fetch(self, key: str, load: Callable[[], Awaitable[T]], *, tags: Sequence[str], ttl: float) -> T:
        """The value of `key`, loaded once for all who wait. `ttl` in seconds. Errors of `load` are raised, not kept.

        A load that began before one of its tags was forgotten is not kept.
        """
        ...

    async def forget(self, *tags: str) -> None:
        """Drops every entry with one of `tags`, in this process and, by the bus, in all others."""
        ...

    async def clear(self) -> None:
        """Drops everything."""
        ...

    def stats(self) -> CacheStats: ...
