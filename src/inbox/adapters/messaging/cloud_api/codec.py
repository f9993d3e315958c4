"""Reads the webhooks of the Cloud API. Pure, synchronous, and never surprised: what it cannot read it hands on."""

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from inbox.adapters.messaging.cloud_api import (
    codec_customers,
    codec_fields,
    codec_messages,
    wire,
    wire_inbound,
)
from inbox.adapters.messaging.cloud_api.codec_reading import (
    NUL_ESCAPE,
    UNREADABLE,
    Events,
    Origin,
    Place,
    digits,
    holds_nul,
    time_of,
    unreadable,
    word,
)
from inbox.domain.contacts import phone_key
from inbox.domain.errors import InvalidJson, Undecodable
from inbox.domain.inbound import InboundEvent, Unknown
from inbox.kit.json_depth import depth_exceeds
from inbox.kit.signing import verify_meta_signature

LANES: Final = 64
_NUMBER: Final = re.compile(rb'"phone_number_id"\s*:\s*"([^"]{1,64})"')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ENVELOPE: Final = msgspec.json.Decoder(wire.Envelope)
_LOOSE_ENVELOPE: Final = msgspec.json.Decoder(wire.LooseEnvelope)
_LOOSE_ENTRY: Final = msgspec.json.Decoder(wire.LooseEntry)
_WORD: Final = msgspec.json.Decoder(str | int | float)
_CHANGE: Final = msgspec.json.Decoder(wire.Change)
_VALUE: Final = msgspec.json.Decoder(wire_inbound.Value)
_CONTACTS: Final = msgspec.json.Decoder(list[wire_inbound.Contact])
_LOOSE_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_CONTACT: Final = msgspec.json.Decoder(wire_inbound.Contact)

Reader = Callable[[msgspec.Raw, Origin], Events]
_READERS: Final[Mapping[str, Mapping[str, Reader]]] = {
    "messages": {"messages": codec_messages.message, "statuses": codec_customers.status},
    "smb_message_echoes": {"message_echoes": codec_messages.echo},
    "history": {"history": codec_messages.history, "messages": codec_messages.past},
    "smb_app_state_sync": {"state_sync": codec_customers.book_change},
    "calls": {"calls": codec_customers.call, "statuses": codec_customers.call_status},
    "user_preferences": {"user_preferences": codec_customers.preference},
}
"""Which lists of the fields about customers hold what. The same list means other things in another field."""
_KEYS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTS: Final = ("messages", "statuses", "message_echoes", "history", "state_sync", "calls", "user_preferences")
_KNOWN: Final = frozenset({"messaging_product", "metadata", "contacts", "errors", *_LISTS})


class CloudApiCodec:
    """Decodes what Meta posts to `/webhook/whatsapp`."""

    def __init__(self, app_secrets: Sequence[bytes]) -> None:
        """`app_secrets` of the Meta app, several during a rotation."""
        self._secrets = tuple(app_secrets)

    @property
    def has_secret(self) -> bool:
        return bool(self._secrets)

    def authentic(self, signature: bytes, body: bytes, more: Sequence[bytes] = ()) -> bool:
        return verify_meta_signature([*self._secrets, *more], signature, body)

    def lane(self, body: bytes) -> str:
        found = _NUMBER.search(body)
        return f"{zlib.crc32(found[1]) % LANES:02d}" if found else "00"

    def check_object(self, body: bytes) -> None:
        try:
            _KEYS.decode(body)
        except UNREADABLE:
            # The strict reader also refuses what is only strange. The lenient one tells that from what is no JSON.
            try:
                strange = json.loads(body)
            except (RecursionError, UnicodeDecodeError):
                if not body.lstrip().startswith(b"{"):
                    raise InvalidJson from None
                return
            except ValueError:
                raise InvalidJson from None
            if not isinstance(strange, dict):
                raise InvalidJson from None

    def decode(self, body: bytes, received_at: datetime) -> list[InboundEvent]:
        if depth_exceeds(body):
            raise Undecodable("too_deep")
        try:
            entries = _ENVELOPE.decode(body).entry
        except UNREADABLE:
            return list(_piece_by_piece(body, received_at))
        nul = NUL_ESCAPE in body
        events: list[InboundEvent] = []
        for entry in entries:
            for change in entry.changes:
                events += _of_change(change, entry, received_at, may_hold_nul=nul)
        return events


def _piece_by_piece(body: bytes, received_at: datetime) -> Iterator[InboundEvent]:
    """What is strange is set aside at the lowest level at which the rest can still be read."""
    for raw_entry in _strange(body).entry:
        try:
            loose = _LOOSE_ENTRY.decode(raw_entry)
        except UNREADABLE as error:
            yield unreadable(raw_entry, error)
            continue
        entry = wire.Entry(id=_word(loose.id), time=_word(loose.time))
        for raw in loose.changes:
            try:
                change = _CHANGE.decode(raw)
            except UNREADABLE as error:
                yield unreadable(raw, error)
                continue
            yield from _of_change(change, entry, received_at, may_hold_nul=True)


def _word(raw: msgspec.Raw) -> str:
    """An id or a time; empty if it is neither."""
    try:
        return str(_WORD.decode(raw))
    except UNREADABLE:
        return ""


def _strange(body: bytes) -> wire.LooseEnvelope:
    """If need be with lone surrogates turned into NUL: then only the item that holds one is set aside."""
    try:
        return _LOOSE_ENVELOPE.decode(body)
    except UNREADABLE:
        pass
    try:
        return _LOOSE_ENVELOPE.decode(json.dumps(_without_surrogates(json.loads(body))))
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"not_readable: {type(error).__name__}") from None


def _without_surrogates(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return _SURROGATE.sub("\x00", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _of_change(change: wire.Change, entry: wire.Entry, received_at: datetime, *, may_hold_nul: bool) -> Events:
    place = Place(
        field=word(change.field),
        waba_id=entry.id.replace("\x00", "") or None,
        received_at=received_at,
        at=time_of(entry.time, received_at),
        may_hold_nul=may_hold_nul,
    )
    readers = _READERS.get(change.field)
    if readers is None:
        return codec_fields.notices(change.value, place)
    return _of_value(change.value, place, readers)


def _of_value(raw: msgspec.Raw, place: Place, readers: Mapping[str, Reader]) -> Events:
    try:
        value = _VALUE.decode(raw)
    except UNREADABLE as error:
        return (unreadable(raw, error),)
    number = value.metadata.phone_number_id
    if "\x00" in number:
        return (Unknown(reason="nul_character", raw=bytes(raw)),)
    origin = Origin(
        place=place,
        number=number,
        display_number=digits(value.metadata.display_phone_number),
        contacts={} if value.contacts == wire_inbound.NOTHING else dict(_contacts(value.contacts, place)),
    )
    events: list[InboundEvent] = []
    for name in _LISTS:
        items: list[msgspec.Raw] = getattr(value, name)
        if items:
            reader = readers.get(name, _misplaced)
            for item in items:
                events += reader(item, origin)
    for item in value.errors:
        events += codec_fields.trouble(item, origin)
    if not events and _holds_more(raw):
        return origin.unknown(f"value:{place.field}", raw)
    return events


def _holds_more(raw: msgspec.Raw) -> bool:
    """True if a value has members that nobody here knows."""
    try:
        return not _KEYS.decode(raw).keys() <= _KNOWN
    except UNREADABLE:
        return True


def _misplaced(raw: msgspec.Raw, origin: Origin) -> Events:
    return origin.unknown(f"misplaced:{origin.place.field}", raw)


def _contacts(raw: msgspec.Raw, place: Place) -> Iterator[tuple[str, wire_inbound.Contact]]:
    """By whatever names them. One that cannot be read or stored is left out alone."""
    try:
        contacts = list(_storable(raw)) if place.may_hold_nul else _CONTACTS.decode(raw)
    except UNREADABLE:
        contacts = list(_storable(raw))
    for contact in contacts:
        if contact.wa_id:
            yield phone_key(contact.wa_id), contact
            yield contact.wa_id, contact
        if contact.user_id:
            yield contact.user_id, contact


def _storable(raw: msgspec.Raw) -> Iterator[wire_inbound.Contact]:
    with contextlib.suppress(*UNREADABLE):
        for item in _LOOSE_LIST.decode(raw):
            with contextlib.suppress(*UNREADABLE):
                if not holds_nul(item):
                    yield _CONTACT.decode(item)
