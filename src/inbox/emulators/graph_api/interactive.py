"""Interactive messages: required keys and limits (facts 3.3 and 3.4: Meta's interactive message reference)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.checks import Json
from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.media import MediaKind

CheckMedia = Callable[[Json, MediaKind], None]
MAX_HEADER: Final = 60
MAX_FOOTER: Final = 60
MAX_BODY: Final = 1024
MAX_LIST_BODY: Final = 4096
MAX_BUTTONS: Final = 3
MAX_SECTIONS: Final = 10
MAX_ROWS: Final = 10
MAX_PRODUCTS: Final = 30
MAX_FLOW_LABEL: Final = 30
CARDS: Final = (2, 10)
MAX_CARD_BODY: Final = 160
MAX_CARD_BREAKS: Final = 2
_ACTION: Final = "interactive['action']"


def check_interactive(content: Json, check_media: CheckMedia) -> None:
    """Raise GraphError for the first fault in the `interactive` object."""
    checks.known_keys(content, {"type", "header", "body", "footer", "action"}, "interactive")
    kind = checks.one_of(content.get("type"), _KINDS.keys(), "interactive['type']")
    action = checks.obj(content, "action", _ACTION)
    _header(content, kind, check_media)
    body_optional = kind in {"product", "catalog_message"} and content.get("body") is None
    if not body_optional:
        body = checks.obj(content, "body", "interactive['body']")
        most = MAX_LIST_BODY if kind == "list" else MAX_BODY
        checks.text(body, "text", "interactive['body']['text']", most=most)
    if content.get("footer") is not None:
        footer = checks.obj(content, "footer", "interactive['footer']")
        checks.text(footer, "text", "interactive['footer']['text']", most=MAX_FOOTER)
    _KINDS[kind](action, check_media)


def _header(content: Json, kind: str, check_media: CheckMedia) -> None:
    if content.get("header") is None:
        if kind == "product_list":
            raise checks.missing("interactive['header']")
        return
    header = checks.obj(content, "header", "interactive['header']")
    allowed = {"text"} if kind in {"list", "product_list"} else {"text", "image", "video", "document"}
    form = checks.one_of(header.get("type"), allowed, "interactive['header']['type']")
    if form == "text":
        checks.text(header, "text", "interactive['header']['text']", most=MAX_HEADER)
    else:
        check_media(checks.obj(header, form, f"interactive['header']['{form}']"), MediaKind(form))


def _bounded(parent: Json, key: str, label: str, name: str, most: int) -> str:
    """Lengths inside an action are refused with 131009 and Meta's own wording."""
    value = parent.get(key)
    if value is None:
        raise checks.missing(name)
    if not isinstance(value, str):
        raise checks.invalid(name, "must be a string.")
    if not 1 <= len(value) <= most:
        raise GraphError(131009, f"{label} length invalid. Min length: 1, Max length: {most}. Parameter: {name}")
    return value


def _buttons(action: Json, _: CheckMedia) -> None:
    ids: set[str] = set()
    titles: set[str] = set()
    for position, button in enumerate(checks.objects(action, "buttons", f"{_ACTION}['buttons']", most=MAX_BUTTONS)):
        name = f"{_ACTION}['buttons'][{position}]"
        checks.one_of(button.get("type"), {"reply"}, f"{name}['type']")
        reply = checks.obj(button, "reply", f"{name}['reply']")
        identity = _bounded(reply, "id", "Button id", f"{name}['reply']['id']", 256)
        title = _bounded(reply, "title", "Button title", f"{name}['reply']['title']", 20)
        if identity != identity.strip():
            raise checks.invalid(f"{name}['reply']['id']", "must not start or end with a space.")
        if identity in ids or title in titles:
            raise GraphError(131009, f"Button ids and titles must be unique. Parameter: {name}['reply']")
        ids.add(identity)
        titles.add(title)


def _list(action: Json, _: CheckMedia) -> None:
    _bounded(action, "button", "Button", f"{_ACTION}['button']", 20)
    sections = checks.objects(action, "sections", f"{_ACTION}['sections']", most=MAX_SECTIONS)
    ids: set[str] = set()
    total = 0
    for position, section in enumerate(sections):
        name = f"{_ACTION}['sections'][{position}]"
        if len(sections) > 1 or section.get("title") is not None:
            _bounded(section, "title", "Section title", f"{name}['title']", 24)
        for row_position, row in enumerate(checks.objects(section, "rows", f"{name}['rows']", most=MAX_ROWS)):
            _row(row, f"{name}['rows'][{row_position}]", ids)
            total += 1
    if total > MAX_ROWS:
        raise GraphError(
            131009, f"Total row count exceed max allowed count: {MAX_ROWS}. Parameter: {_ACTION}['sections']"
        )


def _row(row: Json, name: str, ids: set[str]) -> None:
    identity = _bounded(row, "id", "Row id", f"{name}['id']", 200)
    _bounded(row, "title", "Row title", f"{name}['title']", 24)
    if row.get("description"):
        _bounded(row, "description", "Row description", f"{name}['description']", 72)
    if identity in ids:
        raise GraphError(131009, f"Row ids must be unique. Parameter: {name}['id']")
    ids.add(identity)


def _named(name: str) -> Callable[[Json, CheckMedia], None]:
    def check(action: Json, _: CheckMedia) -> None:
        checks.one_of(action.get("name"), {name}, f"{_ACTION}['name']")

    return check


def _cta_url(action: Json, _: CheckMedia) -> None:
    checks.one_of(action.get("name"), {"cta_url"}, f"{_ACTION}['name']")
    parameters = checks.obj(action, "parameters", f"{_ACTION}['parameters']")
    _bounded(parameters, "display_text", "Display text", f"{_ACTION}['parameters']['display_text']", 20)
    checks.web_url(parameters.get("url"), f"{_ACTION}['parameters']['url']")


def _flow(action: Json, _: CheckMedia) -> None:
    checks.one_of(action.get("name"), {"flow"}, f"{_ACTION}['name']")
    name = f"{_ACTION}['parameters']"
    parameters = checks.obj(action, "parameters", name)
    checks.one_of(parameters.get("flow_message_version"), {"3"}, f"{name}['flow_message_version']")
    if not parameters.get("flow_id") and not parameters.get("flow_name"):
        raise checks.missing(f"{name}['flow_id']")
    _bounded(parameters, "flow_cta", "Flow button", f"{name}['flow_cta']", MAX_FLOW_LABEL)
    step = parameters.get("flow_action", "navigate")
    if checks.one_of(step, {"navigate", "data_exchange"}, f"{name}['flow_action']") == "navigate":
        payload = parameters.get("flow_action_payload")
        if payload is not None and (not isinstance(payload, dict) or not payload.get("screen")):
            raise checks.missing(f"{name}['flow_action_payload']['screen']")


def _product(action: Json, _: CheckMedia) -> None:
    checks.text(action, "catalog_id", f"{_ACTION}['catalog_id']", most=100)
    checks.text(action, "product_retailer_id", f"{_ACTION}['product_retailer_id']", most=100)


def _product_list(action: Json, _: CheckMedia) -> None:
    checks.text(action, "catalog_id", f"{_ACTION}['catalog_id']", most=100)
    total = 0
    for position, section in enumerate(checks.objects(action, "sections", f"{_ACTION}['sections']", most=MAX_SECTIONS)):
        name = f"{_ACTION}['sections'][{position}]"
        for item in checks.objects(section, "product_items", f"{name}['product_items']", most=MAX_PRODUCTS):
            checks.text(item, "product_retailer_id", f"{name}['product_items']['product_retailer_id']", most=100)
            total += 1
    if total > MAX_PRODUCTS:
        raise checks.invalid(f"{_ACTION}['sections']", f"holds more than {MAX_PRODUCTS} products.")


def _address(action: Json, _: CheckMedia) -> None:
    checks.one_of(action.get("name"), {"address_message"}, f"{_ACTION}['name']")
    parameters = checks.obj(action, "parameters", f"{_ACTION}['parameters']")
    checks.text(parameters, "country", f"{_ACTION}['parameters']['country']", most=2, least=2)


def _carousel(action: Json, check_media: CheckMedia) -> None:
    least, most = CARDS
    shapes: set[tuple[str, ...]] = set()
    for position, card in enumerate(checks.objects(action, "cards", f"{_ACTION}['cards']", least=least, most=most)):
        name = f"{_ACTION}['cards'][{position}]"
        if card.get("card_index") != position:
            raise checks.invalid(f"{name}['card_index']", f"must be {position}.")
        shapes.add(_card(card, name, check_media))
    if len(shapes) > 1:
        raise checks.invalid(f"{_ACTION}['cards']", "must all have the same header and the same buttons.")


def _card(card: Json, name: str, check_media: CheckMedia) -> tuple[str, ...]:
    """Check one card; return its shape, which all cards must share."""
    kind = checks.one_of(card.get("type"), {"cta_url", "product"}, f"{name}['type']")
    action = checks.obj(card, "action", f"{name}['action']")
    if kind == "product":
        _product(action, check_media)
        return (kind,)
    header = checks.obj(card, "header", f"{name}['header']")
    form = checks.one_of(header.get("type"), {"image", "video"}, f"{name}['header']['type']")
    check_media(checks.obj(header, form, f"{name}['header']['{form}']"), MediaKind(form))
    if card.get("body") is not None:
        body = checks.obj(card, "body", f"{name}['body']")
        if checks.text(body, "text", f"{name}['body']['text']", most=MAX_CARD_BODY).count("\n") > MAX_CARD_BREAKS:
            raise checks.invalid(f"{name}['body']['text']", f"has more than {MAX_CARD_BREAKS} line breaks.")
    if action.get("name") == "cta_url":
        _cta_url(action, check_media)
        return kind, form, "cta_url"
    buttons = checks.objects(action, "buttons", f"{name}['action']['buttons']", most=MAX_BUTTONS)
    for button in buttons:
        reply = checks.obj(button, "quick_reply", f"{name}['action']['buttons']['quick_reply']")
        _bounded(reply, "id", "Button id", f"{name}['action']['buttons']['quick_reply']['id']", 256)
        _bounded(reply, "title", "Button title", f"{name}['action']['buttons']['quick_reply']['title']", 20)
    return kind, form, *("quick_reply" for _ in buttons)


_KINDS: Final[Mapping[str, Callable[[Json, CheckMedia], None]]] = MappingProxyType(
    {
        "button": _buttons,
        "list": _list,
        "cta_url": _cta_url,
        "flow": _flow,
        "location_request_message": _named("send_location"),
        "request_contact_info": _named("request_contact_info"),
        "call_permission_request": _named("call_permission_request"),
        "catalog_message": _named("catalog_message"),
        "product": _product,
        "product_list": _product_list,
        "address_message": _address,
        "carousel": _carousel,
    }
)
