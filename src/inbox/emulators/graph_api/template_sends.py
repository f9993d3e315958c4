"""A template message against the template it names (facts 3.4 and 5: error codes 132000 to 132018)."""

import re
from typing import Any, Final

from inbox.emulators.graph_api.checks import Json
from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.media import MediaKind, check_reference
from inbox.emulators.graph_api.objects import Number, Template, TemplateState, Waba
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.templates import variables

MAX_BODY: Final = 1024
_BAD_WHITESPACE: Final = re.compile(r"[\n\t]| {5}")
_TEXT_KINDS: Final = ("text", "currency", "date_time")


def find_template(waba: Waba, content: Json) -> Template:
    """The approved template in exactly that language. Raises GraphError 132001, 132015 or 132016."""
    name, language = content["name"], content["language"]["code"]
    template = waba.templates.get((name, language))
    if template is None or template.status in {TemplateState.PENDING, TemplateState.REJECTED}:
        raise GraphError(132001, f"template name ({name}) does not exist in {language}")
    if template.status is TemplateState.PAUSED:
        raise GraphError(132015)
    if template.status is TemplateState.DISABLED:
        raise GraphError(132016)
    return template


def check_parameters(world: World, number: Number, template: Template, content: Json) -> None:
    """Every variable of the template must be given, once, in its format."""
    given = content.get("components") or []
    by_kind = {str(part.get("type", "")).lower(): part for part in given}
    _header(world, number, template, _parameters(by_kind.get("header")))
    body = template.component("BODY") or {}
    _texts(
        "body", str(body.get("text", "")), _parameters(by_kind.get("body")), named=template.parameter_format == "NAMED"
    )
    _buttons(template, [part for part in given if str(part.get("type", "")).lower() == "button"])


def _header(world: World, number: Number, template: Template, given: list[Json]) -> None:
    header = template.component("HEADER")
    form = "" if header is None else str(header.get("format", "TEXT"))
    if header is None or form == "TEXT":
        text = "" if header is None else str(header.get("text", ""))
        _texts("header", text, given, named=template.parameter_format == "NAMED")
        return
    if len(given) != 1:
        raise _count("header", len(given), 1)
    kind = str(given[0].get("type", "unknown")).upper()
    value = given[0].get(form.lower())
    if kind != form or not isinstance(value, dict):
        raise GraphError(132012, f"header: Format mismatch, expected {form}, received {kind}")
    if form.lower() in set(MediaKind):
        check_reference(value, MediaKind(form.lower()), world, number)


def _texts(where: str, text: str, given: list[Json], *, named: bool) -> None:
    expected = variables(text)
    if len(given) != len(expected):
        raise _count(where, len(given), len(expected))
    if named and {parameter.get("parameter_name") for parameter in given} != set(expected):
        raise GraphError(132012, f"{where}: parameter names do not match, expected {', '.join(expected)}")
    total = 0
    for parameter in given:
        total += len(_value(where, parameter))
    if total > MAX_BODY:
        raise GraphError(132005, f"{where}: parameters are longer than {MAX_BODY} characters")


def _value(where: str, parameter: Json) -> str:
    kind = parameter.get("type")
    if kind not in _TEXT_KINDS:
        raise GraphError(132012, f"{where}: Format mismatch, expected TEXT, received {str(kind).upper()}")
    value: Any = parameter.get(kind)
    if kind != "text":
        value = value.get("fallback_value") if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise GraphError(100, f"Parameter '{kind}' is mandatory for component parameter type '{kind}'")
    if _BAD_WHITESPACE.search(value):
        raise GraphError(132018, f"{where}: Param text cannot have new-line/tab characters or more than 4 spaces")
    return value


def _buttons(template: Template, given: list[Json]) -> None:
    buttons = (template.component("BUTTONS") or {}).get("buttons", [])
    indexes: set[int] = set()
    for part in given:
        index = str(part.get("index", ""))
        if not index.isdigit() or int(index) >= len(buttons):
            raise GraphError(132018, f"button: index {index or 'missing'} does not exist in the template")
        button = buttons[int(index)]
        sub_type = str(part.get("sub_type", "")).upper()
        if sub_type != button["type"] and button["type"] != "OTP":
            raise GraphError(132018, f"button: at index {index} of type {button['type']} is not of type {sub_type}")
        if len(_parameters(part)) != 1:
            raise _count(f"buttons: Button at index {index}", len(_parameters(part)), 1)
        indexes.add(int(index))
    for position, button in enumerate(buttons):
        if button["type"] == "URL" and variables(str(button.get("url", ""))) and position not in indexes:
            raise GraphError(131008, f"buttons: Button at index {position} of type Url requires a parameter")


def _parameters(component: Json | None) -> list[Json]:
    given = [] if component is None else component.get("parameters") or []
    if not isinstance(given, list) or not all(isinstance(parameter, dict) for parameter in given):
        raise GraphError(100, "Param template['components']['parameters'] must be an array of objects.")
    return given


def _count(where: str, given: int, expected: int) -> GraphError:
    return GraphError(
        132000,
        f"{where}: number of localizable_params ({given}) does not match the expected number of params ({expected})",
    )
