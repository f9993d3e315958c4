"""Messages with something to tap: Meta's type `interactive`. Names that Meta has are Meta's."""

from typing import Literal, TypeAlias

import msgspec

from inbox.domain.outgoing_files import File


class TextHeader(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="text",
):
    text: str


class ImageHeader(File, frozen=True, kw_only=True, tag_field="type", tag="image"):
    pass


class VideoHeader(File, frozen=True, kw_only=True, tag_field="type", tag="video"):
    pass


class DocumentHeader(File, frozen=True, kw_only=True, tag_field="type", tag="document"):
    filename: str | None = None


FileHeader: TypeAlias = ImageHeader | VideoHeader | DocumentHeader
Header: TypeAlias = TextHeader | FileHeader


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What has no type of its own."""


class ReplyButton(_Part, frozen=True, kw_only=True):
    """`id` comes back when the customer taps it."""

    id: str
    title: str


class Row(_Part, frozen=True, kw_only=True):
    """`id` comes back when the customer chooses it."""

    id: str
    title: str
    description: str | None = None


class ListSection(_Part, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    title: str | None = None


class ProductSection(_Part, frozen=True, kw_only=True):
    """`products` are retailer ids."""

    products: tuple[str, ...]
    title: str | None = None


class _Tagged(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"
):
    """A message, or a card of a carousel."""


class Buttons(_Tagged, frozen=True, kw_only=True, tag="buttons"):
    """One to three buttons, each of which is an answer."""

    body: str
    buttons: tuple[ReplyButton, ...]
    header: Header | None = None
    footer: str | None = None


class ListMenu(_Tagged, frozen=True, kw_only=True, tag="list"):
    """`button` opens the list."""

    body: str
    button: str
    sections: tuple[ListSection, ...]
    header: TextHeader | None = None
    footer: str | None = None


class LinkButton(_Tagged, frozen=True, kw_only=True, tag="cta_url"):
    """One button that opens a page."""

    body: str
    display_text: str
    url: str
    header: Header | None = None
    footer: str | None = None


class LocationRequest(_Tagged, frozen=True, kw_only=True, tag="location_request"):
    body: str


class FlowMessage(_Tagged, frozen=True, kw_only=True, tag="flow"):
    """A button that opens a form. `data` fills the first `screen`; only `navigate` has them."""

    body: str
    flow_cta: str
    flow_id: str | None = None
    flow_name: str | None = None
    flow_token: str | None = None
    flow_action: Literal["navigate", "data_exchange"] = "navigate"
    screen: str | None = None
    data: dict[str, object] = {}
    mode: Literal["published", "draft"] = "published"
    header: Header | None = None
    footer: str | None = None


class ProductMessage(_Tagged, frozen=True, kw_only=True, tag="product"):
    catalog_id: str
    product_retailer_id: str
    body: str | None = None
    footer: str | None = None


class ProductList(_Tagged, frozen=True, kw_only=True, tag="product_list"):
    header: TextHeader
    body: str
    catalog_id: str
    sections: tuple[ProductSection, ...]
    footer: str | None = None


class CatalogMessage(_Tagged, frozen=True, kw_only=True, tag="catalog"):
    """The whole catalogue; one product of it is its picture."""

    body: str
    thumbnail_product_retailer_id: str | None = None
    footer: str | None = None


class LinkCard(_Tagged, frozen=True, kw_only=True, tag="cta_url"):
    header: ImageHeader | VideoHeader
    display_text: str
    url: str
    body: str | None = None


class ButtonsCard(_Tagged, frozen=True, kw_only=True, tag="buttons"):
    header: ImageHeader | VideoHeader
    buttons: tuple[ReplyButton, ...]
    body: str | None = None


class ProductCard(_Tagged, frozen=True, kw_only=True, tag="product"):
    catalog_id: str
    product_retailer_id: str


CarouselCard: TypeAlias = LinkCard | ButtonsCard | ProductCard


class Carousel(_Tagged, frozen=True, kw_only=True, tag="carousel"):
    """Cards side by side, all of one build."""

    body: str
    cards: tuple[CarouselCard, ...]


class AddressRequest(_Tagged, frozen=True, kw_only=True, tag="address_request"):
    """Asks for a postal address; `country` is ISO 3166-1 alpha-2, `values` are filled in already."""

    body: str
    country: str
    values: dict[str, str] = {}


class ContactInfoRequest(_Tagged, frozen=True, kw_only=True, tag="contact_info_request"):
    """Asks for the phone number of a customer who hides it."""

    body: str


class CallPermissionRequest(_Tagged, frozen=True, kw_only=True, tag="call_permission_request"):
    body: str


Interactive: TypeAlias = (
    Buttons
    | ListMenu
    | LinkButton
    | LocationRequest
    | FlowMessage
    | ProductMessage
    | ProductList
    | CatalogMessage
    | Carousel
    | AddressRequest
    | ContactInfoRequest
    | CallPermissionRequest
)
