"""What WhatsApp takes of templates, as far as it can be known without the template itself (Meta, template messages)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from inbox.domain import limits_checks as check
from inbox.domain.limits_checks import MAX_ID, MAX_OTHER, MAX_URL, Problem, Problems
from inbox.domain.limits_files import file, filename, pin
from inbox.domain.limits_interactive import MAX_CARDS, MAX_PRODUCTS, MAX_SECTION_TITLE, MAX_SECTIONS, MIN_CARDS
from inbox.domain.outgoing_template import (
    ActionParameter,
    BodyComponent,
    BodyParameter,
    ButtonAction,
    ButtonComponent,
    ButtonParameter,
    CarouselComponent,
    Component,
    CouponParameter,
    CurrencyParameter,
    DateTimeParameter,
    DocumentParameter,
    HeaderComponent,
    HeaderParameter,
    ImageParameter,
    LocationParameter,
    OfferComponent,
    PayloadParameter,
    ProductParameter,
    TemplateCard,
    TemplateMessage,
    TextParameter,
    VideoParameter,
    written,
)

MAX_BODY: Final = 1024
"""Of all variables of a body together."""
MAX_HEADER: Final = 60
MAX_BUTTONS: Final = 10
MAX_COUPON: Final = 20
MAX_COMPONENTS: Final = 20
MAX_PARAMETERS: Final = 100
NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?")
_VARIABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_INDEX: Final = re.compile(r"[0-9]")
_TAKES: Final[Mapping[str, type[ButtonParameter]]] = {
    "quick_reply": PayloadParameter,
    "url": TextParameter,
    "copy_code": CouponParameter,
    "flow": ActionParameter,
    "catalog": ActionParameter,
    "mpm": ActionParameter,
}
"""Which parameter a button has, by its `sub_type`. Other buttons have none."""
_Named = tuple[str, BodyParameter]


def problems(template: TemplateMessage) -> Problems:
    """Each fault, with its path inside the content."""
    if not NAME.fullmatch(template.name):
        yield "name", "1 to 512 of the characters a-z, 0-9 and _"
    if not LANGUAGE.fullmatch(template.language):
        yield "language", "a language code of WhatsApp, like fr or en_US"
    yield from check.count("components", template.components, 0, MAX_COMPONENTS, "components")
    components = template.components[:MAX_COMPONENTS]
    yield from _components("components", components)
    yield from _naming(list(_named("components", components)))


def _components(path: str, components: Sequence[Component]) -> Problems:
    alone = [(f"{path}[{place}]", type(one)) for place, one in enumerate(components)]
    yield from check.unique((entry for entry in alone if entry[1] is not ButtonComponent), "component")
    buttons = [
        (f"{path}[{place}].index", str(one.index))
        for place, one in enumerate(components)
        if isinstance(one, ButtonComponent)
    ]
    yield from check.unique(buttons, "index")
    for place, component in enumerate(components):
        yield from _component(f"{path}[{place}]", component)


def _component(path: str, component: Component) -> Problems:
    match component:
        case HeaderComponent(parameters=parameters):
            yield from check.count(f"{path}.parameters", parameters, 0, 1, "parameters")
            for place, parameter in enumerate(parameters[:1]):
                yield from _header(f"{path}.parameters[{place}]", parameter)
        case BodyComponent():
            yield from _body(f"{path}.parameters", component)
        case ButtonComponent():
            yield from _button(path, component)
        case OfferComponent(parameters=offers):
            yield from check.count(f"{path}.parameters", offers, 1, 1, "parameters")
            for offer in offers[:1]:
                where = f"{path}.parameters[0].limited_time_offer.expiration_time_ms"
                yield from check.whole(where, offer.limited_time_offer.expiration_time_ms, 1)
        case CarouselComponent(cards=cards):
            yield from _carousel(f"{path}.cards", cards)


def _body(path: str, body: BodyComponent) -> Problems:
    yield from check.count(path, body.parameters, 0, MAX_PARAMETERS, "parameters")
    parameters = body.parameters[:MAX_PARAMETERS]
    for place, parameter in enumerate(parameters):
        yield from _variable(f"{path}[{place}]", parameter, MAX_BODY)
    if sum(len(written(parameter)) for parameter in parameters) > MAX_BODY:
        yield path, f"{MAX_BODY} characters at most in all of them together"


def _header(path: str, parameter: HeaderParameter) -> Problems:
    match parameter:
        case TextParameter() | CurrencyParameter() | DateTimeParameter():
            yield from _variable(path, parameter, MAX_HEADER)
        case ImageParameter(image=given) | VideoParameter(video=given):
            kind = "image" if isinstance(parameter, ImageParameter) else "video"
            yield from file(f"{path}.{kind}", given)
            if given.filename is not None:
                yield f"{path}.{kind}.filename", "none: only documents have one"
        case DocumentParameter(document=given):
            yield from file(f"{path}.document", given)
            yield from filename(f"{path}.document.filename", given.filename)
        case LocationParameter(location=location):
            yield from pin(f"{path}.location", location)
        case ProductParameter(product=product):
            yield from check.text(f"{path}.product.catalog_id", product.catalog_id, MAX_ID)
            yield from check.text(f"{path}.product.product_retailer_id", product.product_retailer_id, MAX_ID)


def _variable(path: str, parameter: BodyParameter, most: int) -> Problems:
    where = {TextParameter: "text", CurrencyParameter: "currency.fallback_value"}
    yield from check.one_line(
        f"{path}.{where.get(type(parameter), 'date_time.fallback_value')}", written(parameter), most
    )
    if isinstance(parameter, CurrencyParameter):
        yield from check.whole(f"{path}.currency.amount_1000", parameter.currency.amount_1000, -check.MAX_WHOLE)
        if not _CURRENCY.fullmatch(parameter.currency.code):
            yield f"{path}.currency.code", "three capital letters, like EUR"


def _named(path: str, components: Sequence[Component]) -> Iterator[_Named]:
    """The variables of header and body, with their paths, those of cards too."""
    for place, component in enumerate(components):
        inner = f"{path}[{place}]"
        if isinstance(component, CarouselComponent):
            for number, card in enumerate(component.cards[:MAX_CARDS]):
                yield from _named(f"{inner}.cards[{number}].components", card.components)
        elif isinstance(component, HeaderComponent | BodyComponent):
            for number, parameter in enumerate(component.parameters[:MAX_PARAMETERS]):
                if isinstance(parameter, BodyParameter):
                    yield f"{inner}.parameters[{number}]", parameter


def _naming(variables: list[_Named]) -> Problems:
    """A template names all of its variables or none; names are unique where they stand together."""
    is_named = any(variable.parameter_name is not None for _, variable in variables)
    together: dict[str, list[Problem]] = {}
    for path, variable in variables:
        name = variable.parameter_name
        if name is None and is_named:
            yield f"{path}.parameter_name", "a name: other parameters have one"
        elif name is not None and not _VARIABLE.fullmatch(name):
            yield f"{path}.parameter_name", "a-z, 0-9 and _, a letter first"
        elif name is not None:
            together.setdefault(path.rpartition("[")[0], []).append((f"{path}.parameter_name", name))
    for names in together.values():
        yield from check.unique(names, "name")


def _button(path: str, button: ButtonComponent) -> Problems:
    if not _INDEX.fullmatch(str(button.index)):
        yield f"{path}.index", f"0 to {MAX_BUTTONS - 1}"
    expected = _TAKES.get(button.sub_type.lower())
    if expected is None:
        yield f"{path}.sub_type", f"one of {', '.join(_TAKES)}"
        return
    yield from check.count(f"{path}.parameters", button.parameters, 1, 1, "parameters")
    for parameter in button.parameters[:1]:
        if isinstance(parameter, expected):
            yield from _button_parameter(f"{path}.parameters[0]", parameter)
        else:
            yield f"{path}.parameters[0].type", f"what a button of type {button.sub_type.lower()} takes"


def _button_parameter(path: str, parameter: ButtonParameter) -> Problems:
    match parameter:
        case TextParameter(text=suffix):
            yield from check.one_line(f"{path}.text", suffix, MAX_URL)
            if parameter.parameter_name is not None:
                yield f"{path}.parameter_name", "none: the address of a button has one variable"
        case PayloadParameter(payload=payload):
            yield from check.text(f"{path}.payload", payload, MAX_OTHER)
        case CouponParameter(coupon_code=code):
            yield from check.one_line(f"{path}.coupon_code", code, MAX_COUPON)
        case ActionParameter(action=action):
            yield from _action(f"{path}.action", action)


def _action(path: str, action: ButtonAction) -> Problems:
    yield from check.optional_text(f"{path}.flow_token", action.flow_token, MAX_OTHER)
    thumbnail = action.thumbnail_product_retailer_id
    yield from check.optional_text(f"{path}.thumbnail_product_retailer_id", thumbnail, MAX_ID)
    yield from check.count(f"{path}.sections", action.sections, 0, MAX_SECTIONS, "sections")
    total = 0
    for number, section in enumerate(action.sections[:MAX_SECTIONS]):
        inner = f"{path}.sections[{number}]"
        yield from check.optional_text(f"{inner}.title", section.title, MAX_SECTION_TITLE)
        yield from check.count(f"{inner}.product_items", section.product_items, 1, MAX_PRODUCTS, "products")
        for position, item in enumerate(section.product_items[:MAX_PRODUCTS]):
            where = f"{inner}.product_items[{position}].product_retailer_id"
            yield from check.text(where, item.product_retailer_id, MAX_ID)
        total += len(section.product_items)
    if total > MAX_PRODUCTS:
        yield f"{path}.sections", f"{MAX_PRODUCTS} products at most in all sections together"


def _carousel(path: str, cards: Sequence[TemplateCard]) -> Problems:
    yield from check.count(path, cards, MIN_CARDS, MAX_CARDS, "cards")
    for number, card in enumerate(cards[:MAX_CARDS]):
        inner = f"{path}[{number}]"
        if card.card_index != number:
            yield f"{inner}.card_index", f"{number}: cards are counted from 0"
        yield from check.count(f"{inner}.components", card.components, 1, MAX_COMPONENTS, "components")
        yield from _components(f"{inner}.components", card.components[:MAX_COMPONENTS])
        if _shape(card) != _shape(cards[0]):
            yield inner, "the same header and the same buttons as the first card"


def _shape(card: TemplateCard) -> list[object]:
    """What all cards share: the kind of the header's file, and the kinds of the buttons."""
    found: list[object] = []
    for component in card.components:
        if isinstance(component, HeaderComponent):
            found += [type(parameter) for parameter in component.parameters]
        elif isinstance(component, ButtonComponent):
            found.append(component.sub_type.lower())
    return found
