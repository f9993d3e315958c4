"""What webhooks say: status and message objects, and the envelope around many of them (facts 2: Meta's reference)."""

from collections.abc import Iterable
from typing import Any

import msgspec

from inbox.emulators.graph_api.config import PayloadVersion
from inbox.emulators.graph_api.errors import status_error
from inbox.emulators.graph_api.objects import Number, Persona, Send
from inbox.emulators.graph_api.state import WINDOW_SECONDS, World

Json = dict[str, Any]


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event on its way. `slot` is the array it goes into; empty: `body` is the whole `value` of its change."""

    waba_id: str
    number: Number | None
    field: str = "messages"
    slot: str = ""
    body: Json
    contact: Json | None = None
    id: str = ""  # wamid, or what the event is about
    label: str = ""  # status, message type or event name
    to: str = ""  # the person's digits
    op: str | None = None


def status_item(world: World, send: Send, status: str, *, code: int = 0, at: float | None = None) -> Item:
    """A status of an accepted message. `code` is the reason of `failed`; `at` defaults to the emulator's clock."""
    stamp = int(world.clock.now() if at is None else at)
    persona = world.persona(send.to or send.user_id)
    user_id = _user_id(world, send.user_id or persona.user_id)
    body: Json = {"id": send.wamid, "status": status, "timestamp": str(stamp)}
    named = {
        "recipient_id": send.to,
        "recipient_type": "group" if send.is_group else "",
        "recipient_user_id": user_id,
        "biz_opaque_callback_data": send.op,
    }
    body.update({key: value for key, value in named.items() if value})
    if status in {"sent", "delivered"} and not send.is_group:
        if world.behaviour.payload_version is PayloadVersion.V23:
            body["conversation"] = _conversation(world, send, status, stamp)
        body["pricing"] = _pricing(send)
    if status == "failed":
        body["errors"] = [status_error(code)]
    contact = None
    if user_id and status != "failed":
        contact = _contact(persona, send.to, user_id, username=status in {"delivered", "read"})
    return Item(
        waba_id=send.number.waba_id,
        number=send.number,
        slot="statuses",
        body=body,
        contact=contact,
        id=send.wamid,
        label=status,
        to=send.to,
        op=send.op,
    )


def message_item(world: World, number: Number, persona: Persona, message: Json) -> Item:
    """An inbound message; who wrote it is filled in as the payload version has it."""
    user_id = _user_id(world, persona.user_id)
    address = persona.address
    named = {"from": address, "from_user_id": user_id}
    body = {**{key: value for key, value in named.items() if value}, **message}
    is_system = message.get("type") == "system"
    return Item(
        waba_id=number.waba_id,
        number=number,
        slot="messages",
        body=body,
        contact=None if is_system else _contact(persona, address, user_id, username=bool(user_id)),
        id=str(message["id"]),
        label=str(message.get("type", "")),
        to=address or user_id,
    )


def envelope(items: Iterable[Item]) -> Json:
    """One POST body: an entry per WABA, a change per number and kind of event."""
    entries: dict[str, Json] = {}
    changes: dict[tuple[str, str, str], Json] = {}
    for item in items:
        entry = entries.setdefault(item.waba_id, {"id": item.waba_id, "changes": []})
        if not item.slot or item.number is None:
            entry["changes"].append({"value": item.body, "field": item.field})
            continue
        key = (item.number.id, item.field, item.slot)
        value = changes.get(key)
        if value is None:
            value = changes[key] = _value(item.number)
            entry["changes"].append({"value": value, "field": item.field})
        _append(value, item)
    return {"object": "whatsapp_business_account", "entry": list(entries.values())}


def _user_id(world: World, user_id: str) -> str:
    """The BSUID, in the payload version that has it."""
    return user_id if world.behaviour.payload_version is PayloadVersion.BSUID else ""


def _value(number: Number) -> Json:
    metadata = {"display_phone_number": number.digits, "phone_number_id": number.id}
    return {"messaging_product": "whatsapp", "metadata": metadata}


def _append(value: Json, item: Item) -> None:
    if item.contact is not None:
        contacts = value.setdefault("contacts", [])
        if item.contact not in contacts:
            contacts.append(item.contact)
    value.setdefault(item.slot, []).append(item.body)


def _contact(persona: Persona, wa_id: str, user_id: str, *, username: bool) -> Json:
    profile: Json = {}
    if persona.name:
        profile["name"] = persona.name
    if username and persona.username:
        profile["username"] = persona.username
    contact: Json = {"profile": profile}
    if wa_id:
        contact["wa_id"] = wa_id
    if user_id:
        contact["user_id"] = user_id
    return contact


def _pricing(send: Send) -> Json:
    is_service = send.category == "service"
    return {
        "billable": not is_service,
        "pricing_model": "PMP",
        "type": "free_customer_service" if is_service else "regular",
        "category": send.category,
    }


def _conversation(world: World, send: Send, status: str, stamp: int) -> Json:
    conversation: Json = {"id": world.ids.conversation()}
    if status == "sent":
        conversation["expiration_timestamp"] = str(stamp + WINDOW_SECONDS)
    conversation["origin"] = {"type": send.category}
    return conversation
