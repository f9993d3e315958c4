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
    shared_hits: int = 0
    """Misses of this process that the shared tier answered."""
    shared_misses: int = 0

    @property
    def ratio(self) -> float:
        """Fetches that needed no load, of all; 0 without any."""
        asked = self.hits + self.misses
        return (self.hits + self.shared_hits) / asked if asked else 0.0


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the administrator sees. Keys hold no secret: tokens appear as digests."""

    size: int
    keys: list[str]
    families: list[FamilyStats]


class SharedStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the tier that all processes share holds, entries by family. Some of them may be forgotten already."""

    is_up: bool
    sizes: dict[str, int]
    is_complete: bool
    """False if there was no time to count all."""


class Cache(Protocol):
    """Bounded, with time to live, single flight and tags."""

    async def fetch(
        self,
        key: str,
        load: Callable[[], Awaitable[T]],
        *,
        tags: Sequence[str],
        ttl: float,
        shape: type[T] | None = None,
    ) -> T:
        """The value of `key`, loaded once for all who wait. `ttl` in seconds. Errors of `load` are raised, not kept.

        A load that began before one of its tags was forgotten is not kept. A value may leave this process only if its
        `shape` is named, the type to read it as (None may stand for it); it must be equal to itself read as that type.
        Secrets have no shape.
        """
        ...

    async def forget(self, *tags: str) -> None:
        """Drops every entry with one of `tags`, in this process and, by the bus, in all others."""
        ...

    async def clear(self) -> None:
        """Drops everything."""
        ...

    def stats(self) -> CacheStats: ...

    async def shared(self) -> SharedStats | None:
        """What the shared tier holds now; None if there is none."""
        ...
