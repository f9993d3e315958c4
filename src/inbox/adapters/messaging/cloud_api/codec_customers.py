"""What webhooks say about customers beside their messages: statuses, calls, preferences, the owner's address book."""

from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api import wire_inbound as wire
from inbox.adapters.messaging.cloud_api.codec_reading import (
    UNREADABLE,
    Events,
    Origin,
    address,
    bare,
    digits,
    kept,
    unreadable,
    word,
)
from inbox.domain.contacts import Address
from inbox.domain.content import Call, CallStage
from inbox.domain.inbound import (
    ContactName,
    IdentityLink,
    InboundMessage,
    InboundStatus,
    Preference,
    Source,
    Unknown,
)

_STATUS: Final = msgspec.json.Decoder(wire.Status)
_CALL: Final = msgspec.json.Decoder(wire.Call)
_PREFERENCE: Final = msgspec.json.Decoder(wire.UserPreference)
_BOOK: Final = msgspec.json.Decoder(wire.BookChange)
_CALL_STATUSES: Final = {
    "RINGING": CallStage.RINGING,
    "ACCEPTED": CallStage.ACCEPTED,
    "REJECTED": CallStage.REJECTED,
}
_NO_PRICE: Final = (wire.NOTHING, msgspec.Raw(b"{}"))


def status(raw: msgspec.Raw, origin: Origin) -> Events:
    """What became of a message of ours, and who got it if phone and BSUID are both told."""
    heard = origin.read(raw, _STATUS)
    if isinstance(heard, Unknown):
        return (heard,)
    error = heard.errors[0] if heard.errors else None
    try:
        pricing = None if heard.pricing in _NO_PRICE else kept(heard.pricing)
    except UNREADABLE as reason:
        return (unreadable(raw, reason, origin.number),)
    participant = heard.recipient_participant_id or heard.participant_recipient_id
    event = InboundStatus(
        phone_number_id=origin.number,
        wamid=heard.id,
        status=heard.status,
        occurred_at=origin.time(heard.timestamp),
        recipient=participant or heard.recipient_participant_user_id or heard.recipient_id or heard.recipient_user_id,
        op_id=heard.biz_opaque_callback_data,
        error_code=error.code if error else None,
        error_title=(error.title or error.message) if error else None,
        error_details=error.more if error else None,
        pricing=pricing,
    )
    if not origin.contacts and not heard.recipient_user_id and not heard.recipient_participant_user_id:
        return (event,)
    if heard.recipient_type == "group":
        return (event, *_link(participant, heard.recipient_participant_user_id, None, heard.timestamp, origin))
    parent = heard.parent_recipient_user_id
    return (event, *_link(heard.recipient_id, heard.recipient_user_id, parent, heard.timestamp, origin))


def _link(
    wa_id: str | None, bsuid: str | None, parent: str | None, stamp: str | float | None, origin: Origin
) -> tuple[IdentityLink, ...]:
    """Phone and BSUID are one person; nothing if Meta tells only one of the two."""
    if not wa_id and not bsuid:
        return ()
    contact = origin.contact(wa_id, bsuid)
    customer = address(wa_id, bsuid, parent, contact)
    if customer is None or customer.wa_id is None or customer.bsuid is None:
        return ()
    name, at = contact.profile.name or None, origin.time(stamp)
    return (IdentityLink(phone_number_id=origin.number, customer=customer, profile_name=name, at=at),)


def preference(raw: msgspec.Raw, origin: Origin) -> Events:
    said = origin.read(raw, _PREFERENCE)
    if isinstance(said, Unknown):
        return (said,)
    contact = origin.contact(said.wa_id, said.user_id)
    customer = address(said.wa_id, said.user_id, said.parent_user_id, contact) if said.wa_id or said.user_id else None
    if customer is None:
        return origin.unknown("no_sender", raw)
    event = Preference(
        phone_number_id=origin.number,
        customer=customer,
        category=word(said.category),
        value=word(said.value),
        detail=said.detail,
        at=origin.time(said.timestamp),
    )
    return (event, *_link(said.wa_id, said.user_id, said.parent_user_id, said.timestamp, origin))


def book_change(raw: msgspec.Raw, origin: Origin) -> Events:
    """The owner's address book in the WhatsApp Business app changed."""
    change = origin.read(raw, _BOOK)
    if isinstance(change, Unknown):
        return (change,)
    if change.type != "contact" or change.contact is None:
        return origin.unknown(f"type:{word(change.type)}", raw)
    entry = change.contact
    customer = address(digits(entry.phone_number), entry.user_id, None, wire.Contact())
    if customer is None:
        return origin.unknown("no_sender", raw)
    event = ContactName(
        phone_number_id=origin.number,
        customer=msgspec.structs.replace(customer, username=bare(entry.username)),
        name=None if change.action == "remove" else entry.full_name or entry.first_name or None,
        at=origin.time(change.metadata.timestamp),
    )
    return (event,)


def call(raw: msgspec.Raw, origin: Origin) -> Events:
    """A call begins (`connect`) or is over (`terminate`)."""
    told = origin.read(raw, _CALL)
    if isinstance(told, Unknown):
        return (told,)
    if told.direction is not None:
        by_customer = told.direction != "BUSINESS_INITIATED"
    else:
        by_customer = told.sender is None or digits(told.sender) != origin.display_number
    wa_id, bsuid = (told.sender, told.sender_user_id) if by_customer else (told.to, told.to_user_id)
    seconds = _seconds(told.duration)
    match told.event:
        case "connect":
            stage = CallStage.RINGING
        case "terminate" if told.status == "FAILED" or (told.status is None and not seconds):
            stage = CallStage.FAILED
        case "terminate":
            stage = CallStage.ENDED
        case _:
            return origin.unknown(f"call:{word(told.event)}", raw)
    content = Call(by_customer=by_customer, stage=stage, seconds=seconds)
    return _call(raw, told.id, content, (wa_id, bsuid), told.timestamp, origin)


def call_status(raw: msgspec.Raw, origin: Origin) -> Events:
    """How a call of the business goes: only those have statuses."""
    heard = origin.read(raw, _STATUS)
    if isinstance(heard, Unknown):
        return (heard,)
    stage = _CALL_STATUSES.get(heard.status)
    if stage is None:
        return origin.unknown(f"call:{word(heard.status)}", raw)
    who = (heard.recipient_id, heard.recipient_user_id)
    return _call(raw, heard.id, Call(by_customer=False, stage=stage), who, heard.timestamp, origin)


def _call(
    raw: msgspec.Raw,
    wacid: str,
    content: Call,
    who: tuple[str | None, str | None],
    stamp: str | float | None,
    origin: Origin,
) -> Events:
    wa_id, bsuid = who
    contact = origin.contact(wa_id, bsuid)
    customer: Address | None = address(wa_id, bsuid, None, contact) if wa_id or bsuid else None
    if customer is None or not wacid:
        return origin.unknown("no_sender", raw)
    return (
        InboundMessage(
            phone_number_id=origin.number,
            customer=customer,
            profile_name=contact.profile.name or None,
            wamid=wacid,
            sent_at=origin.time(stamp),
            content=content,
            source=Source.CUSTOMER if content.by_customer else Source.PHONE,
        ),
    )


def _seconds(duration: float | str | None) -> int | None:
    try:
        return int(duration) if duration is not None else None
    except (ValueError, OverflowError):
        return None
