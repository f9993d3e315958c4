"""What WhatsApp takes of new templates, as far as it can be known before it looks at them (Meta, message templates)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from inbox.domain import limits_checks as check
from inbox.domain.errors import Invalid
from inbox.domain.limits_checks import MAX_ID, MAX_OTHER, MAX_URL, Problems
from inbox.domain.limits_interactive import MAX_CARDS, MIN_CARDS
from inbox.domain.limits_template import LANGUAGE, MAX_BODY, MAX_BUTTONS, MAX_COUPON, MAX_HEADER, NAME
from inbox.domain.template_drafts import (
    BodyDraft,
    BodyExample,
    ButtonDraft,
    ButtonsDraft,
    CarouselDraft,
    ComponentDraft,
    CopyCodeDraft,
    FlowDraft,
    FooterDraft,
    HeaderDraft,
    HeaderExample,
    NamedExample,
    OfferDraft,
    PhoneDraft,
    TemplateDraft,
    TemplateEdit,
    UrlDraft,
)
from inbox.domain.template_parts import VARIABLE

MAX_FOOTER: Final = 60
MAX_BUTTON: Final = 25
MAX_OFFER: Final = 16
MAX_CARD_BODY: Final = 160
MAX_CARD_BUTTONS: Final = 2
MAX_HANDLE: Final = 4096
"""Characters of what an upload gave. A bound of ours."""
MAX_VARIABLES: Final = 100
_MOST: Final[Mapping[type[ButtonDraft], int]] = {UrlDraft: 2, PhoneDraft: 1, CopyCodeDraft: 1}
_MINUTES: Final = (1, 90)
_SECONDS: Final = (30, 2_592_000)
_NAMED: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_PHONE: Final = re.compile(r"\+?[0-9]{3,20}")
_TOUCH: Final = re.compile(r"\}\}\s*\{\{")
_BROKEN: Final = re.compile(r"\{\{|\}\}")
_FILES: Final = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})


def checked(draft: TemplateDraft | TemplateEdit, *, named: bool, is_code: bool) -> None:
    """`named`: variables have names, not numbers. `is_code`: it is an authentication template.

    Raises `Invalid` with every fault, below `body`.
    """
    found = [(f"body.{path}", message) for path, message in problems(draft, named=named, is_code=is_code)]
    if found:
        error = Invalid(*found[0])
        error.errors = [{"path": path, "message": message} for path, message in found]
        raise error


def problems(draft: TemplateDraft | TemplateEdit, *, named: bool, is_code: bool) -> Problems:
    """Each fault, with its path inside the body."""
    if isinstance(draft, TemplateDraft):
        yield from _frame(draft)
    if draft.components is not None:
        yield from _components(draft.components, named=named, is_code=is_code)
    elif draft.category is None:
        yield "components", "category, components, or both"


def _frame(draft: TemplateDraft) -> Problems:
    if not NAME.fullmatch(draft.name):
        yield "name", "1 to 512 of the characters a-z, 0-9 and _"
    if not LANGUAGE.fullmatch(draft.language):
        yield "language", "a language code of WhatsApp, like fr or en_US"
    seconds = draft.message_send_ttl_seconds
    if seconds is not None and seconds != -1 and not _SECONDS[0] <= seconds <= _SECONDS[1]:
        yield "message_send_ttl_seconds", f"{_SECONDS[0]} to {_SECONDS[1]} seconds, or -1"


def _components(components: Sequence[ComponentDraft], *, named: bool, is_code: bool) -> Problems:
    yield from check.unique(((f"components[{place}].type", type(one)) for place, one in enumerate(components)), "type")
    if not any(isinstance(one, BodyDraft) for one in components):
        yield "components", "one of the type BODY"
    for place, component in enumerate(components):
        yield from _component(f"components[{place}]", component, named=named, is_code=is_code)


def _component(path: str, component: ComponentDraft, *, named: bool, is_code: bool) -> Problems:
    match component:
        case HeaderDraft():
            yield from _header(path, component, named=named)
        case BodyDraft():
            yield from _body(path, component, MAX_BODY, named=named, is_code=is_code)
        case FooterDraft():
            yield from _footer(path, component)
        case ButtonsDraft(buttons=buttons):
            yield from _buttons(f"{path}.buttons", buttons, MAX_BUTTONS)
        case OfferDraft(limited_time_offer=offer):
            yield from check.text(f"{path}.limited_time_offer.text", offer.text, MAX_OFFER)
        case CarouselDraft():
            yield from _carousel(f"{path}.cards", component, named=named)


def _header(path: str, header: HeaderDraft, *, named: bool) -> Problems:
    example = header.example or HeaderExample()
    if header.format != "TEXT":
        yield from _file_header(path, header, example)
        return
    yield from check.text(f"{path}.text", header.text or "", MAX_HEADER)
    names = VARIABLE.findall(header.text or "")
    if len(names) > 1:
        yield f"{path}.text", "one variable at most"
        return
    yield from _variables(f"{path}.text", header.text or "", names, named=named)
    if example.header_handle:
        yield f"{path}.example.header_handle", "none: a text has no file"
    where = f"{path}.example.header_text_named_params" if named else f"{path}.example.header_text"
    yield from _examples(where, names, example.header_text_named_params if named else example.header_text)


def _file_header(path: str, header: HeaderDraft, example: HeaderExample) -> Problems:
    if header.text is not None:
        yield f"{path}.text", f"none: a header of the format {header.format} has no text"
    if header.format in _FILES:
        handles = example.header_handle
        yield from check.count(f"{path}.example.header_handle", handles, 1, 1, "handles of an uploaded sample")
        for handle in handles[:1]:
            yield from check.text(f"{path}.example.header_handle[0]", handle, MAX_HANDLE)


def _body(path: str, body: BodyDraft, most: int, *, named: bool, is_code: bool) -> Problems:
    if is_code:
        if body.text is not None:
            yield f"{path}.text", "none: the text of an authentication template is WhatsApp's"
        return
    if body.add_security_recommendation is not None:
        yield f"{path}.add_security_recommendation", "only in authentication templates"
    yield from check.text(f"{path}.text", body.text or "", most)
    text = (body.text or "").strip()
    names = VARIABLE.findall(text)
    if text.startswith("{{") or text.endswith("}}"):
        yield f"{path}.text", "no variable at the beginning or the end"
    if _TOUCH.search(text):
        yield f"{path}.text", "words between two variables"
    yield from _variables(f"{path}.text", text, names, named=named)
    yield from _body_examples(f"{path}.example", names, body.example or BodyExample(), named=named)


def _body_examples(path: str, names: Sequence[str], example: BodyExample, *, named: bool) -> Problems:
    if named:
        yield from _examples(f"{path}.body_text_named_params", names, example.body_text_named_params)
        return
    lists = example.body_text
    if len(lists) > 1:
        yield f"{path}.body_text", "one list, with a value for each variable"
    yield from _examples(f"{path}.body_text[0]", names, lists[0] if lists else ())


def _variables(path: str, text: str, names: Sequence[str], *, named: bool) -> Problems:
    distinct = list(dict.fromkeys(names))
    if _BROKEN.search(VARIABLE.sub("", text)):
        yield path, "variables like {{first_name}}" if named else "variables like {{1}}"
    if named and not all(_NAMED.fullmatch(name) for name in distinct):
        yield path, "names of variables from a-z, 0-9 and _, a letter first"
    if not named and distinct != [str(number + 1) for number in range(len(distinct))]:
        yield path, "variables that are numbered from 1 in the order of the text: {{1}}, {{2}}"
    if len(distinct) > MAX_VARIABLES:
        yield path, f"{MAX_VARIABLES} variables at most"


def _examples(path: str, names: Sequence[str], given: Sequence[str | NamedExample]) -> Problems:
    """One for each variable: WhatsApp looks at nothing without them."""
    distinct = list(dict.fromkeys(names))
    if len(given) != len(distinct):
        yield path, f"an example for each of the {len(distinct)} variables"
    for place, one in enumerate(given[:MAX_VARIABLES]):
        if isinstance(one, str):
            yield from check.one_line(f"{path}[{place}]", one, MAX_OTHER)
            continue
        yield from check.one_line(f"{path}[{place}].example", one.example, MAX_OTHER)
        if one.param_name not in distinct:
            yield f"{path}[{place}].param_name", "the name of a variable of the text"


def _footer(path: str, footer: FooterDraft) -> Problems:
    minutes = footer.code_expiration_minutes
    yield from check.one_of(path, (footer.text, minutes), "text and code_expiration_minutes")
    if minutes is not None and not _MINUTES[0] <= minutes <= _MINUTES[1]:
        yield f"{path}.code_expiration_minutes", f"{_MINUTES[0]} to {_MINUTES[1]}"
    if footer.text is not None:
        yield from check.text(f"{path}.text", footer.text, MAX_FOOTER)
        if _BROKEN.search(footer.text):
            yield f"{path}.text", "no variable"


def _buttons(path: str, buttons: Sequence[ButtonDraft], most: int) -> Problems:
    yield from check.count(path, buttons, 1, most, "buttons")
    counts = Counter(type(button) for button in buttons)
    for kind, limit in _MOST.items():
        if counts[kind] > limit:
            yield path, f"{limit} of the type {kind.__struct_config__.tag} at most"
    for place, button in enumerate(buttons[:MAX_BUTTONS]):
        yield from _button(f"{path}[{place}]", button)


def _button(path: str, button: ButtonDraft) -> Problems:
    if button.text is not None:
        yield from check.text(f"{path}.text", button.text, MAX_BUTTON)
    match button:
        case UrlDraft():
            yield from _url(path, button)
        case PhoneDraft(phone_number=phone) if not _PHONE.fullmatch(phone):
            yield f"{path}.phone_number", "3 to 20 digits, with + in front"
        case CopyCodeDraft(example=code):
            yield from check.one_line(f"{path}.example", code, MAX_COUPON)
        case FlowDraft():
            yield from check.one_of(path, (button.flow_id, button.flow_name), "flow_id and flow_name")
            for name in ("flow_id", "flow_name", "navigate_screen"):
                yield from check.optional_text(f"{path}.{name}", getattr(button, name), MAX_ID)


def _url(path: str, button: UrlDraft) -> Problems:
    names = VARIABLE.findall(button.url)
    plain = VARIABLE.sub("x", button.url)
    yield from check.url(f"{path}.url", plain)
    if len(names) > 1 or (names and not button.url.endswith("}}")):
        yield f"{path}.url", "one variable at most, at the end"
    yield from check.count(f"{path}.example", button.example, len(names[:1]), len(names[:1]), "examples")
    for place, example in enumerate(button.example[:1]):
        if len(example) > MAX_URL or not example.strip():
            yield f"{path}.example[{place}]", f"1 to {MAX_URL} characters"


def _carousel(path: str, carousel: CarouselDraft, *, named: bool) -> Problems:
    cards = carousel.cards
    yield from check.count(path, cards, MIN_CARDS, MAX_CARDS, "cards")
    for place, card in enumerate(cards[:MAX_CARDS]):
        inner = f"{path}[{place}].components"
        yield from check.unique(((f"{inner}[{n}].type", type(one)) for n, one in enumerate(card.components)), "type")
        if list(_shape(card.components)) != list(_shape(cards[0].components)):
            yield inner, "the same header and the same buttons as the first card"
        for number, component in enumerate(card.components):
            at = f"{inner}[{number}]"
            if isinstance(component, BodyDraft):
                yield from _body(at, component, MAX_CARD_BODY, named=named, is_code=False)
            elif isinstance(component, ButtonsDraft):
                yield from _buttons(f"{at}.buttons", component.buttons, MAX_CARD_BUTTONS)
            else:
                yield from _header(at, component, named=named)


def _shape(components: Sequence[ComponentDraft]) -> Iterator[object]:
    for component in components:
        if isinstance(component, HeaderDraft):
            yield component.format
        elif isinstance(component, ButtonsDraft):
            yield [type(button) for button in component.buttons]
