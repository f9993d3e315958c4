"""The JSON of `POST /{phone number id}/messages` (Meta, messages reference). Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from inbox.adapters.messaging.cloud_api.bodies_interactive import file_body, interactive_body
from inbox.domain.contact_cards import details_of
from inbox.domain.contacts import Address
from inbox.domain.content import Card, Cards, Content, Location, Text
from inbox.domain.content import message_type as type_of_content
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Reaction, ReactionRemoval, Sendable, message_type, takes_reply, uploads
from inbox.domain.outgoing_files import Document, File, FileMessage, Voice
from inbox.domain.outgoing_interactive import Interactive
from inbox.domain.outgoing_template import TemplateMessage
from inbox.domain.upstream_errors import Refused

Json: TypeAlias = dict[str, Any]


def body_of(to: Address, content: Content | Sendable, op: OpId, reply_to: str | None) -> Json:
    """The whole body. `reply_to` is the wamid that the message quotes.

    Somebody whose number is known is called by it: with both, Meta reads the number alone. Raises `Refused` for what
    only customers send, and for an upload that WhatsApp was not given.
    """
    if not isinstance(content, Sendable):
        raise Refused(f"Messages of type {type_of_content(content)} cannot be sent.")
    if uploads(content):
        raise Refused("The uploaded file was not handed to WhatsApp.")
    recipient = {"to": f"+{to.wa_id}"} if to.wa_id else {"recipient": to.bsuid}
    kind, value = _content(content)
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **recipient,
        "type": kind,
        kind: value,
        **({"context": {"message_id": reply_to}} if reply_to and takes_reply(content) else {}),
        "biz_opaque_callback_data": str(op),
    }


def _content(content: Sendable) -> tuple[str, Json | list[Json]]:
    """Meta's type, and the value under that key."""
    match content:
        case Text(body=body, preview_url=preview_url):
            return "text", {"body": body} | ({"preview_url": True} if preview_url else {})
        case File():
            return _file(content)
        case Location():
            return "location", _location(content)
        case Cards(cards=cards):
            return "contacts", [_card(card) for card in cards]
        case Reaction(wamid=wamid, emoji=emoji):
            return "reaction", {"message_id": wamid, "emoji": emoji}
        case _:
            return _others(content)


def _others(content: ReactionRemoval | TemplateMessage | Interactive) -> tuple[str, Json]:
    match content:
        case ReactionRemoval(wamid=wamid):
            return "reaction", {"message_id": wamid, "emoji": ""}
        case TemplateMessage():
            return "template", _template(content)
        case _:
            return "interactive", interactive_body(content)


def _file(content: FileMessage) -> tuple[str, Json]:
    """A voice note is a kind of audio to Meta."""
    if isinstance(content, Voice):
        return "audio", {**file_body(content), "voice": True}
    extras = {"caption": getattr(content, "caption", None)}
    if isinstance(content, Document):
        extras["filename"] = content.filename
    return message_type(content), {**file_body(content), **{key: value for key, value in extras.items() if value}}


def _location(location: Location) -> Json:
    """Degrees as text, as in Meta's samples: no exponent, no digit that was not given."""
    texts = {"name": location.name, "address": location.address}
    return {
        "latitude": _digits(location.latitude),
        "longitude": _digits(location.longitude),
        **{key: value for key, value in texts.items() if value},
    }


def _digits(number: float) -> str:
    return format(Decimal(repr(number)), "f")


def _card(card: Card) -> Json:
    plain: Json = msgspec.to_builtins(details_of(card))
    return plain


def _template(template: TemplateMessage) -> Json:
    """Components have Meta's shape already, but for places."""
    body: Json = {"name": template.name, "language": {"code": template.language}}
    if template.components:
        body["components"] = msgspec.json.decode(msgspec.json.encode(template.components))
        for parameter in _parameters(body["components"]):
            if parameter["type"] == "location":
                parameter["location"] = _location(msgspec.convert(parameter["location"], Location))
    return body


def _parameters(components: list[Json]) -> Iterator[Json]:
    """Those of cards too."""
    for component in components:
        yield from component.get("parameters", ())
        for card in component.get("cards", ()):
            yield from _parameters(card["components"])
