"""Templates as they are sent: a name, a language, and what stands in for the variables, in Meta's own shape."""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from inbox.domain.content import Location
from inbox.domain.outgoing_files import TemplateFile


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What has no type of its own."""


class _Tagged(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"
):
    """A component or a parameter."""


class TextParameter(_Tagged, frozen=True, kw_only=True, tag="text"):
    """`parameter_name` where the template names its variables; else the order counts."""

    text: str
    parameter_name: str | None = None


class Currency(_Part, frozen=True, kw_only=True):
    """`code` is ISO 4217, `amount_1000` the amount in thousandths."""

    fallback_value: str
    code: str
    amount_1000: int


class CurrencyParameter(_Tagged, frozen=True, kw_only=True, tag="currency"):
    currency: Currency
    parameter_name: str | None = None


class DateTime(_Part, frozen=True, kw_only=True):
    """WhatsApp shows `fallback_value` as it is."""

    fallback_value: str


class DateTimeParameter(_Tagged, frozen=True, kw_only=True, tag="date_time"):
    date_time: DateTime
    parameter_name: str | None = None


class ImageParameter(_Tagged, frozen=True, kw_only=True, tag="image"):
    image: TemplateFile


class VideoParameter(_Tagged, frozen=True, kw_only=True, tag="video"):
    video: TemplateFile


class DocumentParameter(_Tagged, frozen=True, kw_only=True, tag="document"):
    document: TemplateFile


class LocationParameter(_Tagged, frozen=True, kw_only=True, tag="location"):
    location: Location


class CatalogProduct(_Part, frozen=True, kw_only=True):
    product_retailer_id: str
    catalog_id: str


class ProductParameter(_Tagged, frozen=True, kw_only=True, tag="product"):
    product: CatalogProduct


class PayloadParameter(_Tagged, frozen=True, kw_only=True, tag="payload"):
    """What comes back when the customer taps the button."""

    payload: str


class CouponParameter(_Tagged, frozen=True, kw_only=True, tag="coupon_code"):
    coupon_code: str


class TemplateProductItem(_Part, frozen=True, kw_only=True):
    product_retailer_id: str


class TemplateProductSection(_Part, frozen=True, kw_only=True):
    product_items: tuple[TemplateProductItem, ...]
    title: str | None = None


class ButtonAction(_Part, frozen=True, kw_only=True):
    """What a button opens: a form (`flow_*`), the catalogue, or some products of it."""

    flow_token: str | None = None
    flow_action_data: dict[str, object] = {}
    thumbnail_product_retailer_id: str | None = None
    sections: tuple[TemplateProductSection, ...] = ()


class ActionParameter(_Tagged, frozen=True, kw_only=True, tag="action"):
    action: ButtonAction


class LimitedOffer(_Part, frozen=True, kw_only=True):
    """Milliseconds since 1970."""

    expiration_time_ms: int


class OfferParameter(_Tagged, frozen=True, kw_only=True, tag="limited_time_offer"):
    limited_time_offer: LimitedOffer


BodyParameter: TypeAlias = TextParameter | CurrencyParameter | DateTimeParameter
FileParameter: TypeAlias = ImageParameter | VideoParameter | DocumentParameter
HeaderParameter: TypeAlias = BodyParameter | FileParameter | LocationParameter | ProductParameter
ButtonParameter: TypeAlias = TextParameter | PayloadParameter | CouponParameter | ActionParameter


class HeaderComponent(_Tagged, frozen=True, kw_only=True, tag="header"):
    parameters: tuple[HeaderParameter, ...] = ()


class BodyComponent(_Tagged, frozen=True, kw_only=True, tag="body"):
    parameters: tuple[BodyParameter, ...] = ()


class ButtonComponent(_Tagged, frozen=True, kw_only=True, tag="button"):
    """`index` counts from 0. Meta takes it as a number and as digits, and `sub_type` in either case."""

    sub_type: str
    index: int | str
    parameters: tuple[ButtonParameter, ...] = ()


class OfferComponent(_Tagged, frozen=True, kw_only=True, tag="limited_time_offer"):
    parameters: tuple[OfferParameter, ...]


CardComponent: TypeAlias = HeaderComponent | BodyComponent | ButtonComponent


class TemplateCard(_Part, frozen=True, kw_only=True):
    """`card_index` counts from 0."""

    card_index: int
    components: tuple[CardComponent, ...]


class CarouselComponent(_Tagged, frozen=True, kw_only=True, tag="carousel"):
    cards: tuple[TemplateCard, ...]


Component: TypeAlias = CardComponent | OfferComponent | CarouselComponent


class TemplateMessage(_Tagged, frozen=True, kw_only=True, tag="template"):
    """An approved template. `language` is Meta's code, like `fr` or `en_US`: no other one stands in for it."""

    name: str
    language: str
    components: tuple[Component, ...] = ()


def written(parameter: BodyParameter) -> str:
    """What the customer reads in the place of the variable."""
    match parameter:
        case TextParameter(text=text):
            return text
        case CurrencyParameter(currency=currency):
            return currency.fallback_value
        case DateTimeParameter(date_time=date_time):
            return date_time.fallback_value


def values(template: TemplateMessage) -> Iterator[str]:
    """What stands in for the variables of header and body, in order."""
    for component in template.components:
        if isinstance(component, HeaderComponent | BodyComponent):
            for parameter in component.parameters:
                if isinstance(parameter, BodyParameter):
                    yield written(parameter)
