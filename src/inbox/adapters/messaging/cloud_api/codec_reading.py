"""How pieces of a webhook are read: each alone, with what stands around it at hand."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from inbox.adapters.messaging.cloud_api import wire_inbound as wire
from inbox.domain.contacts import Address, phone_key
from inbox.domain.inbound import InboundEvent, Unknown

Events = Sequence[InboundEvent]
T = TypeVar("T")

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NUL_ESCAPE: Final = b"\\u0000"
MAX_WORD: Final = 64
"""Characters of a word of Meta's that is stored as one, such as a type."""
_NUL: Final = re.compile(rb"(\\+)u0000")
_NOT_DIGITS: Final = re.compile(r"[^0-9]+")
_MILLISECONDS_FROM: Final = 10**11
"""Unix times above this are in milliseconds; in seconds it is the year 5138."""
_ANYTHING: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()
_NOBODY: Final = wire.Contact()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change was found. `at` is the time of its entry, or that of the delivery.

    `may_hold_nul` is False if the whole delivery is free of NUL.
    """

    field: str
    waba_id: str | None
    received_at: datetime
    at: datetime
    may_hold_nul: bool


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around an item about a customer: the place, the number of ours, and who the customers are.

    `contacts` are Meta's, by `wa_id`, its `phone_key` and BSUID: their order need not be that of the items, and some
    numbers are written in two ways.
    """

    place: Place
    number: str
    display_number: str | None
    contacts: dict[str, wire.Contact]

    def contact(self, wa_id: str | None, bsuid: str | None) -> wire.Contact:
        """What Meta says about this customer; nothing if it does not speak about them."""
        contacts = self.contacts
        if not contacts:
            return _NOBODY
        found = contacts.get(wa_id or "") or contacts.get(bsuid or "")
        return found or contacts.get(phone_key(wa_id or "")) or _NOBODY

    def time(self, stamp: str | float | None) -> datetime:
        return time_of(stamp, self.place.received_at)

    def unknown(self, reason: str, raw: msgspec.Raw) -> tuple[Unknown]:
        return (Unknown(reason=reason, raw=bytes(raw), phone_number_id=self.number),)

    def read(self, raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T | Unknown:
        """One item. No phone can send a NUL and PostgreSQL has no room for it: the item is set aside."""
        if self.place.may_hold_nul and holds_nul(raw):
            return Unknown(reason="nul_character", raw=bytes(raw), phone_number_id=self.number)
        return self.frame(raw, decoder)

    def frame(self, raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T | Unknown:
        """What stands around items, which are read alone: the NUL in one of them is its own."""
        try:
            return decoder.decode(raw)
        except UNREADABLE as error:
            return unreadable(raw, error, self.number)


def unreadable(raw: msgspec.Raw, error: Exception, number: str | None = None) -> Unknown:
    return Unknown(reason=f"not_readable: {type(error).__name__}", raw=bytes(raw), phone_number_id=number)


def holds_nul(raw: msgspec.Raw | bytes) -> bool:
    """True for the character; false for the letters of its escape behind an escaped backslash."""
    return any(len(slashes) % 2 for slashes in _NUL.findall(bytes(raw)))


def kept(raw: msgspec.Raw | bytes) -> msgspec.Raw:
    """A piece that is stored as JSON, as it came. It is checked whole: what is skipped is not decoded.

    Raises one of `UNREADABLE`.
    """
    _ANYTHING.decode(raw)
    return msgspec.Raw(bytes(raw))


def word(text: str) -> str:
    """A word of Meta's, short enough to be one."""
    return text[:MAX_WORD].replace("\x00", "")


def digits(number: str | float | None) -> str | None:
    """The digits of one of our numbers, however it is written."""
    return _NOT_DIGITS.sub("", str(number)) or None if number is not None else None


def bare(username: str | None) -> str | None:
    """A username without its `@`."""
    return (username or "").removeprefix("@") or None


def address(wa_id: str | None, bsuid: str | None, parent: str | None, contact: wire.Contact) -> Address | None:
    """Where a customer is reached, completed by what Meta says about them; None if there is neither phone nor BSUID.

    A BSUID was seen in the place of the phone.
    """
    if wa_id and not wa_id.isdigit():
        plain = Address.of(wa_id)
        wa_id, bsuid = plain.wa_id, plain.bsuid or bsuid
    wa_id, bsuid = wa_id or contact.wa_id or None, bsuid or contact.user_id or None
    if wa_id is None and bsuid is None:
        return None
    parent = parent or contact.parent_user_id or None
    return Address(wa_id=wa_id, bsuid=bsuid, parent_bsuid=parent, username=bare(contact.profile.username))


def time_of(stamp: str | float | None, otherwise: datetime) -> datetime:
    return unix_time(stamp) or otherwise


def unix_time(stamp: str | float | None) -> datetime | None:
    """Unix seconds as Meta writes them, as a string or a number; milliseconds were seen. None if it is no time."""
    try:
        seconds = int(stamp) if stamp is not None else 0
        if seconds > _MILLISECONDS_FROM:
            seconds //= 1000
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
