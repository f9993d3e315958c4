"""The value of `interactive` in a message to Meta (interactive messages). Pure."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from inbox.domain.outgoing_files import File
from inbox.domain.outgoing_interactive import (
    AddressRequest,
    Buttons,
    CallPermissionRequest,
    Carousel,
    CarouselCard,
    CatalogMessage,
    ContactInfoRequest,
    DocumentHeader,
    FlowMessage,
    Header,
    ImageHeader,
    Interactive,
    LinkButton,
    LinkCard,
    ListMenu,
    ListSection,
    LocationRequest,
    ProductCard,
    ProductList,
    ProductMessage,
    ReplyButton,
    TextHeader,
)

Json: TypeAlias = dict[str, Any]


def file_body(file: File) -> Json:
    """A file by its id or its address."""
    return {"link": file.link} if file.media_id is None else {"id": file.media_id}


def interactive_body(content: Interactive) -> Json:
    kind, action = _action(content)
    body: Json = {"type": kind, "action": action}
    header, footer = getattr(content, "header", None), getattr(content, "footer", None)
    if header is not None:
        body["header"] = _header(header)
    if content.body is not None:
        body["body"] = {"text": content.body}
    if footer is not None:
        body["footer"] = {"text": footer}
    return body


def _header(header: Header) -> Json:
    if isinstance(header, TextHeader):
        return {"type": "text", "text": header.text}
    file = file_body(header)
    if isinstance(header, DocumentHeader):
        if header.filename is not None:
            file["filename"] = header.filename
        return {"type": "document", "document": file}
    kind = "image" if isinstance(header, ImageHeader) else "video"
    return {"type": kind, kind: file}


def _action(content: Interactive) -> tuple[str, Json]:  # noqa: C901, PLR0911 - one action for each kind
    """Meta's type of the interactive message, and its action."""
    match content:
        case Buttons(buttons=buttons):
            return "button", {"buttons": _buttons("reply", buttons)}
        case ListMenu(button=button, sections=sections):
            return "list", {"button": button, "sections": [_section(section) for section in sections]}
        case LinkButton(display_text=display_text, url=url):
            return "cta_url", _link(display_text, url)
        case LocationRequest():
            return "location_request_message", {"name": "send_location"}
        case FlowMessage():
            return "flow", {"name": "flow", "parameters": _flow(content)}
        case ProductMessage(catalog_id=catalog_id, product_retailer_id=product):
            return "product", {"catalog_id": catalog_id, "product_retailer_id": product}
        case ProductList():
            return "product_list", _product_list(content)
        case CatalogMessage(thumbnail_product_retailer_id=product):
            parameters = {"parameters": {"thumbnail_product_retailer_id": product}} if product else {}
            return "catalog_message", {"name": "catalog_message", **parameters}
        case Carousel(cards=cards):
            return "carousel", {"cards": [_card(place, card) for place, card in enumerate(cards)]}
        case AddressRequest(country=country, values=values):
            filled = {"values": values} if values else {}
            return "address_message", {"name": "address_message", "parameters": {"country": country, **filled}}
        case ContactInfoRequest():
            return "request_contact_info", {"name": "request_contact_info"}
        case CallPermissionRequest():
            return "call_permission_request", {"name": "call_permission_request"}


def _buttons(kind: str, buttons: Sequence[ReplyButton]) -> list[Json]:
    return [{"type": kind, kind: {"id": button.id, "title": button.title}} for button in buttons]


def _link(display_text: str, url: str) -> Json:
    return {"name": "cta_url", "parameters": {"display_text": display_text, "url": url}}


def _section(section: ListSection) -> Json:
    plain: Json = msgspec.to_builtins(section)
    return plain


def _flow(flow: FlowMessage) -> Json:
    named = {"flow_id": flow.flow_id, "flow_name": flow.flow_name, "flow_token": flow.flow_token}
    parameters: Json = {
        "flow_message_version": "3",
        "flow_cta": flow.flow_cta,
        "flow_action": flow.flow_action,
        **{key: value for key, value in named.items() if value is not None},
    }
    if flow.mode == "draft":
        parameters["mode"] = "draft"
    if flow.screen is not None:
        parameters["flow_action_payload"] = {"screen": flow.screen, **({"data": flow.data} if flow.data else {})}
    return parameters


def _product_list(content: ProductList) -> Json:
    sections = [
        {
            **({} if section.title is None else {"title": section.title}),
            "product_items": [{"product_retailer_id": product} for product in section.products],
        }
        for section in content.sections
    ]
    return {"catalog_id": content.catalog_id, "sections": sections}


def _card(place: int, card: CarouselCard) -> Json:
    """Meta calls a card with answers `cta_url` too."""
    if isinstance(card, ProductCard):
        action: Json = {"catalog_id": card.catalog_id, "product_retailer_id": card.product_retailer_id}
        return {"card_index": place, "type": "product", "action": action}
    if isinstance(card, LinkCard):
        action = _link(card.display_text, card.url)
    else:
        action = {"buttons": _buttons("quick_reply", card.buttons)}
    text = {} if card.body is None else {"body": {"text": card.body}}
    return {"card_index": place, "type": "cta_url", "header": _header(card.header), **text, "action": action}
