"""The shapes of bodies and answers as JSON Schema, made by the library that reads and writes them.

The framework's own schemas know neither strict bodies nor formats; these say what is really checked.
"""

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any, Final, get_args

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from inbox.domain.bot_profile import TemplateConfig
from inbox.domain.bot_profiles import MAX_ITEMS, MAX_TEXT

Schema = dict[str, Any]

_TEMPLATE: Final = "#/components/schemas/{name}"
_PREFIX: Final = _TEMPLATE.format(name="")
_END_OF_TEXT: Final = "(?!\\n)"
"""Python's `$` allows a line break behind it, that of JSON Schema does not."""
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "SendMessage": ("conversation_id", "content"),
    "Activity": ("is_active",),
    "Credentials": ("email", "password"),
    "Refresh": ("refresh_token",),
    "Verification": ("type", "token_hash"),
    "UserChange": ("password",),
}
"""Keys that may be missing for the type only: their absence is an error with a code of its own."""


def bodies_of(handler: HTTPRouteHandler) -> tuple[Any, ...]:
    """The types of its JSON body: the declared one, or those that the route names because it reads the body itself."""
    declared = handler.parsed_data_field
    return tuple(handler.opt.get("bodies", ())) if declared is None else (declared.annotation,)


def answers_of(handler: HTTPRouteHandler) -> dict[int, Any]:
    """The type of each answer that is declared, by status."""
    field = handler.parsed_fn_signature.return_type
    success = field.inner_types[0].annotation if field.is_subclass_of(Response) else field.annotation
    declared = {status: spec.data_container for status, spec in (handler.responses or {}).items()}
    return {handler.status_code: success, **declared}


class Schemas:
    """The schemas of some types, and the components that they refer to."""

    def __init__(self, bodies: Iterable[Any], answers: Iterable[Any]) -> None:
        self._bodies, read = _made(bodies, as_answer=False)
        self._answers, written = _made(answers, as_answer=True)
        self.components = {**written, **read}

    def body(self, kinds: tuple[Any, ...]) -> Schema:
        """The schema of a body that is one of `kinds`."""
        if len(kinds) == 1:
            return self._bodies[kinds[0]]
        return {"anyOf": [self._bodies[kind] for kind in kinds]}

    def answer(self, kind: object) -> Schema:
        """The schema of an answer."""
        return self._answers[kind]


def _made(types: Iterable[Any], *, as_answer: bool) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    wanted = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(wanted, ref_template=_TEMPLATE, schema_hook=_any)
    schemas = dict(zip(wanted, (_plain(schema) for schema in found), strict=True))
    named = {_short(name): _plain(schema) for name, schema in components.items()}
    for name, schema in named.items():
        if as_answer:
            _as_written(schema)
        for key in _NEEDED.get(name, ()):
            _need(schema, key)
        if name == "ProfileBody":
            schema["properties"]["template_config"] |= _playbook()
    return schemas, named


def _any(kind: type) -> Schema:
    """JSON that may be anything."""
    if kind is object:
        return {"description": "Any JSON."}
    raise NotImplementedError


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Without Python's peculiarities in patterns, names and docstrings (which are indented before 3.13)."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(item) for key, item in value.items()}
    if isinstance(plain.get("pattern"), str):
        plain["pattern"] = plain["pattern"].replace(_END_OF_TEXT, "")
    if isinstance(plain.get("description"), str):
        plain["description"] = cleandoc(plain["description"])
    if isinstance(plain.get("$ref"), str):
        plain["$ref"] = _PREFIX + _short(plain["$ref"].removeprefix(_PREFIX))
    return plain


def _short(name: str) -> str:
    """Two types of one name are told apart by their file: `admin.Done`."""
    return ".".join(name.split(".")[-2:])


def _as_written(schema: Schema) -> None:
    """What has a default is always there in an answer; a default means something to who writes only."""
    properties: Schema = schema.get("properties", {})
    required = schema.get("required", [])
    schema["required"] = [name for name, kind in properties.items() if name in required or "default" in kind]
    for kind in properties.values():
        default = kind.pop("default", None)
        if default and isinstance(default, str) and "$ref" not in kind:
            kind["const"] = default  # the word that this answer always has
    if not schema["required"]:
        del schema["required"]


def _need(schema: Schema, key: str) -> None:
    kind: Schema = schema["properties"][key]
    kept = [option for option in kind["anyOf"] if option != {"type": "null"}]
    schema["properties"][key] = kept[0] if len(kept) == 1 else {"anyOf": kept}
    schema["required"] = [*schema["required"], key]


def _playbook() -> Schema:
    """What `cleaned_config` takes: the known keys, each text of any plain kind. Other keys are dropped."""
    # The limit counts without the blanks around a text, which no schema can say.
    text = {"type": ["string", "number", "boolean", "null"], "description": f"At most {MAX_TEXT} characters."}

    def section(kind: Any) -> Schema:  # noqa: ANN401 - a type
        if kind is str:
            return text
        if items := get_args(kind):
            return {"type": "array", "maxItems": MAX_ITEMS, "items": section(items[0])}
        return {"type": "object", "properties": dict.fromkeys(kind.__struct_fields__, text)}

    return {"properties": {field.name: section(field.type) for field in msgspec.structs.fields(TemplateConfig)}}
