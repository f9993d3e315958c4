"""Hints that tell other processes to look. What was lost of them costs time, never a change."""

from typing import TypeAlias

import msgspec

from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.domain.presence import Presence
from inbox.domain.work import WorkKind


class WorkWaiting(msgspec.Struct, frozen=True, tag="work"):
    """A lane of this kind has something to do."""

    kind: WorkKind


class MessageSettled(msgspec.Struct, frozen=True, tag="settled"):
    """The outcome of a send may be known now, or it was given back to wait.

    With `wamid` WhatsApp took it under this id, and that is committed: nobody has to look.
    """

    message_id: MessageId
    wamid: str | None = None


class CacheStale(msgspec.Struct, frozen=True, tag="stale"):
    """Entries with these tags must be forgotten."""

    tags: tuple[str, ...]


class CircuitReset(msgspec.Struct, frozen=True, tag="circuit_reset"):
    """An administrator closed this circuit, in every process."""

    name: str


class LogGrew(msgspec.Struct, frozen=True, tag="log"):
    """The event log has new rows."""


class ColleagueSeen(msgspec.Struct, frozen=True, kw_only=True, tag="colleague"):
    """Somebody of the team looks at a conversation, writes in it, or left; true for some seconds and in no log."""

    account_id: AccountId
    conversation_id: ConversationId
    user_id: UserId
    display_name: str | None
    state: Presence


class Resync(msgspec.Struct, frozen=True, tag="resync"):
    """Hints may have been lost: look at everything again."""


Signal: TypeAlias = WorkWaiting | MessageSettled | CacheStale | CircuitReset | LogGrew | ColleagueSeen | Resync
