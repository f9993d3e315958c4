"""What the cache of one process asks of the tier behind it, which all processes share."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from inbox.ports.cache import SharedStats

EVERYTHING: Final = "*"
"""The tag that every entry has."""

Keep: TypeAlias = Callable[[object, float], Awaitable[None]]
"""Takes the value, once it is loaded, and the seconds for which it is good."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `shape` is the type to read it as."""

    key: str
    family: str
    tags: tuple[str, ...]
    shape: Any
    serial: int
    """How much this process was told to forget so far (`Forgotten`)."""
    since: int
    """The serial of the last forgetting that meant the entry: no load that began before it will do."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`left` is the seconds for which `value` is good."""

    value: Any
    left: float


class SharedTier(Protocol):
    """Raises nothing and makes nobody wait long: when it fails, it is done without."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Can be asked while the block runs."""
        ...

    async def find(self, wanted: Wanted) -> Found | Keep | None:
        """The value, or what takes it once it is loaded; None: the tier does not answer."""
        ...

    async def forget(self, tags: tuple[str, ...]) -> None:
        """From now on no process is given an entry whose load began before this."""
        ...

    async def stats(self) -> SharedStats: ...
