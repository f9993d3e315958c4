"""No cache at all, for installations that switch it off and for finding out what it is worth."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from inbox.ports.cache import CacheStats, SharedStats

T = TypeVar("T")


class NoCache:
    """Remembers nothing: every fetch loads."""

    async def fetch(
        self,
        key: str,  # noqa: ARG002 - the port's signature
        load: Callable[[], Awaitable[T]],
        *,
        tags: Sequence[str],  # noqa: ARG002
        ttl: float,  # noqa: ARG002
        shape: type[T] | None = None,  # noqa: ARG002
    ) -> T:
        return await load()

    async def forget(self, *tags: str) -> None:
        """Nothing to forget."""

    async def clear(self) -> None:
        """Nothing to drop."""

    def stats(self) -> CacheStats:
        return CacheStats(size=0, keys=[], families=[])

    async def shared(self) -> SharedStats | None:
        return None
