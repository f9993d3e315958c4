"""Message templates: the catalogue of a WABA (facts 5: Meta's template reference)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.calls import Answer, Call, success
from inbox.emulators.graph_api.errors import GraphError, parameter_required
from inbox.emulators.graph_api.objects import Template, TemplateState, Waba
from inbox.emulators.graph_api.state import World

MAX_PER_WABA: Final = 6000
MAX_PAGE: Final = 1000
MAX_BULK_DELETE: Final = 100
CATEGORIES: Final = ("MARKETING", "UTILITY", "AUTHENTICATION")
_COMPONENTS: Final = (
    "HEADER",
    "BODY",
    "FOOTER",
    "BUTTONS",
    "CAROUSEL",
    "LIMITED_TIME_OFFER",
)
_FORMATS: Final = ("TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION")
_LIMITS: Final = MappingProxyType({"HEADER": 60, "BODY": 1024, "FOOTER": 60})
MAX_BUTTONS: Final = 10
_NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
_VARIABLE: Final = re.compile(r"\{\{\s*([^{}\s]*)\s*\}\}")
_NAMED: Final = re.compile(r"[a-z][a-z0-9_]*")
_WORDS_PER_VARIABLE: Final = 2

Review = Callable[[Template], None]


def variables(text: str) -> list[str]:
    """The distinct variables of a template text in the order of their first use."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def listing(waba: Waba, call: Call) -> Answer:
    """`GET /{waba}/message_templates` with filters, `fields` and cursor paging; no `paging` when nothing is found."""
    chosen = [template for template in waba.templates.values() if _matches(template, call.query)]
    start = _position(call.query.get("after"))
    limit = _limit(call.query.get("limit", "25"))
    page = chosen[start : start + limit]
    if not page:
        return Answer({"data": []})
    wanted = [field for field in call.query.get("fields", "").split(",") if field]
    after = _cursor(start + len(page))
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": after}}
    if start + len(page) < len(chosen):
        query = {key: value for key, value in call.query.items() if key not in {"after", "access_token"}}
        version = f"/{call.version}" if call.version else ""
        paging["next"] = f"{call.base_url}{version}/{call.path}?{urlencode({**query, 'after': after})}"
    return Answer({"data": [_fields(template, wanted) for template in page], "paging": paging})


def create(world: World, waba: Waba, call: Call, review: Review) -> Answer:
    """`POST /{waba}/message_templates`: PENDING at first; `review` decides later."""
    given = call.parameters()
    name = given.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise GraphError(100, "Param name must be 1 to 512 characters of a-z, 0-9 and _.")
    language = checks.text(given, "language", "language", most=32)
    category = checks.one_of(given.get("category"), CATEGORIES, "category")
    form = checks.one_of(
        given.get("parameter_format", "POSITIONAL").upper(), ("POSITIONAL", "NAMED"), "parameter_format"
    )
    components = _components(given, named=form == "NAMED")
    if (name, language) in waba.templates:
        raise rule_broken(
            2388024,
            "Content in This Language Already Exists",
            f"There is already {language} content for this template. You can create a new template and try again.",
        )
    if len(waba.templates) >= MAX_PER_WABA:
        raise rule_broken(
            2388019,
            "Message Template Limit Exceeded",
            "You have exceeded the maximum number of message templates for this WhatsApp business account.",
        )
    template = world.add_template(
        Template(
            id=world.ids.decimal("8"),
            waba_id=waba.id,
            name=name,
            language=language,
            category=category,
            components=components,
            parameter_format=form,
        )
    )
    review(template)
    return Answer({"id": template.id, "status": TemplateState.PENDING.value, "category": category})


def edit(template: Template, call: Call, review: Review) -> Answer:
    """`POST /{template}`: new components or category, then review again."""
    if template.status not in {TemplateState.APPROVED, TemplateState.REJECTED, TemplateState.PAUSED}:
        raise rule_broken(
            2388039, "Template cannot be edited", "Only approved, rejected or paused templates can be edited."
        )
    given = call.parameters()
    if "components" in given:
        template.components = _components(given, named=template.parameter_format == "NAMED")
    if "category" in given:
        template.category = checks.one_of(given["category"], CATEGORIES, "category")
    template.status = TemplateState.PENDING
    review(template)
    return success()


def delete(world: World, waba: Waba, call: Call) -> Answer:
    """By `name` (every language), by `hsm_id` and `name`, or by up to 100 `hsm_ids`."""
    given = call.parameters()
    doomed = list(_doomed(waba, given))
    if not doomed:
        raise GraphError(100, "Template does not exist.", subcode=2593002)
    for template in doomed:
        world.remove_template(template)
    return success()


def _doomed(waba: Waba, given: dict[str, Any]) -> list[Template]:
    ids = given.get("hsm_ids")
    if isinstance(ids, str):
        try:
            ids = msgspec.json.decode(ids)
        except msgspec.DecodeError:
            raise GraphError(100, "Param hsm_ids must be an array.") from None
    if ids is not None:
        if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_BULK_DELETE:
            raise GraphError(100, f"Param hsm_ids must be an array of 1 to {MAX_BULK_DELETE} ids.")
        return [template for template in waba.templates.values() if template.id in {str(one) for one in ids}]
    name, hsm_id = given.get("name"), given.get("hsm_id")
    if not name:
        raise parameter_required("name")
    named = [template for template in waba.templates.values() if template.name == name]
    return named if hsm_id is None else [template for template in named if template.id == str(hsm_id)]


def _components(given: dict[str, Any], *, named: bool) -> list[dict[str, Any]]:
    raw = given.get("components")
    if isinstance(raw, str):  # form fields carry JSON as text
        try:
            raw = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise GraphError(100, "Param components must be an array.") from None
    components = checks.objects({"components": raw}, "components", "components", most=10)
    cleaned = [_component(part, f"components[{place}]", named=named) for place, part in enumerate(components)]
    if not any(part["type"] == "BODY" for part in cleaned):
        raise checks.missing("components['BODY']")
    return cleaned


def _component(part: dict[str, Any], name: str, *, named: bool) -> dict[str, Any]:
    kind = checks.one_of(str(part.get("type", "")).upper(), _COMPONENTS, f"{name}['type']")
    cleaned = {**part, "type": kind}
    if kind == "HEADER":
        cleaned["format"] = checks.one_of(str(part.get("format", "")).upper(), _FORMATS, f"{name}['format']")
    if kind == "BUTTONS":
        buttons = checks.objects(part, "buttons", f"{name}['buttons']", most=MAX_BUTTONS)
        cleaned["buttons"] = [{**button, "type": str(button.get("type", "")).upper()} for button in buttons]
    has_text = kind in {"BODY", "FOOTER"} or cleaned.get("format") == "TEXT"
    # The body of an authentication template is Meta's own; it comes without a text.
    if has_text and not (kind != "HEADER" and "text" not in part and _is_preset(part)):
        written = checks.text(part, "text", f"{name}['text']", most=_LIMITS[kind])
        _check_variables(written, kind, named=named)
    return cleaned


def _is_preset(part: dict[str, Any]) -> bool:
    return "add_security_recommendation" in part or "code_expiration_minutes" in part


def _check_variables(text: str, kind: str, *, named: bool) -> None:
    found = variables(text)
    if not found:
        return
    if kind == "FOOTER" or (kind == "HEADER" and len(found) > 1):
        raise rule_broken(2388073, "Invalid parameters", f"A {kind} has too many variables.")
    fits = all(_NAMED.fullmatch(one) for one in found) if named else found == [str(n + 1) for n in range(len(found))]
    if not fits:
        raise rule_broken(2388073, "Invalid parameters", "Variables must be named, or numbered from 1 without a gap.")
    if kind != "BODY":
        return
    stripped = text.strip()
    if stripped.startswith("{{") or stripped.endswith("}}"):
        raise rule_broken(
            2388299,
            "Leading or trailing parameters not allowed",
            "Variables cannot be at the start or end of the template.",
        )
    words = len(_VARIABLE.sub(" ", text).split())
    if re.search(r"\}\}\s*\{\{", text) or words < _WORDS_PER_VARIABLE * len(found):
        raise rule_broken(
            2388293,
            "Parameters words ratio exceeds limit",
            "This template has too many variables for its length. Reduce their number or make the message longer.",
        )


def rule_broken(subcode: int, title: str, text: str) -> GraphError:
    """A template rule: code 100, the subcode says which; the text is meant for the user."""
    return GraphError(100, message="Invalid parameter", subcode=subcode, user_title=title, user_message=text)


def _matches(template: Template, query: dict[str, str]) -> bool:
    exact = {"language": template.language, "category": template.category, "status": template.status.value}
    if any(query.get(key, value) != value for key, value in exact.items()):
        return False
    content = " ".join(str(part.get("text", "")) for part in template.components)
    either = f"{template.name} {content}"
    searched = {"name": template.name, "content": content, "name_or_content": either}
    return all(query.get(key, "").lower() in value.lower() for key, value in searched.items())


def _fields(template: Template, wanted: list[str]) -> dict[str, Any]:
    whole = template.describe()
    if not wanted:
        return whole
    whole |= {
        "quality_score": {"score": "UNKNOWN"},
        "rejected_reason": template.rejected_reason,
    }
    return {**{field: whole[field] for field in wanted if field in whole}, "id": template.id}


def _limit(given: str) -> int:
    if not given.isdigit() or not 1 <= int(given) <= MAX_PAGE:
        raise GraphError(100, f"Param limit must be between 1 and {MAX_PAGE}.")
    return int(given)


def _cursor(position: int) -> str:
    return urlsafe_b64encode(f"at:{position}".encode()).decode()


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(urlsafe_b64decode(cursor).removeprefix(b"at:"))
    except (NotBase64, ValueError):
        raise GraphError(100, "Invalid cursors values provided.") from None
