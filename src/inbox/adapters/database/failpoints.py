"""Named points at the border of the database, and what happens when one is passed.

A point is passed each time its method begins (`before`) or has done its work (`after`); a rule says at which passage
what happens.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.errors import CommitUnknown, DatabaseUnavailable

POINTS: Final = tuple(
    f"{method}:{side}"
    for method in (
        "deliveries.store",
        "deliveries.read",
        "work.claim",
        "work.extend",
        "work.finish",
        "work.retry",
        "outbox.post",
        "outbox.take_heads",
        "outbox.to_wire",
        "outbox.settle",
        "outbox.release",
        "outbox.reap",
        "tx.apply",
        "tx.finish",
        "tx.queue",
        "tx.open_turn",
        "tx.close_turn",
        "commit",
        "commit.apply",
        "commit.queue",
        "commit.open_turn",
        "commit.close_turn",
    )
    for side in ("before", "after")
)
"""Every point there is. `commit` is passed by every transaction, `commit.x` by those in which `tx.x` came last."""

_COMMITTING: Final = ("commit", "outbox.post:")

_COMMITS: Final = frozenset(point.partition(":")[0] for point in POINTS if point.startswith("commit."))

MAX_DELAY: Final = 60.0


class Action(StrEnum):
    KILL = "kill"
    RAISE = "raise"
    DELAY = "delay"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """At passage number `hit` (from 1) of `point`, do `action`; `seconds` is for delays."""

    point: str
    action: Action
    hit: int = 1
    seconds: float = 0.0


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Failpoints:
    """Rules, and how often each point was passed."""

    def __init__(self, rules: Iterable[Rule] = (), *, kill: Callable[[], None] = _kill) -> None:
        """`kill` ends this process without any farewell. Raises ValueError for a rule that can never act."""
        self._rules = tuple(rules)
        self._kill = kill
        self._hits: dict[str, int] = {}
        for rule in self._rules:
            if rule.point not in POINTS:
                raise ValueError(f"there is no failpoint {rule.point!r}; there are: {', '.join(POINTS)}")
            if rule.hit < 1 or not 0 <= rule.seconds <= MAX_DELAY:
                raise ValueError(f"the rule for {rule.point} can never act")

    @classmethod
    def parse(cls, text: str) -> "Failpoints":
        """Rules like `outbox.to_wire:after=kill@1,commit:before=raise@3,work.claim:after=delay:0.5`.

        Without `@` the first passage counts. Raises ValueError.
        """
        return cls(_rule(part.strip()) for part in text.split(",") if part.strip())

    def hits(self, point: str) -> int:
        """How often `point` was passed."""
        return self._hits.get(point, 0)

    async def hit(self, point: str) -> None:
        """To be called when `point` is passed. A point after COMMIT raises `CommitUnknown`, any other an outage."""
        passage = self._hits.get(point, 0) + 1
        self._hits[point] = passage
        for rule in self._rules:
            if (rule.point, rule.hit) == (point, passage):
                await self._act(rule)

    async def _act(self, rule: Rule) -> None:
        match rule.action:
            case Action.KILL:
                self._kill()
            case Action.RAISE if rule.point.startswith(_COMMITTING) and rule.point.endswith(":after"):
                raise CommitUnknown(f"failpoint {rule.point}")
            case Action.RAISE:
                raise DatabaseUnavailable(f"failpoint {rule.point}")
            case Action.DELAY:
                await asyncio.sleep(rule.seconds)


def _rule(text: str) -> Rule:
    point, equals, rest = text.partition("=")
    what, _, hit = rest.partition("@")
    action, _, seconds = what.partition(":")
    if not equals or action not in set(Action):
        raise ValueError(f"{text!r} is not a failpoint rule: point=action[:seconds][@passage]")
    return Rule(point=point, action=Action(action), hit=int(hit or 1), seconds=float(seconds or 0))


class Trail:
    """The failpoints of one transaction, and what it did last: its commit has a name of its own."""

    def __init__(self, failpoints: Failpoints) -> None:
        self._failpoints = failpoints
        self._commit: str | None = None

    async def hit(self, point: str) -> None:
        commit = point.partition(":")[0].replace("tx.", "commit.", 1)
        if commit in _COMMITS:
            self._commit = commit
        await self._failpoints.hit(point)

    async def hit_commit(self, side: str) -> None:
        await self._failpoints.hit(f"commit:{side}")
        if self._commit is not None:
            await self._failpoints.hit(f"{self._commit}:{side}")
