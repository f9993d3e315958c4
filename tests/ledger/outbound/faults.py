"""What goes wrong at WhatsApp: a share of all sends at random, and now and then a whole number for a moment."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from crash.evidence import Emulator

from .plan import Plan

READ_TIMEOUT: Final = 2.5
"""Seconds that the service waits for an answer in these runs."""
TOO_LATE: Final = READ_TIMEOUT + 0.5
QUIET: Final = {
    "latency": (0.01, 0.05),
    "sent_delay": (0.0, 0.3),
    "delivered_delay": (0.0, 0.3),
    "read_delay": (0.0, 0.5),
    "failed_delay": (0.0, 0.5),
    "retry_delays": (0.2, 0.5, 1.0),
    "webhook_timeout": 5.0,
    "webhook_concurrency": 8,
    "batch_wait": 0.05,
    "duplicate_every": 20,
    "reorder": 0.05,
    "check_window": False,
}
"""Statuses come soon and in disorder, some webhooks twice, and refused ones again."""

_TAKEN: Final = (
    ("answer lost", 0.015, {"action": "reset_after_accept"}),
    ("answer too late", 0.005, {"action": "delay", "delay": TOO_LATE}),
    ("truncated JSON", 0.015, {"action": "truncated_json"}),
    ("garbage", 0.005, {"action": "garbage"}),
)
_NOT_TAKEN: Final = (
    ("refused after a hang", 0.005, {"action": "hang"}),
    ("reset before", 0.012, {"action": "reset_before_accept"}),
    ("HTML 502", 0.01, {"action": "html_502"}),
    ("503 of a proxy", 0.005, {"action": "http_error", "status": 503, "body": "upstream connect error"}),
    ("500 with 131000", 0.005, {"action": "http_error", "status": 500, "code": 131000}),
    ("503 with 131016", 0.01, {"action": "http_error", "status": 503, "code": 131016}),
    ("429", 0.004, {"action": "http_error", "status": 429, "body": "too many requests"}),
    ("130429", 0.006, {"action": "http_error", "status": 400, "code": 130429}),
    ("131056", 0.01, {"action": "http_error", "status": 400, "code": 131056}),
    ("refused", 0.01, {"action": "http_error", "status": 400, "code": 131009}),
)
WEBHOOKS_DROPPED: Final = 0.03
_EPISODES_EVERY: Final = 6.0


class Faults:
    """Arms them, and counts what they struck."""

    def __init__(self, emulator: Emulator, plan: Plan) -> None:
        self._emulator = emulator
        self._numbers = plan.numbers
        self._chance = random.Random(f"{plan.seed}:episodes")  # noqa: S311 - when a token ends is no secret

    async def arm(self) -> None:
        for name, probability, what in (*_TAKEN, *_NOT_TAKEN):
            await self._add({"name": name, "kind": "send", "probability": probability, **what})
        await self._add({"name": "dropped", "action": "drop_webhook", "probability": WEBHOOKS_DROPPED})

    async def once(self, what: Mapping[str, Any]) -> None:
        """The next send."""
        await self._add({"kind": "send", "count": 1, **what})

    async def is_struck(self) -> bool:
        """True if a fault has done its work by now."""
        return bool((await self._emulator.call("GET", "/ledger?limit=0"))["counts"].get("fault"))

    async def episodes(self, calm: asyncio.Event) -> None:
        """Until `calm`: the token of a number is refused some times, or the number sends too fast for a moment."""
        while not calm.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(calm.wait(), _EPISODES_EVERY * self._chance.uniform(0.5, 1.5))
            status, code = self._chance.choice(((401, 190), (400, 130429)))
            number = self._chance.choice(self._numbers)
            rule = {"name": str(code), "action": "http_error", "status": status, "code": code}
            await self._add({"kind": "send", "path": number.id, "count": self._chance.randint(1, 5), **rule})

    async def struck(self) -> dict[str, int]:
        """How often each of them struck a send."""
        counts: dict[str, int] = {}
        for armed in await self._emulator.call("GET", "/faults"):
            if armed["rule"].get("kind") == "send":
                name = armed["rule"].get("name", "once")
                counts[name] = counts.get(name, 0) + armed["struck"]
        return counts

    async def end(self) -> None:
        await self._emulator.call("DELETE", "/faults")

    async def _add(self, rule: Mapping[str, Any]) -> None:
        await self._emulator.call("POST", "/faults", rule)
