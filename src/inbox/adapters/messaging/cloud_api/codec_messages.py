"""Messages between a customer and a number: written now, on the owner's phone, or long ago."""

from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api import wire_inbound as wire
from inbox.adapters.messaging.cloud_api.codec_content import content_of
from inbox.adapters.messaging.cloud_api.codec_fields import progress, trouble
from inbox.adapters.messaging.cloud_api.codec_reading import (
    UNREADABLE,
    Events,
    Origin,
    address,
    digits,
    unreadable,
    word,
)
from inbox.domain.contacts import Address, phone_key
from inbox.domain.content import Content
from inbox.domain.inbound import (
    Amendment,
    IdentityChange,
    InboundMessage,
    Reaction,
    Referral,
    ReferredProduct,
    Source,
    Surroundings,
    Unknown,
)

_MESSAGE: Final = msgspec.json.Decoder(wire.Message)
_SECTIONS: Final = msgspec.json.Decoder(wire.Sections)
_EDIT: Final = msgspec.json.Decoder(wire.Edit)
_EDITED: Final = msgspec.json.Decoder(wire.Edited)
_REVOKE: Final = msgspec.json.Decoder(wire.Revoke)
_CHUNK: Final = msgspec.json.Decoder(wire.HistoryChunk)
_THREAD: Final = msgspec.json.Decoder(wire.Thread)
_BARE: Final = Surroundings()
_NO_BUBBLE: Final = frozenset({"reaction", "edit", "revoke", "request_welcome"})
"""What changes another message, or (`request_welcome`) says only that a chat was opened: nobody wrote anything."""
_MOVES: Final = frozenset({"user_changed_number", "user_changed_user_id", "customer_changed_number"})


class _Sayer(msgspec.Struct, frozen=True, kw_only=True):
    """With whom a message was exchanged, in which direction, and what Meta says about them."""

    customer: Address
    source: Source
    contact: wire.Contact


def message(raw: msgspec.Raw, origin: Origin) -> Events:
    """An item of `messages`: the customer wrote just now."""
    head = origin.read(raw, _MESSAGE)
    if isinstance(head, Unknown):
        return (head,)
    contact = origin.contact(head.sender, head.sender_user_id)
    customer = address(head.sender, head.sender_user_id, head.sender_parent_user_id, contact) if _named(head) else None
    if customer is None:
        return origin.unknown("no_sender", raw)
    return _said(raw, head, _Sayer(customer=customer, source=Source.CUSTOMER, contact=contact), origin)


def echo(raw: msgspec.Raw, origin: Origin) -> Events:
    """The owner wrote to a customer from the WhatsApp Business app."""
    return _sent(raw, origin, Source.PHONE)


def past(raw: msgspec.Raw, origin: Origin) -> Events:
    """A message of the history that came without its thread: a file whose place was kept."""
    head = origin.read(raw, _MESSAGE)
    if isinstance(head, Unknown):
        return (head,)
    if head.to or head.to_user_id or (head.sender and digits(head.sender) == origin.display_number):
        return _sent(raw, origin, Source.PAST_BUSINESS)
    (event, *more) = message(raw, origin)
    if isinstance(event, InboundMessage):
        event = msgspec.structs.replace(event, source=Source.PAST_CUSTOMER)
    return (event, *more)


def history(raw: msgspec.Raw, origin: Origin) -> Events:
    """A piece of the history that the app shares once, or why it does not."""
    chunk = origin.frame(raw, _CHUNK)
    if isinstance(chunk, Unknown):
        return (chunk,)
    events = [event for item in chunk.threads for event in _thread(item, origin)]
    events += [event for item in chunk.errors for event in trouble(item, origin)]
    return events or progress(raw, origin)


def _thread(raw: msgspec.Raw, origin: Origin) -> Events:
    """A chat of the history. The customer is its name, whichever side wrote."""
    chat = origin.frame(raw, _THREAD)
    if isinstance(chat, Unknown):
        return (chat,)
    contact = origin.contact(chat.id, None)
    customer = address(chat.id, None, None, contact)
    if customer is None or "\x00" in chat.id:
        return origin.unknown("no_sender", raw)
    return [event for item in chat.messages for event in _of_thread(item, customer, contact, origin)]


def _of_thread(raw: msgspec.Raw, customer: Address, contact: wire.Contact, origin: Origin) -> Events:
    head = origin.read(raw, _MESSAGE)
    if isinstance(head, Unknown):
        return (head,)
    wrote = head.sender or head.sender_user_id or ""
    by_customer = wrote in (customer.wa_id, customer.bsuid) or phone_key(wrote) == phone_key(customer.key)
    source = Source.PAST_CUSTOMER if by_customer else Source.PAST_BUSINESS
    return _said(raw, head, _Sayer(customer=customer, source=source, contact=contact), origin)


def _sent(raw: msgspec.Raw, origin: Origin, source: Source) -> Events:
    head = origin.read(raw, _MESSAGE)
    if isinstance(head, Unknown):
        return (head,)
    contact = origin.contact(head.to, head.to_user_id)
    customer = address(head.to, head.to_user_id, None, contact) if head.to or head.to_user_id else None
    if customer is None:
        return origin.unknown("no_recipient", raw)
    return _said(raw, head, _Sayer(customer=customer, source=source, contact=contact), origin)


def _named(head: wire.Message) -> bool:
    return bool(head.sender or head.sender_user_id)


def _said(raw: msgspec.Raw, head: wire.Message, sayer: _Sayer, origin: Origin) -> Events:
    if head.group_id:
        # `from` is one participant: an answer would go to that person alone.
        return origin.unknown("group_message", raw)
    if not head.id:
        return origin.unknown("no_id", raw)
    try:
        if head.type in _NO_BUBBLE:
            return _effect(raw, head, sayer, origin) or origin.unknown(f"type:{word(head.type)}", raw)
        said = InboundMessage(
            phone_number_id=origin.number,
            customer=sayer.customer,
            profile_name=sayer.contact.profile.name or None,
            wamid=head.id,
            sent_at=origin.time(head.timestamp),
            content=content_of(head.type, head.text, head.errors, raw),
            source=sayer.source,
            reply_to_wamid=head.context.id if head.context is not None else None,
            surroundings=_surroundings(head, sayer.contact),
            status=_past_status(head, sayer.source),
        )
        return (said, *_moved(raw, head, origin)) if head.type == "system" else (said,)
    except UNREADABLE as error:
        return (unreadable(raw, error, origin.number),)


def _past_status(head: wire.Message, source: Source) -> str | None:
    """The history shouts: statuses are in upper case there and in lower case everywhere else."""
    if source is not Source.PAST_BUSINESS or head.history_context is None:
        return None
    return head.history_context.status.lower() if head.history_context.status else None


def _surroundings(head: wire.Message, contact: wire.Contact) -> Surroundings:
    context, referral = head.context, head.referral
    key = contact.identity_key_hash or (head.identity.hash if head.identity is not None else None)
    if context is None and referral is None and key is None:
        return _BARE
    product = context.referred_product if context is not None else None
    return Surroundings(
        forwarded=context is not None and (context.forwarded or context.frequently_forwarded),
        frequently_forwarded=context is not None and context.frequently_forwarded,
        referral=Referral(**msgspec.structs.asdict(referral)) if referral is not None else None,
        referred_product=ReferredProduct(**msgspec.structs.asdict(product)) if product is not None else None,
        identity_key_hash=key,
    )


def _effect(raw: msgspec.Raw, head: wire.Message, sayer: _Sayer, origin: Origin) -> Events:
    """What a message without a bubble changes; nothing if it names no other message. Raises one of `UNREADABLE`."""
    at = origin.time(head.timestamp)
    match head.type:
        case "reaction":
            reaction = _SECTIONS.decode(raw).reaction
            if reaction is None or not reaction.message_id:
                return ()
            return (
                Reaction(
                    phone_number_id=origin.number,
                    customer=sayer.customer if sayer.source.is_inbound else None,
                    wamid=head.id,
                    target=reaction.message_id,
                    emoji=reaction.emoji or None,
                    at=at,
                ),
            )
        case "edit":
            edit = _EDIT.decode(raw).edit
            edited = _EDITED.decode(edit.message)
            content: Content | None = content_of(edited.type, edited.text, edited.errors, edit.message)
            target = edit.original_message_id
        case "revoke":
            content, target = None, _REVOKE.decode(raw).revoke.original_message_id
        case _:
            return ()
    if not target:
        return ()
    return (
        Amendment(
            phone_number_id=origin.number,
            customer=sayer.customer,
            by_business=not sayer.source.is_inbound,
            wamid=head.id,
            target=target,
            content=content,
            at=at,
        ),
    )


def _moved(raw: msgspec.Raw, head: wire.Message, origin: Origin) -> Events:
    """The customer is reached elsewhere from now on. Phone and BSUID change together, or the BSUID alone."""
    system = _SECTIONS.decode(raw).system
    if system is None or system.type not in _MOVES:
        return ()
    phone, bsuid = system.new_wa_id or system.wa_id or None, system.user_id or None
    former = address(system.customer or head.sender, None, None, wire.Contact())
    former_phone = former.wa_id if former is not None and phone is not None else None
    if former_phone == phone:
        former_phone = phone = None  # it stays theirs
    old = Address(
        wa_id=former_phone,
        bsuid=(system.previous_user_id or head.sender_user_id or None) if bsuid is not None else None,
    )
    new = Address(wa_id=phone, bsuid=bsuid)
    if not old.key or not new.key or old == new:
        return ()
    return (IdentityChange(phone_number_id=origin.number, old=old, new=new, at=origin.time(head.timestamp)),)
