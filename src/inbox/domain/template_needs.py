"""What a template that is known needs of a message: only what WhatsApp surely refuses is named.

Its codes are 132000 (so many variables), 132012 (kind or name of a parameter) and 131008 (a button without its value).
What is not looked at passes: templates of one-time codes, whose text is Meta's own; cards, offers, catalogues, forms; a
file for a header that is not known, since webhooks tell of none that is a file.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from inbox.domain.limits_checks import Problems
from inbox.domain.outgoing_template import (
    BodyComponent,
    BodyParameter,
    ButtonComponent,
    Component,
    DocumentParameter,
    HeaderComponent,
    HeaderParameter,
    ImageParameter,
    LocationParameter,
    TemplateMessage,
    VideoParameter,
)
from inbox.domain.template_parts import VARIABLE, Part, by_kind, parts_of
from inbox.domain.templates import KnownTemplate

_HEADERS: Final[Mapping[str, type[HeaderParameter]]] = {
    "IMAGE": ImageParameter,
    "VIDEO": VideoParameter,
    "DOCUMENT": DocumentParameter,
    "LOCATION": LocationParameter,
}
"""Headers that nothing stands in for when the message leaves them out."""
_AT: Final = "components"
_ONE_TIME_CODES: Final = "AUTHENTICATION"


def lacks(known: KnownTemplate, sent: TemplateMessage) -> Problems:
    """Each fault, with its path inside the content. What stands there alone has passed `limits_template`."""
    parts = None if known.components is None else parts_of(known.components)
    if parts is None or known.category == _ONE_TIME_CODES:
        return
    kinds = by_kind(parts)
    if parts:
        yield from _header(kinds.get("HEADER"), sent.components, known)
    body = kinds.get("BODY")
    if body is not None and body.text:
        path, parameters = _given(sent.components, BodyComponent)
        yield from _texts(path, "body", body.text, parameters, known)
    if (buttons := kinds.get("BUTTONS")) is not None:
        yield from _buttons(buttons, sent.components)


def _given(
    components: Sequence[Component], kind: type[HeaderComponent | BodyComponent]
) -> tuple[str, Sequence[HeaderParameter]]:
    """The parameters of the only component of a kind, and their path; without it, that of all components."""
    for place, one in enumerate(components):
        if isinstance(one, kind):
            return f"{_AT}[{place}].parameters", one.parameters
    return _AT, ()


def _header(part: Part | None, components: Sequence[Component], known: KnownTemplate) -> Problems:
    path, parameters = _given(components, HeaderComponent)
    kind = "TEXT" if part is None else (part.format or "TEXT").upper()
    text = "" if part is None else part.text or ""
    is_text = all(isinstance(one, BodyParameter) for one in parameters)
    expected = _HEADERS.get(kind)
    if expected is not None and not parameters:
        yield path, f"a header with a parameter of type {kind.lower()}: the template has such a header"
    elif expected is not None and not isinstance(parameters[0], expected):
        yield f"{path}[0].type", f"{kind.lower()}: the template has such a header"
    elif kind == "TEXT" and is_text:
        yield from _texts(path, "header", text, parameters, known)
    elif kind == "TEXT" and part is not None:
        yield f"{path}[0].type", "text or none: the template has a header of text"


def _texts(path: str, where: str, text: str, parameters: Sequence[HeaderParameter], known: KnownTemplate) -> Problems:
    variables = VARIABLE.findall(text)
    names = list(dict.fromkeys(variables))
    is_numbered = [name.isdecimal() for name in names]
    form = (known.parameter_format or "").upper()
    if not names:
        if parameters:
            yield path, f"no parameters for the {where}: the template has no variables there"
    elif all(is_numbered) and form != "NAMED":
        # Whether one that stands there twice counts twice is not documented.
        if not len(names) <= len(parameters) <= len(variables):
            yield path, f"as many parameters for the {where} as the template has variables there: {len(names)}"
    elif not any(is_numbered) and form != "POSITIONAL":
        yield from _named(path, names, parameters)


def _named(path: str, names: Sequence[str], parameters: Sequence[HeaderParameter]) -> Problems:
    given = [one.parameter_name if isinstance(one, BodyParameter) else None for one in parameters]
    for place, name in enumerate(given):
        if name not in names:
            yield f"{path}[{place}].parameter_name", f"a name of the template: {', '.join(names)}"
    missing = [name for name in names if name not in given]
    if missing:
        yield path, f"parameters with the names of the template; missing: {', '.join(missing)}"


def _buttons(part: Part, components: Sequence[Component]) -> Problems:
    given = {
        str(one.index): (f"{_AT}[{place}].sub_type", one.sub_type.lower())
        for place, one in enumerate(components)
        if isinstance(one, ButtonComponent)
    }
    for index, button in enumerate(part.buttons):
        kind = (button.type or "").upper()
        if kind == "COPY_CODE":
            what = "its code is part of the message"
        elif kind == "URL" and VARIABLE.search(button.url or ""):
            what = "its address has a variable"
        else:
            continue
        path, sub_type = given.get(str(index), (_AT, None))
        if sub_type is None:
            yield path, f"a button of type {kind.lower()} with index {index}: {what}"
        elif sub_type != kind.lower():
            yield path, f"{kind.lower()}: the template has such a button with index {index}, and {what}"
