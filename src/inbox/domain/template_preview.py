"""What a customer reads: a template with the values of a message in the place of its variables."""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from inbox.domain.outgoing_template import (
    BodyComponent,
    BodyParameter,
    ButtonComponent,
    CarouselComponent,
    Component,
    HeaderComponent,
    TemplateCard,
    TextParameter,
    written,
)
from inbox.domain.template_parts import VARIABLE, Part, by_kind, parts_of

_Values = Mapping[str, str]


class ShownButton(msgspec.Struct, frozen=True, kw_only=True):
    """`url` with its suffix, where the button opens one."""

    text: str
    url: str | None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """`header_format` is Meta's word, like `TEXT` or `IMAGE`; a header that is no text has none.

    `text` is all of it, as the conversation shows it. `missing` are the variables without a value, like `body.1`: they
    stand in the texts as they do in the template.
    """

    header_format: str | None
    header: str | None
    body: str
    footer: str | None
    buttons: tuple[ShownButton, ...]
    text: str
    missing: tuple[str, ...]


def rendered(components: bytes, given: Sequence[Component]) -> Preview | None:
    """The template of `components`, JSON in Meta's shape, with the parameters of a message.

    None if they have a shape that nobody here knows.
    """
    parts = parts_of(components)
    if parts is None:
        return None
    cards = next((one.cards for one in given if isinstance(one, CarouselComponent)), ())
    shown = _one(parts, given, "")
    rest = list(_cards(parts, cards))
    return msgspec.structs.replace(
        shown,
        text="\n".join([shown.text, *(card.text for card in rest)]),
        missing=(*shown.missing, *(name for card in rest for name in card.missing)),
    )


def _cards(parts: Sequence[Part], given: Sequence[TemplateCard]) -> Iterator[Preview]:
    by_place = {card.card_index: card.components for card in given}
    for part in parts:
        for place, card in enumerate(part.cards):
            yield _one(card.components, by_place.get(place, ()), f"cards[{place}].")


def _one(parts: Sequence[Part], given: Sequence[Component], at: str) -> Preview:
    """Without the cards of a carousel."""
    kinds = by_kind(parts)
    missing: list[str] = []
    header, header_format = kinds.get("HEADER"), None
    line = None
    if header is not None:
        header_format = (header.format or "TEXT").upper()
        if header_format == "TEXT":
            line = _filled(header.text or "", _header_values(given), f"{at}header", missing)
    body = _filled(_text(kinds.get("BODY")), _body_values(given), f"{at}body", missing)
    footer = _text(kinds.get("FOOTER")) or None
    buttons = tuple(_buttons(kinds.get("BUTTONS"), given, at, missing))
    lines = [line if line is not None else header_format and f"[{header_format.lower()}]", body, footer]
    if buttons:
        lines.append(f"[boutons : {', '.join(button.text for button in buttons)}]")
    return Preview(
        header_format=header_format,
        header=line,
        body=body,
        footer=footer,
        buttons=buttons,
        text="\n".join(part for part in lines if part),
        missing=tuple(missing),
    )


def _text(part: Part | None) -> str:
    return "" if part is None else part.text or ""


def _buttons(part: Part | None, given: Sequence[Component], at: str, missing: list[str]) -> Iterator[ShownButton]:
    suffixes = {
        str(one.index): parameter.text
        for one in given
        if isinstance(one, ButtonComponent)
        for parameter in one.parameters
        if isinstance(parameter, TextParameter)
    }
    for place, button in enumerate(() if part is None else part.buttons):
        suffix = suffixes.get(str(place))
        # The address of a button has one variable, whatever it is called.
        names = VARIABLE.findall(button.url or "")
        values = dict.fromkeys(names, suffix) if suffix is not None else {}
        url = _filled(button.url, values, f"{at}buttons[{place}]", missing) if button.url else None
        yield ShownButton(text=button.text or "", url=url)


def _header_values(given: Sequence[Component]) -> _Values:
    return _values([p for one in given if isinstance(one, HeaderComponent) for p in one.parameters])


def _body_values(given: Sequence[Component]) -> _Values:
    return _values([p for one in given if isinstance(one, BodyComponent) for p in one.parameters])


def _values(parameters: Sequence[object]) -> _Values:
    """By name, or by place from 1."""
    known = [parameter for parameter in parameters if isinstance(parameter, BodyParameter)]
    return {one.parameter_name or str(place): written(one) for place, one in enumerate(known, 1)}


def _filled(text: str, values: _Values, where: str, missing: list[str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            missing.append(f"{where}.{found[1]}")
        return values.get(found[1], found[0])

    return VARIABLE.sub(value, text)
