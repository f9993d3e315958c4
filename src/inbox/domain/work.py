"""Durable work: lanes. A lane is one row per thing that must stay in order; workers claim lanes, not items."""

import random
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.ids import AccountId

LEASE_SECONDS: Final = 30.0
MAX_ATTEMPTS: Final = 4
"""After so many claims from which no worker came back the item at the head is quarantined."""


class WorkKind(StrEnum):
    """What a lane is for. Each kind has workers of its own, so that long work never starves short work."""

    INGEST = "ingest"
    SEND = "send"
    TURN = "turn"
    MEDIA = "media"
    RECEIPT = "receipt"


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed lane. `fence` is the proof of the claim: a finish with an older one is refused.

    `attempts` counts claims from which no worker came back, this one included; `retries` orderly failures in a row.
    `traceparent` (W3C) names the trace that the last enqueue belongs to, if there is one. `pair_refusals` counts how
    often in a row WhatsApp found that the customer of a send lane gets too much.
    """

    kind: WorkKind
    key: str
    ver: int
    fence: int
    attempts: int
    retries: int = 0
    account_id: AccountId | None = None
    traceparent: str | None = None
    pair_refusals: int = 0

    @property
    def is_suspect(self) -> bool:
        """True if a worker died with it before: it is worked on alone."""
        return self.attempts > 1


def back_off(attempt: int, *, first: float = 1.0, most: float = 300.0) -> timedelta:
    """The wait before try number `attempt` + 1: exponential, with full jitter (0 to the bound)."""
    bound = min(most, first * 2.0 ** min(max(0, attempt - 1), 60))
    return timedelta(seconds=random.uniform(0.1 * bound, bound))  # noqa: S311 - jitter, not a secret
