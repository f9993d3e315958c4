"""Identifiers. This and nothing else in the domain reads a clock or draws random numbers."""

import secrets
import time
from datetime import datetime
from typing import Final, NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
ContactId = NewType("ContactId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
UserId = NewType("UserId", UUID)
TurnId = NewType("TurnId", UUID)
DeliveryId = NewType("DeliveryId", int)

_VERSION_AND_VARIANT: Final = (0x7 << 76) | (0x2 << 62)


def uuid7() -> UUID:
    """A new time-ordered id (RFC 9562, version 7)."""
    return _at(time.time_ns() // 1_000_000, secrets.randbits(74))


def uuid7_at(when: datetime, serial: int, index: int) -> UUID:
    """The id of the item `index` of delivery `serial`, received at `when`.

    The same item always gets the same id, and ids sort by arrival, so that messages of one second of Meta's clock keep
    their order whichever worker comes first.
    """
    return _at(int(when.timestamp() * 1000), ((serial & (1 << 54) - 1) << 20) | (index & (1 << 20) - 1))


def _at(milliseconds: int, low: int) -> UUID:
    return UUID(int=(milliseconds << 80) | ((low >> 62) << 64) | _VERSION_AND_VARIANT | (low & (1 << 62) - 1))
