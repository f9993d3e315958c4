"""Reads the webhooks of the Cloud API. Pure, synchronous, and never surprised: what it cannot read it hands on."""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from inbox.adapters.messaging.cloud_api import wire
from inbox.domain.contacts import Address
from inbox.domain.content import UNREADABLE_PREVIEW, Choice, Content, Media, MediaKind, Other, Text
from inbox.domain.errors import InvalidJson, Undecodable
from inbox.domain.inbound import InboundEvent, InboundMessage, InboundStatus, Unknown
from inbox.kit.json_depth import depth_exceeds
from inbox.kit.signing import verify_meta_signature

LANES: Final = 64
_NUMBER: Final = re.compile(rb'"phone_number_id"\s*:\s*"([^"]{1,64})"')
_NUL: Final = re.compile(rb"(\\+)u0000")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_BUBBLE: Final = frozenset({"reaction", "edit", "revoke", "request_welcome"})
_UNSUPPORTED: Final = frozenset({"unsupported", "unknown"})
_MEDIA: Final = frozenset(MediaKind)
_MILLISECONDS_FROM: Final = 10**11
"""Unix times above this are in milliseconds; in seconds it is the year 5138."""


T = TypeVar("T")


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
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except _UNREADABLE:
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
            envelope = msgspec.json.decode(body, type=wire.Envelope)
        except _UNREADABLE:
            envelope = _lenient(body)
        return list(_events(envelope, received_at))


def _lenient(body: bytes) -> wire.Envelope:
    """Once more, with lone surrogates turned into NUL: then only the item that holds one is set aside."""
    try:
        plain = json.loads(body)
        return msgspec.json.decode(json.dumps(_without_surrogates(plain)), type=wire.Envelope)
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


def _events(envelope: wire.Envelope, received_at: datetime) -> Iterator[InboundEvent]:
    for raw_entry in envelope.entry:
        entry = _read(raw_entry, wire.Entry)
        if isinstance(entry, Unknown):
            yield entry
            continue
        for raw_change in entry.changes:
            change = _read(raw_change, wire.Change)
            if isinstance(change, Unknown):
                yield change
            elif change.field != "messages":
                field = change.field[:64].replace("\x00", "")
                yield Unknown(reason=f"field:{field}", raw=bytes(raw_change))
            else:
                yield from _of_value(change.value, received_at)


def _of_value(raw: msgspec.Raw, received_at: datetime) -> Iterator[InboundEvent]:
    value = _read(raw, wire.Value)
    if isinstance(value, Unknown):
        yield value
        return
    number = value.metadata.phone_number_id
    if "\x00" in number:
        yield Unknown(reason="nul_character", raw=bytes(raw))
        return
    names = dict(_names(value.contacts))
    for item in value.messages:
        yield _message(item, number, names, received_at)
    for item in value.statuses:
        yield _status(item, number, received_at)
    for item in value.errors:
        yield Unknown(reason="errors", raw=bytes(item), phone_number_id=number)


def _names(contacts: Sequence[msgspec.Raw]) -> Iterator[tuple[str, str]]:
    """Profile names by `wa_id` and BSUID: the order of `contacts` need not be that of `messages`."""
    for raw in contacts:
        contact = _read(raw, wire.Contact)
        if isinstance(contact, Unknown) or not contact.profile.name or _holds_nul(raw):
            continue
        for key in (contact.wa_id, contact.user_id):
            if key:
                yield key, contact.profile.name


def _message(raw: msgspec.Raw, number: str, names: dict[str, str], received_at: datetime) -> InboundEvent:
    message = _item(raw, wire.Message, number)
    if isinstance(message, Unknown):
        return message
    if message.group_id:
        # `from` is one participant: an answer would go to that person alone.
        return Unknown(reason="group_message", raw=bytes(raw), phone_number_id=number)
    sender = _sender(message)
    if sender is None or not message.id:
        return Unknown(reason="no_sender", raw=bytes(raw), phone_number_id=number)
    content = _content(message)
    if content is None:
        return Unknown(reason=f"type:{message.type[:64]}", raw=bytes(raw), phone_number_id=number)
    return InboundMessage(
        phone_number_id=number,
        sender=sender,
        profile_name=names.get(sender.wa_id or "") or names.get(sender.bsuid or ""),
        wamid=message.id,
        sent_at=_time(message.timestamp, received_at),
        content=content,
        reply_to_wamid=message.context.id,
    )


def _sender(message: wire.Message) -> Address | None:
    if message.sender:
        plain = Address.of(message.sender)
        return Address(wa_id=plain.wa_id, bsuid=plain.bsuid or message.sender_user_id)
    return Address(bsuid=message.sender_user_id) if message.sender_user_id else None


def _content(message: wire.Message) -> Content | None:
    """None for what gets no bubble of its own."""
    kind = message.type[:64]
    if kind in _NO_BUBBLE:
        return None
    if kind in _UNSUPPORTED:
        return Other(kind="unsupported", text=UNREADABLE_PREVIEW)
    if kind in _MEDIA:
        return _media(message)
    return _spoken(message) or Other(kind=kind, text=f"[{kind}]")


def _spoken(message: wire.Message) -> Content | None:
    if message.type == "text" and message.text is not None:
        return Text(body=message.text.body)
    if message.type == "button" and message.button is not None:
        return Choice(kind="button", title=message.button.text, payload=message.button.payload)
    if message.type == "interactive" and message.interactive is not None:
        return _interactive(message.interactive)
    if message.type == "location" and message.location is not None:
        return Other(kind="location", text=_place(message.location))
    return None


def _media(message: wire.Message) -> Content:
    # Old numbers send type `voice` with the section `audio`.
    body = getattr(message, message.type) or (message.audio if message.type == "voice" else None) or wire.MediaBody()
    return Media(
        kind=MediaKind.VOICE if body.voice else MediaKind(message.type),
        media_id=body.id,
        mime_type=body.mime_type,
        filename=body.filename,
        sha256=body.sha256,
        caption=body.caption,
    )


def _interactive(body: wire.Interactive) -> Content:
    reply = body.button_reply or body.list_reply
    if reply is None:
        return Other(kind="interactive", text=f"[{body.type[:64] or 'interactive'}]")
    return Choice(kind="interactive", title=reply.title, payload=reply.id)


def _place(location: wire.Location) -> str:
    where = location.name or location.address or f"{location.latitude}, {location.longitude}"
    return f"[location] {where}"


def _status(raw: msgspec.Raw, number: str, received_at: datetime) -> InboundEvent:
    status = _item(raw, wire.Status, number)
    if isinstance(status, Unknown):
        return status
    pricing: Any = _read(status.pricing, Any, number)
    if isinstance(pricing, Unknown):
        return msgspec.structs.replace(pricing, raw=bytes(raw))
    error = status.errors[0] if status.errors else None
    return InboundStatus(
        phone_number_id=number,
        wamid=status.id,
        status=status.status,
        occurred_at=_time(status.timestamp, received_at),
        recipient=status.recipient_participant_id
        or status.participant_recipient_id
        or status.recipient_id
        or status.recipient_user_id,
        op_id=status.biz_opaque_callback_data,
        error_code=error.code if error else None,
        error_title=(error.title or error.message) if error else None,
        error_details=error.more if error else None,
        pricing=status.pricing if pricing else None,
    )


def _read(raw: msgspec.Raw, kind: type[T], number: str | None = None) -> T | Unknown:
    """One piece of the body, alone."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNREADABLE as error:
        return Unknown(reason=f"not_readable: {type(error).__name__}", raw=bytes(raw), phone_number_id=number)


def _item(raw: msgspec.Raw, kind: type[T], number: str) -> T | Unknown:
    """One message or status. No phone can send a NUL and PostgreSQL has no room for it: the item is set aside."""
    if _holds_nul(raw):
        return Unknown(reason="nul_character", raw=bytes(raw), phone_number_id=number)
    return _read(raw, kind, number)


def _holds_nul(raw: msgspec.Raw) -> bool:
    """True for the character; false for the letters of its escape behind an escaped backslash."""
    return any(len(slashes) % 2 for slashes in _NUL.findall(bytes(raw)))


def _time(stamp: str | int | None, otherwise: datetime) -> datetime:
    """Unix seconds as Meta writes them, as a string or a number; milliseconds were seen."""
    try:
        seconds = int(stamp) if stamp is not None else 0
        if seconds > _MILLISECONDS_FROM:
            seconds //= 1000
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else otherwise
    except (ValueError, OverflowError, OSError):
        return otherwise
