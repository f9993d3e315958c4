"""Stored deliveries as operators see them: to be found, read, replayed, discarded, and compared with their effects."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import InboundEvent
from inbox.ports.views import Timestamp

DISCARDED: Final = "discarded"
"""The reason of a delivery that somebody decided to give up."""


class Which(StrEnum):
    """Deliveries by what became of them."""

    OPEN = "open"
    DONE = "done"
    QUARANTINED = "quarantined"
    UNROUTED = "unrouted"
    SET_ASIDE = "set_aside"
    """All that wait for a person: quarantined, unrouted, or done but for some items; and not discarded."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries in a state, and with a reason: their own or that of one of their items. None is any."""

    which: Which | None = None
    reason: str | None = None


class DeliveryItem(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery without its body. `size` is in bytes, `set_aside` the number of its items that were not applied."""

    id: int
    received_at: Timestamp
    state: str
    reason: str | None
    tries: int
    replays: int
    done_at: Timestamp | None
    size: int
    set_aside: int


class AsideItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item that was not applied, as it came or in our own encoding. `position` is its place in its delivery."""

    position: int
    reason: str
    raw: bytes
    created_at: Timestamp


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all that it says: personal data."""

    delivery: DeliveryItem
    body: bytes
    items: list[AsideItem]


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to be compared with its effects. `aside` are the positions of its items that were not applied."""

    id: DeliveryId
    body: bytes
    received_at: datetime
    state: str
    aside: frozenset[int]


class ArchivePage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries in the order in which they were stored. `next` leads on; None is the end of the range."""

    deliveries: Sequence[Archived]
    next: DeliveryId | None


class Fate(StrEnum):
    """What is stored of an item."""

    APPLIED = "applied"
    PARKED = "parked"
    """A status whose message nobody knows."""
    MISSING = "missing"


class Archive(Protocol):
    """Reads what was delivered. All methods raise `DatabaseUnavailable`, `DatabaseTimeout`."""

    async def listed(self, selection: Selection, *, limit: int, before: DeliveryId | None) -> list[DeliveryItem]:
        """The newest first, `before` another one."""
        ...

    async def find(self, delivery_id: DeliveryId) -> DeliveryRecord | None: ...

    async def page(self, since: datetime, until: datetime, after: DeliveryId | None, limit: int) -> ArchivePage:
        """What was received from `since` on and before `until`, at most `limit` and a few MB."""
        ...

    async def look_up(self, events: Sequence[InboundEvent]) -> list[Fate]:
        """For each item what is stored of it. Raises `Unstorable` if one of them never can be."""
        ...


class Replays(Protocol):
    """Changes the state of deliveries, in a transaction."""

    async def reopen(self, delivery_ids: Sequence[DeliveryId]) -> int:
        """Makes them open again and forgets what was set aside of them; says of how many. Open ones are left alone."""
        ...

    async def discard(self, delivery_id: DeliveryId) -> bool:
        """Gives up what was set aside of it; False if there is nothing, or no such delivery."""
        ...


class Sweep(StrEnum):
    """What is removed when it is old."""

    DELIVERIES = "deliveries"
    """Those that are done, with all of their items."""
    DISCARDED = "discarded_deliveries"
    PARKED_STATUSES = "parked_statuses"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    LOGIN_ATTEMPTS = "login_attempts"
    SESSIONS = "sessions"
    PROCESSES = "processes"
    MEDIA_FAILURES = "media_failures"
    MEDIA_WORK = "media_work"
    """Lanes of files that were fetched or given up: a file has one for itself, and it never comes again."""
    EVENTS = "events"


class Removed(msgspec.Struct, frozen=True):
    """So many rows went in one step; `is_over` if it was the last one of its kind."""

    count: int
    is_over: bool


class Sweeper(Protocol):
    """Removes old rows while nobody else does."""

    async def remove(self, what: Sweep, age: timedelta, limit: int) -> "Removed":
        """Removes at most `limit` rows older than `age`, in one statement; rows that somebody works on stay.

        Raises `DatabaseUnavailable`; after `DatabaseTimeout` other kinds of rows can still be removed.
        """
        ...


class Retention(Protocol):
    """The right to remove what is old, which one process of the installation has at a time."""

    def alone(self) -> AbstractAsyncContextManager[Sweeper | None]:
        """None if another process has it. Raises `DatabaseUnavailable`, `DatabaseTimeout`."""
        ...
