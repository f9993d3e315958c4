"""What a message says, as the content of the house. The key named by `type` holds it."""

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from inbox.adapters.messaging.cloud_api import wire_inbound as wire
from inbox.adapters.messaging.cloud_api.codec_reading import UNREADABLE, holds_nul, kept, unix_time, word
from inbox.adapters.messaging.cloud_api.wire import Error
from inbox.domain.content import (
    Card,
    Cards,
    Choice,
    Content,
    FormReply,
    Location,
    Media,
    MediaKind,
    Notice,
    Order,
    Other,
    Phone,
    Product,
    Text,
    Unsupported,
)
from inbox.kit.json_depth import depth_exceeds

_SECTIONS: Final = msgspec.json.Decoder(wire.Sections)
_CARD: Final = msgspec.json.Decoder(wire.Card)
_PERMISSION: Final = msgspec.json.Decoder(wire.CallPermission)
_ANSWERS: Final = msgspec.json.Decoder(dict[str, Any])
_UNSUPPORTED: Final = frozenset({"unsupported", "unknown"})
_MEDIA: Final = frozenset(MediaKind)
_MOST_OF_A_FORM: Final = 1_000
"""Characters of a form that its line shows; all of it is in `answers`."""
_VCARD_NAME: Final = re.compile(r"^FN[^:\r\n]*:(.+)$", re.MULTILINE)
_VCARD_PHONE: Final = re.compile(r"^TEL(?P<kind>[^:\r\n]*):(?P<phone>.+)$", re.MULTILINE)
_VCARD_WA_ID: Final = re.compile(r"waid=([0-9]+)")


def content_of(kind: str, text: wire.TextBody | None, errors: list[Error], raw: msgspec.Raw) -> Content:
    """Of a message of type `kind`, of which text and errors are read already. Raises one of `UNREADABLE`."""
    if kind == "text" and text is not None:
        return Text(body=text.body)
    sections = _SECTIONS.decode(raw)
    if kind in _UNSUPPORTED:
        return _unsupported(sections.unsupported.type if sections.unsupported else None, errors)
    if kind in _MEDIA:
        return _media(kind, sections, errors)
    return _spoken(kind, sections) or Other(kind=word(kind), text=f"[{word(kind)}]")


def _spoken(kind: str, sections: wire.Sections) -> Content | None:  # noqa: PLR0911 - one line for each kind
    match kind:
        case "button" if sections.button is not None:
            return Choice(kind="button", title=sections.button.text, payload=sections.button.payload)
        case "interactive" if sections.interactive is not None:
            return _interactive(sections.interactive)
        case "location" if sections.location is not None:
            return _location(sections.location)
        case "contacts" if sections.contacts:
            return Cards(cards=tuple(map(_card, sections.contacts)))
        case "order" if sections.order is not None:
            return _order(sections.order)
        case "system" if sections.system is not None:
            return Notice(kind=word(sections.system.type or "system"), text=_said(sections.system))
        case _:
            return None


def _unsupported(kind: str | None, errors: list[Error]) -> Unsupported:
    if not errors:
        return Unsupported(kind=kind and word(kind))
    error = errors[0]
    return Unsupported(kind=kind and word(kind), code=error.code, details=error.more or error.message or error.title)


def _media(kind: str, sections: wire.Sections, errors: list[Error]) -> Content:
    # Old numbers send type `voice` with the section `audio`.
    body = getattr(sections, kind) or (sections.audio if kind == "voice" else None) or wire.MediaBody()
    if errors and not body.id:
        return _unsupported(kind, errors)  # WhatsApp could not keep the file
    return Media(
        kind=MediaKind.VOICE if body.voice else MediaKind(kind),
        media_id=body.id or None,
        mime_type=body.mime_type,
        filename=body.filename,
        sha256=body.sha256,
        caption=body.caption,
        animated=body.animated,
    )


def _interactive(body: wire.Interactive) -> Content:
    reply = body.button_reply or body.list_reply
    if reply is not None:
        return Choice(kind="interactive", title=reply.title, payload=reply.id, description=reply.description)
    if body.nfm_reply is not None:
        return _form(body.nfm_reply)
    if body.call_permission_reply != wire.NOTHING:
        return _call_permission(body.call_permission_reply)
    return Other(kind="interactive", text=f"[interactive] {word(body.type)}".strip())


def _form(form: wire.FormAnswer) -> FormReply:
    answers: dict[str, Any] = {}
    raw = msgspec.Raw(msgspec.json.encode(form.response_json))
    if form.response_json is not None:
        inner = form.response_json.encode()
        with contextlib.suppress(*UNREADABLE):
            if not holds_nul(inner) and not depth_exceeds(inner):
                answers = _ANSWERS.decode(inner)
                raw = msgspec.Raw(inner)
    line = "; ".join(_answered(answers)) if form.name != "address_message" or not form.body else _line(form.body)
    said = (line or _line(form.body or form.name or "formulaire"))[:_MOST_OF_A_FORM]
    return FormReply(name=word(form.name), text=f"[interactive] {said}", answers=raw)


def _answered(answers: dict[str, Any]) -> Iterator[str]:
    """The fields of a form that a person filled in. The token is the sender's own."""
    for name, value in answers.items():
        if name == "flow_token" or value in (None, "", [], {}):
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value))  # noqa: PLW2901 - the same value, readable
        yield _line(f"{name} : {value}")


def _call_permission(raw: msgspec.Raw) -> FormReply:
    permission = _PERMISSION.decode(raw)
    ends = unix_time(permission.expiration_timestamp)
    match permission.response:
        case "accept" if ends is not None and not permission.is_permanent:
            said = f"appels autorisés jusqu'au {ends:%d/%m/%Y}"
        case "accept":
            said = "appels autorisés"
        case _:
            said = "appels refusés"
    return FormReply(name="call_permission_reply", text=f"[interactive] {said}", answers=kept(raw))


def _location(body: wire.Location) -> Content:
    latitude, longitude = _degrees(body.latitude), _degrees(body.longitude)
    if latitude is None or longitude is None:
        return Other(kind="location", text=f"[location] {body.name or body.address or ''}".strip())
    return Location(latitude=latitude, longitude=longitude, name=body.name, address=body.address, url=body.url)


def _degrees(written: float | str | None) -> float | None:
    """Samples write a number or a text that holds one."""
    try:
        value = float(written) if written is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _card(raw: msgspec.Raw) -> Card:
    card = _CARD.decode(raw)
    full = " ".join(part for part in (card.name.first_name, card.name.last_name) if part)
    name = card.name.formatted_name or full or _of_vcard(_VCARD_NAME, card.vcard) or card.org.company
    phones = tuple(Phone(phone=phone.phone, wa_id=phone.wa_id, type=phone.type) for phone in card.phones)
    if not any(phone.wa_id for phone in phones):
        phones = _vcard_phones(card.vcard) or phones  # it says more
    return Card(name=name or None, phones=phones, details=kept(raw))


def _of_vcard(line: re.Pattern[str], vcard: str | None) -> str | None:
    found = line.search(vcard or "")
    return found[1].strip() if found else None


def _vcard_phones(vcard: str | None) -> tuple[Phone, ...]:
    return tuple(
        Phone(phone=found["phone"].strip(), wa_id=wa_id[1] if (wa_id := _VCARD_WA_ID.search(found["kind"])) else None)
        for found in _VCARD_PHONE.finditer(vcard or "")
    )


def _order(body: wire.Order) -> Order:
    products = tuple(
        Product(
            id=item.product_retailer_id,
            quantity=_count(item.quantity),
            price=_degrees(item.item_price),
            currency=item.currency,
        )
        for item in body.product_items
    )
    return Order(catalog_id=body.catalog_id, note=body.text or None, products=products)


def _count(written: float | str) -> int | float:
    """How many pieces; 1 if Meta does not say it in figures."""
    value = _degrees(written)
    if value is None:
        return 1
    return int(value) if value.is_integer() else value


def _said(system: wire.System) -> str:
    """Meta's own line is in English; ours is used where the kind is known."""
    match system.type:
        case "user_changed_number" | "customer_changed_number":
            return f"nouveau numéro du client : {system.new_wa_id or system.wa_id or 'inconnu'}"
        case "user_changed_user_id":
            return "nouvel identifiant WhatsApp du client"
        case "customer_identity_changed":
            return "nouveau code de sécurité du client"
        case _:
            return _line(system.body or system.type or "message de WhatsApp")


def _line(text: str) -> str:
    """One line of what may be several."""
    return ", ".join(part for part in (line.strip() for line in text.splitlines()) if part)
