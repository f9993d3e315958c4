"""Receipts without WhatsApp: what customers would have been told, and every failure on demand."""

from collections import deque

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.upstream_errors import AccountProblem, Refused


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One call as WhatsApp would have seen it."""

    phone_number_id: str
    wamid: str
    typing: bool = False


class FakeReceipts:
    """Takes what WhatsApp would, or fails as told. `keeps` bounds what is remembered."""

    def __init__(self, *, keeps: int = 10_000) -> None:
        self.told: deque[Told] = deque(maxlen=keeps)
        self.unknown: set[str] = set()
        """Messages that WhatsApp does not know (any more)."""
        self._errors: deque[InboxError] = deque(maxlen=keeps)

    def fail_next(self, error: InboxError) -> None:
        """The next call raises `error`, and the customer is told nothing."""
        self._errors.append(error)

    async def mark_read(self, channel: Channel, wamid: str, *, typing: bool = False) -> None:
        if not channel.is_usable:
            raise AccountProblem(WhatsAppNotConfigured.message)
        if self._errors:
            raise self._errors.popleft()
        if wamid in self.unknown:
            raise Refused("Invalid message id", graph_code=131009)
        self.told.append(Told(phone_number_id=channel.phone_number_id, wamid=wamid, typing=typing))
