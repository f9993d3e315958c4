"""Asks the other side of an open circuit whether it lives, so that the trial comes soon after an outage ends.

The question is a harmless call past the guard: it counts for nothing, and an answer only lets the next real call be the
trial, which decides. While a circuit is not open nothing is asked.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final

from inbox.domain.errors import InboxError
from inbox.kit.breaker import Breakers
from inbox.ports.monitoring import Probe

_WITHIN: Final = 2.0
"""Seconds that a question may take."""


class Recovery:
    """One per process: a task for each circuit, which sleeps until the circuit opens."""

    def __init__(
        self,
        breakers: Breakers,
        probes: Mapping[str, Probe],
        *,
        every: float,
        within: float = _WITHIN,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`probes` by circuit; `every` are the seconds between two questions, 0 is never. `clock` is monotonic."""
        self._breakers = breakers
        self._probes = probes
        self._every = every
        self._within = within
        self._clock = clock
        self._rest = rest

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Asks while the block runs."""
        wanted = self._probes.items() if self._every else ()
        # A context of its own: what is asked here belongs to no request.
        tasks = [asyncio.create_task(self._watch(name, probe), context=Context()) for name, probe in wanted]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()  # it ended by a bug

    async def _watch(self, name: str, probe: Probe) -> None:
        gate = self._breakers.gate(name)
        seen, asked = 0, float("-inf")
        while True:
            seen = await gate.moved(seen)
            while (wait := self._breakers.early_trial_in(name)) is not None:
                jitter = random.uniform(1.0, 1.2)  # noqa: S311 - spreads load, guards nothing
                await self._rest(max(wait * jitter, asked + self._every * jitter - self._clock(), 0.0))
                asked = self._clock()
                if self._breakers.early_trial_in(name) == 0.0 and await self._lives(probe):
                    self._breakers.try_early(name)

    async def _lives(self, probe: Probe) -> bool:
        try:
            async with asyncio.timeout(self._within):
                return await probe()
        except (InboxError, TimeoutError):
            return False
