"""What a send call must look like before anything is accepted (facts 3.1, 3.3 and 3.4: Meta's messages reference)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.checks import Json
from inbox.emulators.graph_api.errors import GraphError, parameter_required
from inbox.emulators.graph_api.interactive import check_interactive
from inbox.emulators.graph_api.media import MediaKind, check_reference
from inbox.emulators.graph_api.objects import Number
from inbox.emulators.graph_api.state import World

MAX_TEXT: Final = 4096
MAX_CAPTION: Final = 1024
MAX_OPAQUE: Final = 512
MAX_CONTACTS: Final = 257
MAX_EMOJI: Final = 32  # one emoji with its joiners and modifiers; a bound, not Meta's
_COMMON: Final = frozenset(
    {
        "messaging_product",
        "recipient_type",
        "to",
        "recipient",
        "type",
        "context",
        "biz_opaque_callback_data",
        "recipient_identity_key_hash",
        "messaging_account_id",
        "message_activity_sharing",
    }
)


class Sending:
    """The number that sends and the world it lives in: what checks look things up in."""

    __slots__ = ("number", "world")

    def __init__(self, world: World, number: Number) -> None:
        self.world = world
        self.number = number


def check_message(message: Json, sending: Sending) -> str:
    """Raise GraphError for the first fault found; return the type. The recipient is checked elsewhere."""
    if message.get("recipient_type", "individual") not in {"individual", "group"}:
        raise checks.invalid("recipient_type", "must be individual or group.")
    kind = message.get("type", "text")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise GraphError(131051)
    for key in message:
        if key not in _COMMON and key != kind:
            raise GraphError(100, f'Unexpected key "{key}" for a message of type {kind}.')
    _check_context(message, kind)
    checks.optional_text(message, "biz_opaque_callback_data", "biz_opaque_callback_data", most=MAX_OPAQUE)
    if message.get(kind) is None:
        raise GraphError(131008, f"Parameter of type {kind} is missing {kind} value")
    _CHECKS[kind](message, sending)
    return kind


def _check_context(message: Json, kind: str) -> None:
    if message.get("context") is None:
        return
    context = checks.obj(message, "context", "context")
    checks.text(context, "message_id", "context['message_id']", most=512)
    if kind == "reaction":
        raise checks.invalid("context", "cannot be used with a reaction.")


def _text(message: Json, _: Sending) -> None:
    content = checks.obj(message, "text", "text")
    checks.known_keys(content, {"body", "preview_url"}, "text")
    checks.text(content, "body", "text['body']", most=MAX_TEXT)
    if not isinstance(content.get("preview_url", False), bool):
        raise checks.invalid("text['preview_url']", "must be a boolean.")


def _media(kind: MediaKind, *extra: str) -> Callable[[Json, Sending], None]:
    allowed = {"id", "link", "provider", *extra}

    def check(message: Json, sending: Sending) -> None:
        content = checks.obj(message, kind, kind)
        checks.known_keys(content, allowed, kind)
        check_reference(content, kind, sending.world, sending.number)
        checks.optional_text(content, "caption", f"{kind}['caption']", most=MAX_CAPTION)
        checks.optional_text(content, "filename", f"{kind}['filename']", most=MAX_CAPTION)

    return check


def _location(message: Json, _: Sending) -> None:
    content = checks.obj(message, "location", "location")
    checks.known_keys(content, {"latitude", "longitude", "name", "address"}, "location")
    checks.number(content, "latitude", "location['latitude']", bound=90)
    checks.number(content, "longitude", "location['longitude']", bound=180)
    for key in ("name", "address"):
        checks.optional_text(content, key, f"location['{key}']", most=1000)


def _contacts(message: Json, _: Sending) -> None:
    for position, contact in enumerate(checks.objects(message, "contacts", "contacts", most=MAX_CONTACTS)):
        name = checks.obj(contact, "name", f"contacts[{position}]['name']")
        checks.text(name, "formatted_name", f"contacts[{position}]['name']['formatted_name']", most=1000)
        parts = ("first_name", "last_name", "middle_name", "suffix", "prefix")
        if not any(name.get(part) for part in parts):
            raise checks.missing(f"contacts[{position}]['name']['first_name']")


def _reaction(message: Json, _: Sending) -> None:
    content = checks.obj(message, "reaction", "reaction")
    checks.known_keys(content, {"message_id", "emoji"}, "reaction")
    checks.text(content, "message_id", "reaction['message_id']", most=512)
    if "emoji" not in content:
        raise checks.missing("reaction['emoji']")
    checks.optional_text(content, "emoji", "reaction['emoji']", most=MAX_EMOJI)


def _interactive(message: Json, sending: Sending) -> None:
    content = checks.obj(message, "interactive", "interactive")
    check_interactive(content, lambda part, kind: check_reference(part, kind, sending.world, sending.number))


def _template(message: Json, _: Sending) -> None:
    content = checks.obj(message, "template", "template")
    checks.text(content, "name", "template['name']", most=512)
    language = checks.obj(content, "language", "template['language']")
    checks.text(language, "code", "template['language']['code']", most=32)
    if content.get("components") is not None:
        checks.objects(content, "components", "template['components']", least=0, most=20)


def _pin(message: Json, _: Sending) -> None:
    content = checks.obj(message, "pin", "pin")
    checks.one_of(content.get("type"), {"pin", "unpin"}, "pin['type']")
    checks.text(content, "message_id", "pin['message_id']", most=512)
    if message.get("recipient_type") != "group":
        raise checks.invalid("recipient_type", "must be group for a message of type pin.")


_CHECKS: Final[Mapping[str, Callable[[Json, Sending], None]]] = MappingProxyType(
    {
        "text": _text,
        "image": _media(MediaKind.IMAGE, "caption"),
        "video": _media(MediaKind.VIDEO, "caption"),
        "audio": _media(MediaKind.AUDIO, "voice"),
        "document": _media(MediaKind.DOCUMENT, "caption", "filename"),
        "sticker": _media(MediaKind.STICKER),
        "location": _location,
        "contacts": _contacts,
        "reaction": _reaction,
        "interactive": _interactive,
        "template": _template,
        "pin": _pin,
    }
)


def recipient(message: Json, number: Number, *, user_ids: bool) -> tuple[str, str]:
    """(digits or group id, BSUID) as given in `to` and `recipient`; raises GraphError if nobody is named."""
    given, user_id = message.get("to"), message.get("recipient", "")
    if user_id and not user_ids:
        raise GraphError(100, f'Unexpected key "recipient" for a message of type {message.get("type", "text")}.')
    if not isinstance(user_id, str):
        raise checks.invalid("recipient", "must be a string.")
    if given is None and user_id:
        return "", user_id
    if given is None or given == "":
        raise parameter_required("to")
    if not isinstance(given, str):
        raise GraphError(100, message="(#100) Param to must be a string.")
    if message.get("recipient_type") == "group":
        return given, user_id
    return normalise(given, number.country_code), user_id


def normalise(given: str, country_code: str) -> str:
    """A phone number as dialled to digits: separators go, the business's country code comes when there is no `+`."""
    digits = given.translate(_SEPARATORS)
    if digits.startswith("+"):
        digits = digits[1:]
    elif not digits.startswith(country_code) and len(digits) <= _NATIONAL:
        digits = country_code + digits
    if (
        not (digits.isascii() and digits.isdigit())
        or digits.startswith("0")
        or not _SHORTEST <= len(digits) <= _LONGEST
    ):
        raise GraphError(100, message="(#100) Param to must be a phone number with its country code.")
    return digits


_SEPARATORS: Final = str.maketrans("", "", "- ()")
_NATIONAL: Final = 10
_SHORTEST: Final = 7
_LONGEST: Final = 15  # E.164
