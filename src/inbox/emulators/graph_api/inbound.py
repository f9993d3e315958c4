"""A person writes to a number: the message, its media, the window it opens, and the webhook (facts 2.4)."""

from base64 import b64encode
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from inbox.emulators.graph_api import media
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.objects import Number, Persona
from inbox.emulators.graph_api.payloads import message_item

Json = dict[str, Any]
P = TypeVar("P")


class InboundType(StrEnum):
    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"
    REACTION = "reaction"
    LOCATION = "location"
    BUTTON = "button"  # quick reply of a template
    INTERACTIVE = "interactive"
    RAW = "raw"  # everything stands in `message`


_FILES = frozenset({InboundType.IMAGE, InboundType.VIDEO, InboundType.AUDIO, InboundType.DOCUMENT, InboundType.STICKER})


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`data` is base64 in JSON."""

    data: bytes
    mime_type: str
    caption: str | None = None
    filename: str | None = None
    voice: bool = False
    animated: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tap on a reply button (no description) or on a row of a list."""

    kind: str = "button_reply"  # or list_reply
    id: str
    title: str
    description: str | None = None


class Button(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payload: str
    text: str


class Reaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    message_id: str
    emoji: str | None = None  # None takes the reaction back


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """`message` is merged over what the other fields make; with type raw it is all there is."""

    phone_number_id: str
    sender: str  # digits, or the BSUID of a known persona
    name: str | None = None  # given once, it is remembered
    type: InboundType = InboundType.TEXT
    text: str = ""
    file: File | None = None
    reaction: Reaction | None = None
    location: Location | None = None
    button: Button | None = None
    interactive: Reply | None = None
    reply_to: str | None = None  # wamid
    at: float | None = None  # unix seconds; the emulator's clock if left out
    message: Json = {}


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    wamid: str
    media_id: str | None = None
    delivered: bool  # False if the user is blocked or nobody is subscribed


def inject(emulator: Emulator, inbound: Inbound, base_url: str) -> Injected:
    """Raises ValueError for an unknown number, a missing part, or when too much waits already."""
    world = emulator.world
    number = world.numbers.get(inbound.phone_number_id)
    if number is None:
        raise ValueError(f"phone number {inbound.phone_number_id} does not exist")
    if emulator.is_full:
        raise ValueError("too many events wait for delivery")
    persona = _who(emulator, inbound)
    at = world.clock.now() if inbound.at is None else inbound.at
    content, media_id = _content(emulator, number, inbound, base_url)
    message: Json = {"id": world.ids.inbound_wamid(persona.key), "timestamp": str(int(at)), **content}
    if inbound.reply_to is not None:
        message = {"context": {"from": number.digits, "id": inbound.reply_to}, **message}
    message |= inbound.message
    wamid = str(message["id"])
    world.inbound.put(wamid, number.id)
    if message.get("type") not in {"reaction", "system"}:  # facts 9.1: these open no window
        world.open_window(number.id, persona.key, at)
    emulator.rates.count_inbound(number)
    item = message_item(world, number, persona, message)
    delivered = persona.key not in number.blocked and emulator.dispatcher.emit(item)
    world.counts["inbound"] += 1
    world.ledger.add("inbound", wamid=wamid, number=number.id, sender=item.to, type=item.label, delivered=delivered)
    return Injected(wamid=wamid, media_id=media_id, delivered=delivered)


def _who(emulator: Emulator, inbound: Inbound) -> Persona:
    persona = emulator.world.persona(inbound.sender)
    if inbound.name is not None and persona.name != inbound.name:
        persona.name = inbound.name
        emulator.world.add_persona(persona)
    return persona


def _content(emulator: Emulator, number: Number, inbound: Inbound, base_url: str) -> tuple[Json, str | None]:
    """The type and its object, and the id of the media if there is any."""
    kind = inbound.type.value
    if inbound.type is InboundType.RAW:
        return {}, None
    if inbound.type in _FILES:
        stored, body = _file(emulator, number, inbound, base_url)
        return {"type": kind, kind: body}, stored
    return {"type": kind, kind: _object(inbound)}, None


def _object(inbound: Inbound) -> Json:
    match inbound.type:
        case InboundType.REACTION:
            part: object = _part(inbound.reaction, inbound)
        case InboundType.LOCATION:
            part = _part(inbound.location, inbound)
        case InboundType.BUTTON:
            part = _part(inbound.button, inbound)
        case InboundType.INTERACTIVE:
            return _interactive(_part(inbound.interactive, inbound))
        case _:
            return {"body": inbound.text}
    body: Json = msgspec.to_builtins(part)
    return body


def _interactive(reply: Reply) -> Json:
    chosen = {"id": reply.id, "title": reply.title}
    if reply.description is not None:
        chosen["description"] = reply.description
    return {"type": reply.kind, reply.kind: chosen}


def _file(emulator: Emulator, number: Number, inbound: Inbound, base_url: str) -> tuple[str, Json]:
    file = _part(inbound.file, inbound)
    stored = media.store(emulator.world, number, file.mime_type, file.data, inbound=True, filename=file.filename or "")
    body: Json = {
        "caption": file.caption,
        "filename": file.filename,
        "mime_type": file.mime_type,
        "sha256": b64encode(bytes.fromhex(stored.sha256)).decode(),
        "id": stored.id,
        "url": media.media_url(emulator.world, stored, base_url),
        "voice": file.voice if inbound.type is InboundType.AUDIO else None,
        "animated": file.animated if inbound.type is InboundType.STICKER else None,
    }
    return stored.id, {key: value for key, value in body.items() if value is not None}


def _part(part: P | None, inbound: Inbound) -> P:
    if part is None:
        raise ValueError(f"a message of type {inbound.type} needs its own part of the request")
    return part
