"""What every request of a signed-in caller must be before its route sees it: readable, of the declared shape, storable.

The framework's own reading is lenient: it takes JSON under any content type, turns "yes" into true and stops at the
first wrong field without saying where. So a body is checked here, strictly, and read by the framework afterwards.
"""

import re
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from inbox.domain.errors import Invalid, InvalidJson
from inbox.kit.json_depth import depth_exceeds

S = TypeVar("S", bound=msgspec.Struct)

_WHERE: Final = re.compile(r"(?P<what>.*) - at `\$(?P<path>[^`]*)`", re.DOTALL)
_FIELD: Final = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,100}")
_MESSAGES: Final = (
    (re.compile(r"Object contains unknown field .*", re.DOTALL), "unknown field"),
    (re.compile(r"Object missing required field .*", re.DOTALL), "required"),
    (re.compile(r"Expected `str` of length <= (\d+)"), r"at most \1 characters"),
    (re.compile(r"Expected `str` of length >= (\d+)"), r"at least \1 characters"),
    (re.compile(r"Expected `array` of length <= (\d+)"), r"at most \1 items"),
    (re.compile(r"Expected `str` matching regex .*", re.DOTALL), "not of the form that is expected here"),
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), "not one of the allowed words"),
)
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


async def check(request: Request[Any, Any, Any]) -> None:
    """A `before_request` hook.

    Raises 415 for another type than JSON, `InvalidJson` (400) for JSON that is nested too deep, and `Invalid` (422)
    with the path of what is wrong: no JSON, an unknown, missing or mistyped field, a character that cannot be stored.
    """
    handler = request.route_handler
    if handler.opt.get("permission") is None:
        return
    given = list(request.query_params.multi_items())
    for place, (name, value) in enumerate(given):
        if any(name == other for other, _ in given[:place]):
            raise Invalid(_path("query", f".{name}"), "given more than once")
        # An id that is none is answered like one that names nothing, whatever is wrong with it.
        if name != "account_id" and _UNSTORABLE.search(value):
            raise Invalid(_path("query", f".{name}"), "NUL cannot be stored")
    declared = handler.parsed_data_field
    if declared is not None:
        await read(request, declared.annotation)


async def read(request: Request[Any, Any, Any], shape: type[S]) -> S:
    """The body. For routes with shapes that the framework cannot make; raises what `check` raises."""
    body = await request.body()
    if not body:
        raise Invalid("body", "required")
    if request.content_type[0] != "application/json":
        raise HTTPException(status_code=415)
    if depth_exceeds(body):
        raise InvalidJson("The body is nested too deep.")
    try:
        found = msgspec.json.decode(body, type=shape)
        text = body.decode()
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Invalid("body", "not readable as JSON in UTF-8") from None
    if "\\u0000" in text:  # an escaped one is the only NUL that JSON can hold
        _refuse_nul(await request.json(), "")
    return found


def _explained(message: str) -> Invalid:
    """What msgspec found, as path and words, without a value that was sent."""
    match = _WHERE.fullmatch(message)
    what, path = (match["what"], match["path"]) if match else (message, "")
    if field := _FIELD.fullmatch(what):
        path += f".{field['name']}"
    for pattern, words in _MESSAGES:
        if found := pattern.fullmatch(what):
            return Invalid(_path("body", path), found.expand(words))
    return Invalid(_path("body", path), what.replace("`", "").replace("Expected", "expected"))


def _refuse_nul(value: object, path: str) -> None:
    if isinstance(value, str) and "\0" in value:
        raise Invalid(_path("body", path), "NUL cannot be stored")
    if isinstance(value, list):
        for place, item in enumerate(value):
            _refuse_nul(item, f"{path}[{place}]")
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_nul(name, path)
            _refuse_nul(item, f"{path}.{name}")


def _path(source: str, path: str) -> str:
    """Names that a client made up are shown only if they are short and harmless."""
    return f"{source}{path}" if not path or _PLAIN.fullmatch(path) else source
