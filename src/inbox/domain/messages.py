"""A message and its public status."""

from enum import StrEnum
from typing import Final

from inbox.domain.graph_errors import SENTENCES


class Author(StrEnum):
    """Who wrote it. `phone` is the owner typing in the WhatsApp Business app."""

    CONTACT = "contact"
    HUMAN = "human"
    BOT = "bot"
    SYSTEM = "system"
    PHONE = "phone"


class Status(StrEnum):
    """The six words that front ends know; no other may appear."""

    RECEIVED = "received"
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


RANK: Final = {Status.PENDING: 0, Status.SENT: 1, Status.FAILED: 2, Status.DELIVERED: 3, Status.READ: 4}
"""Status only rises. `failed` gives way to a proof of delivery: Meta's order is not reliable."""

FROM_META: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
"""Meta's status words that move the status; others are kept in the history only."""

FAILURES: Final = SENTENCES
"""What an operator reads for Meta's codes; a code that has no row there shows WhatsApp's title as well."""


def later(current: Status, seen: Status) -> Status:
    """The status after `seen` was heard: never lower than `current`."""
    return seen if RANK[seen] > RANK[current] else current
