"""Graph API errors: codes, titles, HTTP status and the two envelopes, synchronous and in a failed status.

Source: Meta's Cloud API error page (codes, titles, HTTP column of December 2025) and Graph API error handling.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

ERROR_PAGE: Final = "/documentation/business-messaging/whatsapp/support/error-codes"


class _Known(NamedTuple):
    status: int
    title: str
    details: str = ""


_KNOWN: Final[Mapping[int, _Known]] = MappingProxyType(
    {
        0: _Known(401, "AuthException", "We were unable to authenticate the app user."),
        1: _Known(400, "API Unknown"),
        2: _Known(503, "API Service"),
        3: _Known(500, "API Method"),
        4: _Known(400, "Application request limit reached"),
        10: _Known(403, "Application does not have permission for this action"),
        33: _Known(400, "Parameter value is not valid"),
        100: _Known(400, "Invalid parameter"),
        104: _Known(400, "An access token is required to request this resource."),
        190: _Known(401, "Invalid OAuth access token - Cannot parse access token"),
        200: _Known(403, "You do not have the necessary permissions for this action"),
        368: _Known(403, "Temporarily blocked for policies violations"),
        803: _Known(404, "Some of the aliases you requested do not exist"),
        2500: _Known(400, "Unknown path components"),
        80007: _Known(400, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
        130403: _Known(
            400,
            "Business has blocked the user",
            "Unable to deliver the message. This business has blocked the end user on WhatsApp",
        ),
        130429: _Known(400, "Rate limit hit", "Cloud API message throughput has been reached."),
        130472: _Known(
            400,
            "User's number is part of an experiment",
            "Failed to send message because this user's phone number is part of an experiment",
        ),
        130497: _Known(403, "Business account is restricted from messaging users in this country."),
        131000: _Known(500, "Something went wrong", "Message failed to send due to an unknown error."),
        131005: _Known(403, "Access denied"),
        131008: _Known(400, "Required parameter is missing"),
        131009: _Known(400, "Parameter value is not valid"),
        131016: _Known(500, "Service unavailable", "A service is temporarily unavailable."),
        131021: _Known(400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
        131026: _Known(400, "Message undeliverable", "Message Undeliverable."),
        131030: _Known(
            400,
            "Recipient phone number not in allowed list",
            "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.",
        ),
        131031: _Known(403, "Account has been locked", "Business Account has been locked."),
        131042: _Known(
            400,
            "Business eligibility payment issue",
            "Message failed to send because there were one or more errors related to your payment method.",
        ),
        131045: _Known(500, "Incorrect certificate"),
        131047: _Known(
            400,
            "Re-engagement message",
            "Message failed to send because more than 24 hours have passed "
            "since the customer last replied to this number.",
        ),
        131048: _Known(
            400,
            "Spam rate limit hit",
            "Message failed to send because there are restrictions on how many messages can be sent from this number.",
        ),
        131049: _Known(
            400,
            "This message was not delivered to maintain healthy ecosystem engagement.",
            "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
        ),
        131050: _Known(
            400,
            "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp "
            "from your business",
        ),
        131051: _Known(400, "Unsupported message type", "Message type is not currently supported"),
        131052: _Known(400, "Media download error"),
        131053: _Known(400, "Media upload error", "Media upload error"),
        131056: _Known(
            400,
            "(Business Account, Consumer Account) pair rate limit hit",
            "Message failed to send because there were too many messages sent from this phone number to the same phone "
            "number in a short period of time.",
        ),
        131057: _Known(500, "Business Account is in maintenance mode"),
        131062: _Known(400, "Business-scoped user ids are not supported for this message"),
        132000: _Known(400, "Number of parameters does not match the expected number of params"),
        132001: _Known(404, "Template name does not exist in the translation"),
        132005: _Known(400, "Translated text too long"),
        132007: _Known(400, "Template format character policy violated"),
        132012: _Known(400, "Parameter format does not match format in the created template"),
        132015: _Known(
            400,
            "Template is paused",
            "Template is paused due to low quality so it cannot be sent in a template message.",
        ),
        132016: _Known(
            400,
            "Template is disabled",
            "Template has been paused too many times due to low quality and is now permanently disabled.",
        ),
        132018: _Known(400, "There was an error validating the template parameters"),
        133010: _Known(400, "Phone number not registered"),
        133016: _Known(400, "Registration attempts exceeded"),
        135000: _Known(400, "Generic user error"),
        137000: _Known(400, "Customer identity has changed", "The recipient identity key hash does not match."),
    }
)
_NO_PREFIX: Final = frozenset({104, 190, 2500})


class GraphError(Exception):
    """A refusal that goes out as the synchronous error envelope. `details` goes into `error_data`, as Meta's do."""

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        message: str = "",
        status: int | None = None,
        subcode: int | None = None,
        user_title: str = "",
        user_message: str = "",
    ) -> None:
        known = _KNOWN.get(code, _Known(400, "Unknown error"))
        self.code = code
        self.subcode = subcode
        self.status = known.status if status is None else status
        self.message = message or (known.title if code in _NO_PREFIX else f"(#{code}) {known.title}")
        self.details = details or known.details
        self.user_title = user_title
        self.user_message = user_message
        super().__init__(f"{self.status} {self.message} {self.details}")

    def envelope(self, trace: str) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": self.message,
            "type": "GraphMethodException" if self.subcode == UNKNOWN_OBJECT else "OAuthException",
            "code": self.code,
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.user_title:
            error["is_transient"] = False
            error["error_user_title"] = self.user_title
            error["error_user_msg"] = self.user_message
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        error["fbtrace_id"] = trace
        return {"error": error}


UNKNOWN_OBJECT: Final = 33
TOKEN_EXPIRED: Final = 463


def parameter_required(name: str) -> GraphError:
    return GraphError(100, message=f"(#100) The parameter {name} is required.")


def unknown_object(method: str, node: str) -> GraphError:
    """An object that is not there or that the token cannot see: Meta does not say which."""
    return GraphError(
        100,
        message=f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due "
        "to missing permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        subcode=UNKNOWN_OBJECT,
    )


def unknown_alias(node: str) -> GraphError:
    return GraphError(803, message=f"(#803) Some of the aliases you requested do not exist: {node}")


def unknown_path(rest: str) -> GraphError:
    return GraphError(2500, message=f"Unknown path components: /{rest}")


def status_error(code: int, details: str = "") -> dict[str, Any]:
    """The element of `errors[]` in a failed status."""
    known = _KNOWN.get(code, _Known(400, "Something went wrong"))
    return {
        "code": code,
        "title": known.title,
        "message": known.title,
        "error_data": {"details": details or known.details or known.title},
        "href": ERROR_PAGE,
    }
