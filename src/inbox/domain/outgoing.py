"""What can be sent: one body for all of it, told apart by `type`. The API takes it, and it is stored as it is."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from inbox.domain.content import Cards, Location, Text
from inbox.domain.content import preview as preview_of_content
from inbox.domain.outgoing_files import Audio, Document, File, FileMessage, Image, Sticker, TemplateFile, Video, Voice
from inbox.domain.outgoing_interactive import (
    AddressRequest,
    Buttons,
    CallPermissionRequest,
    Carousel,
    CatalogMessage,
    ContactInfoRequest,
    FlowMessage,
    Interactive,
    LinkButton,
    ListMenu,
    LocationRequest,
    ProductList,
    ProductMessage,
)
from inbox.domain.outgoing_template import TemplateMessage, values


class Reaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="reaction"):
    """One emoji on a message of the chat, in the place of an earlier one of ours. `wamid` names the message."""

    wamid: str
    emoji: str


class ReactionRemoval(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="reaction_removal"
):
    """Takes our reaction on a message back."""

    wamid: str


Sendable: TypeAlias = Text | FileMessage | Location | Cards | Reaction | ReactionRemoval | Interactive | TemplateMessage
S = TypeVar("S", bound=msgspec.Struct)

_KINDS: Final[Mapping[type[msgspec.Struct], str]] = {
    Text: "text",
    Image: "image",
    Video: "video",
    Audio: "audio",
    Voice: "voice",
    Document: "document",
    Sticker: "sticker",
    Location: "location",
    Cards: "contacts",
    Reaction: "reaction",
    ReactionRemoval: "reaction",
    TemplateMessage: "template",
}


def message_type(content: Sendable) -> str:
    """The word of the contract's `message_type`."""
    return _KINDS.get(type(content), "interactive")


def preview(content: Sendable) -> str:  # noqa: PLR0911 - one line for each kind
    """The text of the contract's `content_text`."""
    match content:
        case Text() | Location() | Cards():
            return preview_of_content(content)
        case Image(caption=caption) | Video(caption=caption) | Document(caption=caption):
            return caption or f"[{message_type(content)}]"
        case Audio() | Voice() | Sticker():
            return f"[{message_type(content)}]"
        case Reaction(emoji=emoji):
            return f"[reaction] {emoji}"
        case ReactionRemoval():
            return "[reaction] retirée"
        case TemplateMessage(name=name):
            return f"[modèle : {name}] {', '.join(values(content))}".rstrip()
        case _:
            return f"{content.body or ''} [{_to_tap(content)}]".lstrip()


def _to_tap(content: Interactive) -> str:  # noqa: C901, PLR0911 - one word for each kind
    match content:
        case Buttons(buttons=buttons):
            return f"boutons : {', '.join(button.title for button in buttons)}"
        case ListMenu(button=button):
            return f"liste : {button}"
        case LinkButton(display_text=display_text, url=url):
            return f"lien : {display_text}, {url}"
        case LocationRequest():
            return "demande de position"
        case FlowMessage(flow_cta=flow_cta):
            return f"formulaire : {flow_cta}"
        case ProductMessage(product_retailer_id=product):
            return f"produit : {product}"
        case ProductList(header=header):
            return f"produits : {header.text}"
        case CatalogMessage():
            return "catalogue"
        case Carousel(cards=cards):
            return f"carrousel : {len(cards)} cartes"
        case AddressRequest():
            return "demande d'adresse"
        case ContactInfoRequest():
            return "demande de numéro"
        case CallPermissionRequest():
            return "demande d'appel"


def takes_reply(content: Sendable) -> bool:
    """False for what cannot quote a message: a reaction names its message itself."""
    return not isinstance(content, Reaction | ReactionRemoval)


def uploads(content: Sendable) -> frozenset[UUID]:
    """The uploads of ours that it shows, wherever they stand: WhatsApp has to have them before it is sent."""
    return frozenset(_uploads(content))


def _uploads(part: object) -> Iterator[UUID]:
    if isinstance(part, File | TemplateFile) and part.upload_id is not None:
        yield part.upload_id
    elif isinstance(part, tuple):
        for element in part:
            yield from _uploads(element)
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _uploads(getattr(part, name))


def with_media_ids(content: S, media_ids: Mapping[UUID, str]) -> S:
    """The same with WhatsApp's ids in the place of uploads. Raises `KeyError` for one that is not in `media_ids`."""
    if isinstance(content, File | TemplateFile) and content.upload_id is not None:
        found = media_ids[content.upload_id]
        return msgspec.structs.replace(content, media_id=found, upload_id=None)
    changes = {}
    for name in content.__struct_fields__:
        value = getattr(content, name)
        replaced = _with_media_ids(value, media_ids)
        if replaced is not value:
            changes[name] = replaced
    return msgspec.structs.replace(content, **changes) if changes else content


def _with_media_ids(value: object, media_ids: Mapping[UUID, str]) -> object:
    if isinstance(value, msgspec.Struct):
        return with_media_ids(value, media_ids)
    if isinstance(value, tuple):
        replaced = tuple(_with_media_ids(element, media_ids) for element in value)
        return replaced if any(new is not old for new, old in zip(replaced, value, strict=True)) else value
    return value
