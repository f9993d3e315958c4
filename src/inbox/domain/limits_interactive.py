"""What WhatsApp takes of messages with something to tap (Meta, interactive messages)."""

import re
from collections.abc import Sequence
from typing import Final

from inbox.domain import limits_checks as check
from inbox.domain.emoji import has_emoji
from inbox.domain.limits_checks import MAX_ID, MAX_OTHER, Problems
from inbox.domain.limits_files import file, filename
from inbox.domain.outgoing_files import File
from inbox.domain.outgoing_interactive import (
    AddressRequest,
    Buttons,
    ButtonsCard,
    Carousel,
    CarouselCard,
    CatalogMessage,
    DocumentHeader,
    FlowMessage,
    Header,
    Interactive,
    LinkButton,
    LinkCard,
    ListMenu,
    ListSection,
    ProductCard,
    ProductList,
    ProductMessage,
    ProductSection,
    ReplyButton,
    Row,
    TextHeader,
)

MAX_HEADER: Final = 60
MAX_FOOTER: Final = 60
MAX_BODY: Final = 1024
MAX_LIST_BODY: Final = 4096
MAX_BUTTONS: Final = 3
MAX_BUTTON_ID: Final = 256
MAX_BUTTON: Final = 20
MAX_SECTIONS: Final = 10
MAX_SECTION_TITLE: Final = 24
MAX_ROWS: Final = 10
"""In all sections together."""
MAX_ROW_ID: Final = 200
MAX_ROW_TITLE: Final = 24
MAX_ROW_DESCRIPTION: Final = 72
MAX_PRODUCTS: Final = 30
"""In all sections together."""
MAX_FLOW_CTA: Final = 30
MIN_CARDS: Final = 2
MAX_CARDS: Final = 10
MAX_CARD_BODY: Final = 160
MAX_CARD_BREAKS: Final = 2
MAX_VALUES: Final = 20
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


def problems(content: Interactive) -> Problems:
    """Each fault, with its path inside the content."""
    most = MAX_LIST_BODY if isinstance(content, ListMenu) else MAX_BODY
    yield from check.optional_text("body", content.body, most)
    header = getattr(content, "header", None)
    if header is not None:
        yield from _header("header", header)
    yield from check.optional_text("footer", getattr(content, "footer", None), MAX_FOOTER)
    yield from _action(content)


def _action(content: Interactive) -> Problems:
    match content:
        case Buttons(buttons=buttons):
            yield from _buttons("buttons", buttons)
        case ListMenu():
            yield from _list(content)
        case LinkButton():
            yield from _link("", content)
        case FlowMessage():
            yield from _flow(content)
        case ProductMessage() | ProductList() | CatalogMessage():
            yield from _products(content)
        case Carousel(cards=cards):
            yield from _carousel(cards)
        case AddressRequest():
            yield from _address(content)
        case _:
            return


def _header(path: str, header: Header) -> Problems:
    if isinstance(header, TextHeader):
        yield from check.text(f"{path}.text", header.text, MAX_HEADER)
        return
    yield from file(path, header)
    if isinstance(header, DocumentHeader):
        yield from filename(f"{path}.filename", header.filename)


def _buttons(path: str, buttons: Sequence[ReplyButton]) -> Problems:
    yield from check.count(path, buttons, 1, MAX_BUTTONS, "buttons")
    for place, button in enumerate(buttons[:MAX_BUTTONS]):
        yield from check.identity(f"{path}[{place}].id", button.id, MAX_BUTTON_ID)
        yield from check.text(f"{path}[{place}].title", button.title, MAX_BUTTON)
    known = list(enumerate(buttons[:MAX_BUTTONS]))
    yield from check.unique(((f"{path}[{place}].id", button.id) for place, button in known), "id")
    yield from check.unique(((f"{path}[{place}].title", button.title) for place, button in known), "title")


def _list(menu: ListMenu) -> Problems:
    yield from check.text("button", menu.button, MAX_BUTTON)
    yield from _sections(menu.sections)
    rows: list[tuple[str, Row]] = []
    for place, section in enumerate(menu.sections[:MAX_SECTIONS]):
        yield from check.count(f"sections[{place}].rows", section.rows, 1, MAX_ROWS, "rows")
        rows += [(f"sections[{place}].rows[{number}]", row) for number, row in enumerate(section.rows[:MAX_ROWS])]
    yield from check.count("sections", rows[: MAX_ROWS + 1], 0, MAX_ROWS, "rows in all sections together")
    for path, row in rows:
        yield from check.identity(f"{path}.id", row.id, MAX_ROW_ID)
        yield from check.text(f"{path}.title", row.title, MAX_ROW_TITLE)
        yield from check.optional_text(f"{path}.description", row.description, MAX_ROW_DESCRIPTION)
    yield from check.unique(((f"{path}.id", row.id) for path, row in rows), "id")


def _sections(sections: Sequence[ListSection | ProductSection]) -> Problems:
    yield from check.count("sections", sections, 1, MAX_SECTIONS, "sections")
    for place, section in enumerate(sections[:MAX_SECTIONS]):
        yield from check.optional_text(f"sections[{place}].title", section.title, MAX_SECTION_TITLE)
        if section.title is None and len(sections) > 1:
            yield f"sections[{place}].title", "a title: there is more than one section"


def _link(path: str, link: LinkButton | LinkCard) -> Problems:
    yield from check.text(check.inside(path, "display_text"), link.display_text, MAX_BUTTON)
    yield from check.url(check.inside(path, "url"), link.url)


def _flow(flow: FlowMessage) -> Problems:
    yield from check.one_of("flow_id", (flow.flow_id, flow.flow_name), "flow_id and flow_name")
    for name in ("flow_id", "flow_name", "flow_token", "screen"):
        yield from check.optional_text(name, getattr(flow, name), MAX_OTHER)
    yield from check.text("flow_cta", flow.flow_cta, MAX_FLOW_CTA)
    if has_emoji(flow.flow_cta):
        yield "flow_cta", "no emoji"
    if flow.flow_action == "data_exchange" and flow.screen is not None:
        yield "screen", "none: with data_exchange the form asks for its first screen"
    if flow.data and flow.screen is None:
        yield "data", "none without a screen"


def _products(content: ProductMessage | ProductList | CatalogMessage) -> Problems:
    match content:
        case ProductMessage():
            yield from _product("", content)
        case CatalogMessage(thumbnail_product_retailer_id=product):
            yield from check.optional_text("thumbnail_product_retailer_id", product, MAX_ID)
        case ProductList():
            yield from check.text("catalog_id", content.catalog_id, MAX_ID)
            yield from _sections(content.sections)
            total = 0
            for place, section in enumerate(content.sections[:MAX_SECTIONS]):
                path = f"sections[{place}].products"
                yield from check.count(path, section.products, 1, MAX_PRODUCTS, "products")
                for number, product in enumerate(section.products[:MAX_PRODUCTS]):
                    yield from check.text(f"{path}[{number}]", product, MAX_ID)
                total += len(section.products)
            if total > MAX_PRODUCTS:
                yield "sections", f"{MAX_PRODUCTS} products at most in all sections together"


def _product(path: str, product: ProductMessage | ProductCard) -> Problems:
    yield from check.text(check.inside(path, "catalog_id"), product.catalog_id, MAX_ID)
    yield from check.text(check.inside(path, "product_retailer_id"), product.product_retailer_id, MAX_ID)


def _carousel(cards: Sequence[CarouselCard]) -> Problems:
    yield from check.count("cards", cards, MIN_CARDS, MAX_CARDS, "cards")
    for place, card in enumerate(cards[:MAX_CARDS]):
        path = f"cards[{place}]"
        yield from _card(path, card)
        if _shape(card) != _shape(cards[0]):
            yield path, "the same type, header and number of buttons as the first card"


def _card(path: str, card: CarouselCard) -> Problems:
    if isinstance(card, ProductCard):
        yield from _product(path, card)
        return
    yield from _header(f"{path}.header", card.header)
    yield from check.optional_text(f"{path}.body", card.body, MAX_CARD_BODY)
    if card.body is not None and card.body.count("\n") > MAX_CARD_BREAKS:
        yield f"{path}.body", f"{MAX_CARD_BREAKS} line breaks at most"
    if isinstance(card, LinkCard):
        yield from _link(path, card)
    else:
        yield from _buttons(f"{path}.buttons", card.buttons)


def _shape(card: CarouselCard) -> tuple[type[CarouselCard], type[File] | None, int]:
    """What all cards share."""
    if isinstance(card, ProductCard):
        return type(card), None, 0
    return type(card), type(card.header), len(card.buttons) if isinstance(card, ButtonsCard) else 1


def _address(request: AddressRequest) -> Problems:
    if not _COUNTRY.fullmatch(request.country):
        yield "country", "two capital letters, like IN"
    if len(request.values) > MAX_VALUES:
        yield "values", f"{MAX_VALUES} values at most"
        return
    for name, value in request.values.items():
        if not name.isidentifier() or len(name) > MAX_ID:
            yield "values", "names like building_name"
        else:
            yield from check.text(f"values.{name}", value, MAX_OTHER)
