"""What operators look at: circuits, processes and queues; and whether the others answer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from inbox.domain.ids import AccountId
from inbox.ports.cache import CacheStats

LIVE_SECONDS = 10.0
"""A process that was not heard of for so long counts as gone."""


class CircuitState(msgspec.Struct, frozen=True, kw_only=True):
    """What `/health` and `/admin/circuit-breakers` show, in the words of the REST contract, and the rejections.

    `state` is `closed`, `open` or `half_open`; times are aware UTC.
    """

    name: str
    state: str
    failure_count: int
    success_count: int
    last_failure_time: datetime | None
    opened_at: datetime | None
    rejected_count: int


class Circuits(Protocol):
    """The circuit breakers of this process."""

    def inspect(self) -> Mapping[str, CircuitState]:
        """Every circuit by its key, like `whatsapp`."""
        ...

    def reset(self, name: str) -> bool:
        """Close it and forget its failures. False if there is no such circuit."""
        ...


class Gate(Protocol):
    """One circuit, for work that would be tried in vain while it is open."""

    def room(self) -> int | None:
        """How many calls would be let through now: None is no limit, 1 a trial, 0 nobody."""
        ...

    async def moved(self, since: int) -> int:
        """The number of the latest change, as soon as it is another than `since`.

        A change is a new state, or the end of a trial; that the time of an open circuit is over is none. Numbers begin
        at 0.
        """
        ...


class Probe(Protocol):
    """Asks another service whether it lives, by a call that is harmless and costs nothing."""

    async def __call__(self) -> bool:
        """True if it answers as it should, False if none is set up that could be asked.

        One attempt, outside of retries and circuits: it neither moves nor heeds them. The deadline is the caller's.
        Raises the errors that a real call raises.
        """
        ...


class ProcessKind(StrEnum):
    """What runs in a process."""

    WEB = "web"
    WORKER = "worker"
    BOTH = "both"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A running process of this service. `id` is new with every start."""

    id: UUID
    kind: ProcessKind
    host: str
    pid: int
    version: str
    started_at: datetime


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What only the process itself knows. The keys of the cache are some of them."""

    circuits: dict[str, CircuitState] = {}
    cache: CacheStats | None = None


class Peers(Protocol):
    """One process among the others of this installation."""

    @property
    def id(self) -> UUID: ...

    def is_counted(self) -> bool:
        """True if this process said that it lives so lately that `Operations.has_others` counts it elsewhere.

        It holds for the next two seconds, whatever happens in them.
        """
        ...


class LiveProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process, and what it said last. A report of another version that cannot be read is empty."""

    process: Process
    seen_at: datetime
    report: ProcessReport


class DeliveryQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Webhooks: those not worked on yet, with the age of the oldest, and those set aside.

    `quarantined_items` are single messages and statuses that were set aside while the rest of their delivery went on.
    Counts end at `MOST_COUNTED`.
    """

    waiting: int
    oldest_seconds: float
    quarantined: int
    unrouted: int
    quarantined_items: int


class SendQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Messages on their way out: `waiting` for their turn, with the age of the oldest, and `on_wire`.

    `unknown` ones may have arrived, and a status is awaited; `unconfirmed` ones got none and need a person. Counts end
    at `MOST_COUNTED`. `paused_accounts` send nothing: WhatsApp refuses their token or their rights.
    """

    waiting: int
    oldest_seconds: float
    on_wire: int
    unknown: int
    unconfirmed: int
    paused_accounts: int


class SilentNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A number that sends and hears nothing: WhatsApp took a message at `sent_at`, more than ten minutes ago.

    No status of it came, nor anything else about the number since; at `last_webhook_at` it heard something last.
    """

    account_id: AccountId
    phone_number_id: str
    sent_at: datetime
    last_webhook_at: datetime | None


class NumberPace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a number may send, in messages a second: `ceiling` is what WhatsApp allows it, `rate` what it does now.

    It is lower for some minutes after WhatsApp said, at `slowed_at`, that it was too fast. `sent` counts what took its
    turn since the number began. One customer gets `pair_burst` messages at once, then one every `pair_seconds`.
    """

    account_id: UUID
    name: str
    phone_number_id: str
    ceiling: float
    rate: float
    slowed_at: datetime | None
    sent: int
    pair_seconds: float
    pair_burst: int


MOST_COUNTED = 100_000
"""Counting more would cost more than the figure is worth."""


class Operations(Protocol):
    """The rows behind the administrators' pages. All methods raise `DatabaseUnavailable`, `DatabaseTimeout`."""

    async def report(self, process: Process, report: ProcessReport) -> None:
        """This process lives, and says `report`. Removes a few that count as gone. One statement."""
        ...

    async def leave(self, process_id: UUID) -> None:
        """It ends in an orderly way."""
        ...

    async def processes(self) -> list[LiveProcess]:
        """Those that live, the oldest first."""
        ...

    async def resets(self, within: timedelta) -> dict[str, timedelta]:
        """How long ago each circuit was last reset by an administrator, of those of the time `within`."""
        ...

    async def has_others(self, process_id: UUID | None) -> bool:
        """True if a process lives that is not this one; None is a process that did not report. At most 0.5 s."""
        ...

    async def deliveries(self) -> DeliveryQueue: ...

    async def sends(self) -> SendQueue: ...

    async def silent_numbers(self) -> list[SilentNumber]:
        """The longest silent first."""
        ...

    async def paces(self) -> list[NumberPace]:
        """Of every number, by the name of its account; the first 1,000."""
        ...

    async def parked_statuses(self) -> int:
        """Statuses of messages that nobody knows. Counts end at `MOST_COUNTED`."""
        ...
