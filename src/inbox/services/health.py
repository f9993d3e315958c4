"""Which of the others answer. The page is public: asking it often asks nobody more often."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from datetime import datetime
from typing import Final

import msgspec

from inbox.domain.clock import Clock
from inbox.domain.errors import InboxError, Kind
from inbox.ports.monitoring import Probe

CHECK_SECONDS: Final = 2.0
REMEMBERED_FOR: Final = 2.0
DATABASE: Final = "database"
"""Without it nothing works; every other dependency is missed by a part of the service only."""

_SILENT: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT})
_TIMEOUT: Final = "timeout"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency by its key. `unset` is said where none is set up; without it the key is left out then."""

    name: str
    probe: Probe
    unset: str | None = None


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `ok`, `timeout`, `error` or `not_configured`. `latency_ms` is there if an answer came.

    `error` names the kind of failure, and no more: the page is public.
    """

    status: str
    latency_ms: float | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `ok`, `degraded`, or `error` without the database; `checked_at` is when the checks were made."""

    status: str
    checked_at: datetime
    dependencies: dict[str, Dependency]


class Health:
    """Asks all dependencies at once, 2 s each, and remembers the answer for 2 s. One such round at a time."""

    def __init__(
        self,
        checks: Sequence[Check],
        clock: Clock,
        *,
        within: float = CHECK_SECONDS,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """One of the `checks` is that of the database; each gets `within` seconds. `ticks` are monotonic seconds."""
        self._checks = checks
        self._clock = clock
        self._within = within
        self._ticks = ticks
        self._round: asyncio.Task[HealthReport] | None = None
        self._good_until = float("-inf")
        self._left_behind: set[asyncio.Task[Dependency | None]] = set()

    async def report(self) -> HealthReport:
        """Never older than 2 s, and the time that it took to ask."""
        if self._round is None or (self._round.done() and self._ticks() >= self._good_until):
            # A context of its own: whoever comes first must not lend it their request id.
            self._round = asyncio.create_task(self._ask_all(), context=Context())
        return await asyncio.shield(self._round)

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = [task for task in (self._round, *self._left_behind) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask_all(self) -> HealthReport:
        tasks = {check.name: asyncio.create_task(self._ask(check)) for check in self._checks}
        try:
            await asyncio.wait(tasks.values(), timeout=self._within)
        finally:
            late = {task for task in tasks.values() if not task.done()}
            for task in late:
                # Giving up may take time of its own, which nobody waits for.
                task.cancel()
                self._left_behind.add(task)
                task.add_done_callback(self._left_behind.discard)
        found = {
            name: Dependency(status="timeout", error=_TIMEOUT) if task in late else task.result()
            for name, task in tasks.items()
        }
        dependencies = {name: dependency for name, dependency in found.items() if dependency is not None}
        self._good_until = self._ticks() + REMEMBERED_FOR
        return HealthReport(status=_overall(dependencies), checked_at=self._clock(), dependencies=dependencies)

    async def _ask(self, check: Check) -> Dependency | None:
        begun = time.perf_counter()
        try:
            is_set_up = await check.probe()
        except InboxError as error:
            took = _milliseconds(begun)
            if error.kind is Kind.TIMEOUT:
                return Dependency(status="timeout", error=_TIMEOUT)
            return Dependency(
                status="error", error=error.code, latency_ms=msgspec.UNSET if error.kind in _SILENT else took
            )
        if is_set_up:
            return Dependency(status="ok", latency_ms=_milliseconds(begun))
        return None if check.unset is None else Dependency(status="not_configured", error=check.unset)


def _milliseconds(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)


def _overall(dependencies: dict[str, Dependency]) -> str:
    if dependencies[DATABASE].status != "ok":
        return "error"
    is_whole = all(dependency.status in ("ok", "not_configured") for dependency in dependencies.values())
    return "ok" if is_whole else "degraded"
