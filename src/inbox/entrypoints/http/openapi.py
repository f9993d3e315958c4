"""The description of the REST API (OpenAPI 3.1), as tools and people read it.

The framework derives paths and parameters from the routes. What it cannot know, or says in its own shape, is completed
here, in one place: who may call, what is sent and answered exactly, what every failure looks like, and examples.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from types import NoneType
from typing import Any, Final

import msgspec
from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag
from litestar.types import ControllerRouterHandler

from inbox.entrypoints.http.examples import EXAMPLES
from inbox.entrypoints.http.middleware import signed_in
from inbox.entrypoints.http.openapi_parts import (
    EXTRA_PARAMETERS,
    HEADERS,
    MEANINGS,
    PREFER,
    REQUIRED_PARAMETERS,
    TAG_OF,
    TAGS,
    failures,
    header,
    problem_example,
)
from inbox.entrypoints.http.openapi_schemas import Schemas, answers_of, bodies_of
from inbox.entrypoints.http.problems import SIGNED_IN, Problem
from inbox.entrypoints.http.sign_in import AuthProblem

Description = dict[str, Any]

_BEARER: Final[list[Description]] = [{"session": []}, {"api_key": []}]
_OWN_BEARER: Final = {"/auth/v1/user", "/auth/v1/logout"}
_SIGN_IN: Final = "/auth/v1"
_SIGN_IN_CONSTANT: Final = {"/auth/v1/health", "/auth/v1/settings"}
_SUMMARY_END: Final = re.compile(r"[.;:](\s|$)")
_OF_BODIES: Final = (400, 413, 415, 422)
_JSON: Final = "application/json"
_CURSORS: Final = ("cursor", "before")
_CURSOR: Final = {
    "anyOf": [
        {"type": "string", "pattern": "^(AQ[A-L][A-Za-z0-9_-]{31})?$", "description": "A value of `X-Next-Cursor`."},
        {"type": "string", "format": "date-time"},
    ]
}


def description_route(handlers: Sequence[ControllerRouterHandler]) -> HTTPRouteHandler:
    """`GET /openapi.json` about `handlers`; worked out when somebody first asks."""

    @cache
    def text() -> bytes:
        return msgspec.json.encode(describe(handlers))

    @get("/openapi.json", permission=None, include_in_schema=False, sync_to_thread=True)
    def openapi_json() -> Response[bytes]:
        """The description, for tools and for the pages that show it."""
        return Response(text(), media_type="application/json")

    return openapi_json


def describe(handlers: Sequence[ControllerRouterHandler]) -> Description:
    """The whole description.

    An application of its own is made for it and never served: the framework would show its pages, which load scripts
    from elsewhere.
    """
    app = Litestar(
        route_handlers=handlers,
        dependencies={"actor": Provide(signed_in)},
        openapi_config=_config(),
        logging_config=None,
    )
    found: Description = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    described = list(_described(app, found))
    bodies = [kind for *_, handler in described for kind in bodies_of(handler)]
    answers = [kind for *_, handler in described for kind in answers_of(handler).values()]
    schemas = Schemas(bodies, [*answers, Problem, AuthProblem])
    for path, operation, handler in described:
        _complete(operation, path, handler, schemas)
    _complete_components(found["components"], schemas)
    return found


def _config() -> OpenAPIConfig:
    session = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="The access token of a person, from `/auth/v1/token` or from Supabase Auth.",
    )
    api_key = SecurityScheme(
        type="http", scheme="bearer", description="The key of a program, `wai_…`, made by `POST /admin/api-keys`."
    )
    return OpenAPIConfig(
        title="WhatsApp Inbox",
        version=version("whatsapp-inbox"),
        description="A team inbox for the WhatsApp Business Cloud API. Every failure is `application/problem+json` "
        "with one machine word as `detail`; `docs/operations.md` lists them. Below `/auth/v1` it has GoTrue's shape.",
        # Relative to where the description was read: right below any prefix.
        servers=[Server(url=".")],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
        components=Components(security_schemes={"session": session, "api_key": api_key}),
        operation_id_creator=_operation_id,
        use_handler_docstrings=True,
    )


def _described(app: Litestar, found: Description) -> Iterator[tuple[str, Description, HTTPRouteHandler]]:
    for route in app.routes:
        path = route.path_format or "/"
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods if isinstance(handler, HTTPRouteHandler) else ():
                operation = found["paths"].get(path, {}).get(method.lower())
                if operation is not None:
                    yield path, operation, handler


def _operation_id(handler: HTTPRouteHandler, *_: object) -> str:
    """The noun's file and the function: `conversations.switch_bot`."""
    return f"{handler.fn.__module__.rpartition('.')[2]}.{handler.handler_name}"


def _complete(operation: Description, path: str, handler: HTTPRouteHandler, schemas: Schemas) -> None:
    name: str = operation["operationId"]
    noun = name.partition(".")[0]
    permission = handler.opt.get("permission")
    text = operation.get("description") or operation["summary"]
    operation["summary"] = operation.get("summary") if handler.summary else _SUMMARY_END.split(text, maxsplit=1)[0]
    operation["tags"] = [TAG_OF.get(noun, noun)]
    operation["security"] = _BEARER if permission else _BEARER[:1] if path in _OWN_BEARER else []
    if permission:
        operation["x-permission"] = str(permission)
    _complete_parameters(operation)
    _complete_body(operation, handler, schemas)
    _complete_answers(operation, handler, schemas)
    _complete_failures(operation, path, is_ours=bool(permission))
    _add_examples(operation)


def _complete_parameters(operation: Description) -> None:
    name = operation["operationId"]
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        _complete_parameter(parameter)
        if (name, parameter["name"]) in REQUIRED_PARAMETERS:
            parameter["required"] = True
    if extra := EXTRA_PARAMETERS.get(name):
        operation["parameters"] = [*parameters, *extra]


def _complete_parameter(parameter: Description) -> None:
    """A parameter that may be left out is not a parameter that may be null; an id is a UUID."""
    schema = parameter["schema"]
    if "oneOf" in schema:
        kept = [kind for kind in schema["oneOf"] if kind != {"type": "null"}]
        schema = {**kept[0], **{name: value for name, value in schema.items() if name != "oneOf"}}
    if parameter["name"].endswith("_id"):
        schema = {**schema, "format": "uuid"}
    if parameter["name"] in _CURSORS and schema.get("type") == "string":
        schema = _CURSOR
    parameter["schema"] = schema


def _complete_body(operation: Description, handler: HTTPRouteHandler, schemas: Schemas) -> None:
    if field := handler.opt.get("file_field"):
        form = {
            "type": "object",
            "required": [field],
            "properties": {field: {"type": "string", "format": "binary"}},
            "additionalProperties": False,
        }
        examples = {"example": {"value": {field: "the bytes of the file"}}}
        content = {"multipart/form-data": {"schema": form, "examples": examples}}
        operation["requestBody"] = {"required": True, "content": content}
    if kinds := bodies_of(handler):
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas.body(kinds)}}}


def _complete_answers(operation: Description, handler: HTTPRouteHandler, schemas: Schemas) -> None:
    """What a route declares, with exact schemas; its failures become references to the common ones."""
    answers: Description = operation["responses"]
    kinds = answers_of(handler)
    for text in [text for text in answers if int(text) not in kinds]:
        # The framework announces a 400 of its own shape for every route with parameters.
        del answers[text]
    for status, kind in kinds.items():
        answer = answers[str(status)]
        if kind is Problem or kind is AuthProblem:
            answers[str(status)] = _failure(status, is_ours=kind is Problem)
            continue
        if status == handler.status_code and kind is not bytes:
            answer["description"] = "What was asked for." if "GET" in handler.http_methods else MEANINGS[status]
        answer["headers"] = {name: header(name) for name in _headers_of(operation, status)}
        if kind is NoneType or kind is None:
            answer.pop("content", None)
            continue
        for content in answer["content"].values():
            # Bytes of any type have no schema (OpenAPI 3.1).
            content["schema"] = {} if kind is bytes else schemas.answer(kind)


def _headers_of(operation: Description, status: int) -> Iterator[str]:
    yield "X-Request-ID"
    if any(parameter["name"] in _CURSORS for parameter in operation.get("parameters", ())):
        yield from ("X-Next-Cursor", "Link")
    if PREFER in operation.get("parameters", ()) and status < 400:  # noqa: PLR2004
        yield "Preference-Applied"
    if operation["operationId"] == "media.show_media" and status == 200:  # noqa: PLR2004
        yield "Content-Disposition"


def _complete_failures(operation: Description, path: str, *, is_ours: bool) -> None:
    """What the guard, the check of queries and bodies, and the database answer, without each route saying so."""
    has_body = "requestBody" in operation
    statuses: set[int] = set()
    if is_ours:
        statuses = {*SIGNED_IN, 422, *(_OF_BODIES if has_body else ())}
    elif path.startswith(_SIGN_IN) and path not in _SIGN_IN_CONSTANT:
        statuses = {500, 503, 504, *((400, 413, 422) if has_body else ())}
    for status in statuses:
        operation["responses"].setdefault(str(status), _failure(status, is_ours=is_ours))


def _failure(status: int, *, is_ours: bool) -> Description:
    return {"$ref": f"#/components/responses/{'Problem' if is_ours else 'SignIn'}{status}"}


def _complete_components(components: Description, schemas: Schemas) -> None:
    components["schemas"] = dict(schemas.components)
    components["schemas"]["Problem"]["examples"] = [problem_example(404), problem_example(422)]
    components["headers"] = dict(HEADERS)
    components["responses"] = failures()


def _add_examples(operation: Description) -> None:
    example = EXAMPLES.get(operation["operationId"])
    if example is None:
        return
    if example.request is not None:
        operation["requestBody"]["content"][_JSON]["examples"] = {"example": {"value": example.request}}
    for status, value in {200: example.answer, **example.others}.items():
        if value is not None:
            for content in operation["responses"][str(status)]["content"].values():
                content["examples"] = {"example": {"value": value}}
