"""The connections of a bus to its wire: opened again whenever they broke, and up or down together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeAlias, TypeVar

import msgspec
import structlog

T = TypeVar("T")
Work: TypeAlias = Callable[[T, Callable[[], None]], Awaitable[None]]
"""What is done on a connection until it breaks. Calls the second argument once it works."""

_log = structlog.stdlib.get_logger("inbox.events")


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: of silence until the other side is asked whether it lives, for one answer, and to the next attempt.

    Attempts become rarer up to the `longest_rest`, which also follows a bug.
    """

    silence: float = 10.0
    answer: float = 3.0
    rest: float = 0.2
    longest_rest: float = 5.0


class Lines(Generic[T]):
    """One connection for each kind of work."""

    def __init__(
        self,
        bus: str,
        connect: Callable[[], AbstractAsyncContextManager[T]],
        broken: tuple[type[Exception], ...],
        *,
        on_change: Callable[[bool], None],
        patience: Patience,
    ) -> None:
        """`broken` is what `connect` and works raise when the other side is gone. `on_change` hears up and down."""
        self._bus = bus
        self._connect = connect
        self._broken = broken
        self._on_change = on_change
        self._patience = patience
        self._is_up: dict[Work[T], bool] = {}
        self._was_up: bool | None = None

    @asynccontextmanager
    async def running(self, *works: Work[T]) -> AsyncIterator[None]:
        """While the block runs. A bug ends a connection like an outage does: the process works without hints, too."""
        self._is_up = dict.fromkeys(works, False)
        tasks = [asyncio.create_task(self._kept_up(work)) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _kept_up(self, work: Work[T]) -> None:
        rest = self._patience.rest

        def works() -> None:
            nonlocal rest
            rest = self._patience.rest
            self._changed(work, is_up=True)

        while True:
            (error,) = await asyncio.gather(self._once(work, works), return_exceptions=True)
            self._changed(work, is_up=False, reason=type(error).__name__)
            if error is not None and not isinstance(error, self._broken):
                _log.error("bus_failed", bus=self._bus, exc_info=error)
                rest = self._patience.longest_rest  # a traceback each time
            await asyncio.sleep(rest)
            rest = min(2 * rest, self._patience.longest_rest)

    async def _once(self, work: Work[T], works: Callable[[], None]) -> None:
        async with self._connect() as connection:
            await work(connection, works)

    def _changed(self, work: Work[T], *, is_up: bool, reason: str = "") -> None:
        """Told once for each change of them all: an outage is no flood of lines."""
        self._is_up[work] = is_up
        are_up, were_up = all(self._is_up.values()), self._was_up
        if are_up is were_up or (is_up and not are_up):
            return
        self._was_up = are_up
        self._on_change(are_up)
        if not are_up:
            _log.warning("bus_disconnected", bus=self._bus, error=reason)
        elif were_up is False:  # the first time is no news
            _log.info("bus_connected", bus=self._bus)
