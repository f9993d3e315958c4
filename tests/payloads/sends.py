"""The example messages as we describe them and as Meta wants them, and templates that fit them.

Each has whom it goes `to`, our `content`, and the `body` of the call without its `biz_opaque_callback_data`.
"""

from pathlib import Path
from typing import Any

import msgspec

from inbox.domain.contacts import Address
from inbox.domain.outgoing import Sendable

Json = dict[str, Any]
_TEXTS = ("text", "currency", "date_time")


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    to: Address
    content: Sendable
    body: Json
    reply_to: str | None = None


def examples() -> dict[str, Example]:
    text = Path(__file__).with_name("outbound.json").read_text("utf-8")
    return msgspec.json.decode(text, type=dict[str, Example])


def template_for(sent: Json) -> Json:
    """The template that the value of `template` in a message would fit, as the emulator keeps it."""
    parts = {part["type"]: part for part in sent.get("components", []) if part["type"] != "button"}
    header = parts.get("header", {}).get("parameters", [])
    body = parts.get("body", {}).get("parameters", [])
    buttons = [part for part in sent.get("components", []) if part["type"] == "button"]
    components: list[Json] = [
        {"type": "BODY", "text": "Hello" + "".join(_variable(place, one) for place, one in enumerate(body, start=1))}
    ]
    if header and header[0]["type"] in _TEXTS:
        components.append({"type": "HEADER", "format": "TEXT", "text": _variable(1, header[0])})
    elif header:
        components.append({"type": "HEADER", "format": header[0]["type"].upper()})
    if buttons:
        components.append({"type": "BUTTONS", "buttons": _buttons(buttons)})
    is_named = any("parameter_name" in parameter for parameter in [*header, *body])
    return {
        "name": sent["name"],
        "language": sent["language"]["code"],
        "components": components,
        "parameter_format": "NAMED" if is_named else "POSITIONAL",
    }


def _variable(place: int, parameter: Json) -> str:
    return f" word {{{{{parameter.get('parameter_name', place)}}}}}"


def _buttons(parts: list[Json]) -> list[Json]:
    kinds = {int(part["index"]): part["sub_type"].upper() for part in parts}
    buttons = [{"type": kinds.get(index, "QUICK_REPLY")} for index in range(max(kinds) + 1)]
    return [
        {**button, "url": "https://shop.example/{{1}}"} if button["type"] == "URL" else button for button in buttons
    ]
