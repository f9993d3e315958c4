"""What many operations of the description share: headers, failures with an example each, words."""

from collections.abc import Mapping
from typing import Any, Final

from inbox.entrypoints.http.problems import MEDIA_TYPE, TITLES

Part = dict[str, Any]

REQUEST_ID_EXAMPLE: Final = "9f2c1c8e6b5a4f0e"

HEADERS: Final[Mapping[str, Part]] = {
    "X-Request-ID": {
        "description": "The id of the request: the caller's own if it sent one, as in `request_id` of a failure.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
    },
    "X-Next-Cursor": {
        "description": "Leads to the next page, as `cursor` or `before`. Missing on the last page.",
        "schema": {"type": "string", "pattern": "^AQ[A-L][A-Za-z0-9_-]{31}$"},
    },
    "Link": {
        "description": 'The next page as a relative reference: `<?limit=50&cursor=…>; rel="next"`.',
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "`respond-async` if the request preferred not to wait.",
        "schema": {"type": "string", "const": "respond-async"},
    },
    "Retry-After": {
        "description": "Seconds after which another attempt makes sense.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Content-Disposition": {
        "description": "`inline` or `attachment`, with a name that is safe.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Sb-Error-Code": {
        "description": "The code of the failure, as in the body.",
        "required": True,
        "schema": {"type": "string"},
    },
}
"""Headers of answers, by name."""

IDEMPOTENCY_KEY: Final[Part] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again: the same answer, and nothing is sent twice. Kept for 24 hours.",
    "schema": {"type": "string", "maxLength": 200},
}
PREFER: Final[Part] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async`: answer 202 at once, without waiting for WhatsApp.",
    "schema": {"type": "string", "examples": ["respond-async"]},
}
SIGNATURE: Final[Part] = {
    "name": "X-Hub-Signature-256",
    "in": "header",
    "required": False,
    "description": "HMAC-SHA256 of the raw body with the app secret. 401 if it is missing or wrong.",
    "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
}
EXTRA_PARAMETERS: Final[Mapping[str, tuple[Part, ...]]] = {
    "messages.send": (IDEMPOTENCY_KEY, PREFER),
    "shortcuts.send_media": (IDEMPOTENCY_KEY, PREFER),
    "shortcuts.send_interactive": (IDEMPOTENCY_KEY, PREFER),
    "template_shortcuts.send_template": (IDEMPOTENCY_KEY, PREFER),
    "reactions.react": (IDEMPOTENCY_KEY, PREFER),
    "reactions.take_reaction_back": (IDEMPOTENCY_KEY, PREFER),
    "reactions.add_reaction": (IDEMPOTENCY_KEY, PREFER),
    "reactions.remove_reaction": (IDEMPOTENCY_KEY, PREFER),
    "webhook.receive": (SIGNATURE,),
}
"""Headers that a route reads itself."""

REQUIRED_PARAMETERS: Final = {
    ("conversations.list_conversations", "account_id"),
    ("sign_in.token", "grant_type"),
    ("uploads.upload", "account_id"),
    ("uploads.upload", "kind"),
}
"""Parameters whose absence the route itself answers."""

TAGS: Final[Mapping[str, str]] = {
    "session": "Who the caller is and what they may do.",
    "accounts": "WhatsApp numbers.",
    "conversations": "Threads with customers.",
    "messages": "What was said, files included.",
    "events": "What changes, as it changes.",
    "contacts": "The address book of all accounts.",
    "assistant": "What the assistant knows of an account.",
    "administration": "The team, its rights, API keys, the audit trail and the running service.",
    "sign-in": "Sign-in of local accounts, compatible with the subset of GoTrue that supabase-js needs.",
    "webhook": "What Meta calls.",
    "health": "Is it there.",
}
TAG_OF: Final[Mapping[str, str]] = {
    "auth": "session",
    "media": "messages",
    "reactions": "messages",
    "decisions": "messages",
    "deliveries": "administration",
    "shortcuts": "messages",
    "scheduled": "messages",
    "bot_profiles": "assistant",
    "conversation_bot": "conversations",
    "copilot": "conversations",
    "knowledge": "assistant",
    "admin": "administration",
    "admin_monitoring": "administration",
    "admin_paces": "administration",
    "api_keys": "administration",
    "audit": "administration",
    "invitations": "administration",
    "notices": "accounts",
    "sign_in": "sign-in",
    "uploads": "messages",
    "templates": "accounts",
    "template_shortcuts": "messages",
    "monitoring": "health",
    "presence": "conversations",
}
"""By the file of the route, where it is not called like its tag."""

MEANINGS: Final[Mapping[int, str]] = {
    200: "Done.",
    202: "Stored and on its way.",
    204: "Done; there is no body.",
    400: "Cannot be carried out; `detail` says why.",
    401: "No token, or one that is not accepted.",
    403: "The right is missing, or the person is disabled.",
    404: "There is no such object, or none that the caller may know of.",
    408: "The body did not come in time.",
    409: "Contradicts what is stored.",
    410: "The file is gone.",
    413: "The body or the file is too large.",
    415: "The body is not declared as what the call takes, mostly JSON.",
    416: "The file has no such part.",
    422: "A value is not accepted; `errors` says where.",
    429: "Too many attempts.",
    500: "A fault or a missing setting of the service.",
    502: "A service that this one needs gave no usable answer.",
    503: "Not available for now.",
    504: "A service that this one needs did not answer in time.",
}
_CODES: Final[Mapping[int, str]] = {
    400: "invalid_payload",
    401: "missing_token",
    403: "permission_denied",
    404: "conversation_not_found",
    408: "request_timeout",
    409: "slug_taken",
    410: "media_not_found",
    413: "payload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "validation_error",
    429: "rate_limited",
    500: "internal_error",
    502: "whatsapp_api_error",
    503: "database_unavailable",
    504: "database_timeout",
}
_WHERE: Final = [{"path": "body.custom_fields[0].label", "message": "at most 120 characters"}]
_SIGN_IN_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_credentials", "Invalid login credentials"),
    401: ("no_authorization", "This endpoint requires a valid Bearer token"),
    403: ("bad_jwt", "The token is not accepted"),
    413: ("request_entity_too_large", "Request body is too large"),
    422: ("weak_password", "The password is too easy to guess"),
    429: ("over_request_rate_limit", "Request rate limit reached"),
    500: ("unexpected_failure", "Unexpected failure"),
    503: ("unexpected_failure", "The service is not available"),
    504: ("request_timeout", "The request took too long"),
}


def problem_example(status: int) -> Part:
    """A failure as the body of an answer."""
    example = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": _CODES[status],
        "request_id": REQUEST_ID_EXAMPLE,
    }
    return {**example, "errors": _WHERE} if status == 422 else example  # noqa: PLR2004


def failures() -> dict[str, Part]:
    """The component answers: `Problem404` of the API, `SignIn401` of sign-in."""
    return {f"Problem{status}": _problem(status) for status in _CODES} | {
        f"SignIn{status}": _sign_in_failure(status) for status in _SIGN_IN_CODES
    }


def header(name: str) -> Part:
    """A reference to one of `HEADERS`."""
    return {"$ref": f"#/components/headers/{name}"}


def _problem(status: int) -> Part:
    names = ("X-Request-ID", "Retry-After") if status in (429, 503) else ("X-Request-ID",)
    return {
        "description": MEANINGS[status],
        "headers": {name: header(name) for name in names},
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {"example": {"value": problem_example(status)}},
            }
        },
    }


def _sign_in_failure(status: int) -> Part:
    code, message = _SIGN_IN_CODES[status]
    names = ("X-Request-ID", "X-Sb-Error-Code", *(["Retry-After"] if status == 429 else []))  # noqa: PLR2004
    examples = {
        "older": {"value": {"code": status, "error_code": code, "msg": message}},
        "newer": {"value": {"code": code, "message": message}},
    }
    return {
        "description": MEANINGS[status],
        "headers": {name: header(name) for name in names},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AuthProblem"}, "examples": examples}},
    }
