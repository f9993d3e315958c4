"""What changed, and the hints that tell other processes to look."""

from typing import TypeAlias

import msgspec

from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.work import WorkKind


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the event log, visible exactly if its change is."""

    account_id: AccountId
    conversation_id: ConversationId | None
    kind: str
    body: dict[str, str | int | bool | None]


class WorkWaiting(msgspec.Struct, frozen=True, tag="work"):
    """A lane of this kind has something to do."""

    kind: WorkKind


class MessageSettled(msgspec.Struct, frozen=True, tag="settled"):
    """The outcome of a send may be known now, or it was given back to wait."""

    message_id: MessageId


class CacheStale(msgspec.Struct, frozen=True, tag="stale"):
    """Entries with these tags must be forgotten."""

    tags: tuple[str, ...]


class CircuitReset(msgspec.Struct, frozen=True, tag="circuit_reset"):
    """An administrator closed this circuit, in every process."""

    name: str


class LogGrew(msgspec.Struct, frozen=True, tag="log"):
    """The event log has new rows."""


class Resync(msgspec.Struct, frozen=True, tag="resync"):
    """Hints may have been lost: look at everything again."""


Signal: TypeAlias = WorkWaiting | MessageSettled | CacheStale | CircuitReset | LogGrew | Resync
