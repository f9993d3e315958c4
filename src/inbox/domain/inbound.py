"""What a delivery of Meta says, decoded item by item."""

from datetime import datetime
from typing import TypeAlias

import msgspec

from inbox.domain.contacts import Address
from inbox.domain.content import Content


class InboundMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A customer wrote. `sent_at` is Meta's time, in whole seconds."""

    phone_number_id: str
    sender: Address
    profile_name: str | None
    wamid: str
    sent_at: datetime
    content: Content
    reply_to_wamid: str | None = None


class InboundStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Something became of a message of ours. `status` is Meta's word, known or not."""

    phone_number_id: str
    wamid: str
    status: str
    occurred_at: datetime
    recipient: str | None = None
    op_id: str | None = None
    error_code: int | None = None
    error_title: str | None = None
    error_details: str | None = None
    pricing: msgspec.Raw | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """An item that nobody reads yet, or that is broken: kept as it came, with the reason."""

    reason: str
    raw: bytes
    phone_number_id: str | None = None


InboundEvent: TypeAlias = InboundMessage | InboundStatus | Unknown
