"""Every failure the service can name.

An error is a fact. Its `kind` decides what each boundary makes of it: `entrypoints/http/problems.py` turns it into a
status, `entrypoints/worker.py` into retry, quarantine or pause. Its `code` is the machine word of the REST contract.
Messages are written for people and never hold a secret, a phone number or a text of a customer.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What sort of failure it is; the key of the two boundary tables."""

    MALFORMED = "malformed"
    REFUSED = "refused"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"
    GONE = "gone"
    THROTTLED = "throttled"
    MISCONFIGURED = "misconfigured"
    UPSTREAM = "upstream"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    UNCERTAIN = "uncertain"


class InboxError(Exception):
    """Base of all failures of ours. Anything else that is raised is a bug."""

    kind: ClassVar[Kind]
    code: ClassVar[str]
    message: ClassVar[str] = ""
    graph_code: int | None = None
    """WhatsApp's code, if it says more than `code`."""
    case: str | None = None
    """A key of `failure_cases`, if this case of `code` has a text of its own."""
    words: str = ""
    """What follows that text in parentheses: what WhatsApp says, what a file is. It may quote the request."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        """`retry_after` is in seconds, when the one who failed named a time."""
        super().__init__(message or self.message or self.code)
        self.retry_after = retry_after
        self.row_id: str | None = None
        """The stored row that the failure is about, where the contract shows it."""


# --- the caller -------------------------------------------------------------------------------------------------------


class Invalid(InboxError):
    """The request does not have the shape that its route declares."""

    kind = Kind.MALFORMED
    code = "validation_error"

    def __init__(self, path: str, message: str, *, case: str | None = None) -> None:
        """`path` names the value, like `body.custom_fields[0].label`."""
        super().__init__(f"{path}: {message}")
        self.case = case
        self.errors = [{"path": path, "message": message}]


class MissingToken(InboxError):
    kind = Kind.UNAUTHENTICATED
    code = "missing_token"


class InvalidToken(InboxError):
    kind = Kind.UNAUTHENTICATED
    code = "invalid_token"


class UserDisabled(InboxError):
    kind = Kind.FORBIDDEN
    code = "user_disabled"


class PermissionDenied(InboxError):
    kind = Kind.FORBIDDEN
    code = "permission_denied"


class NoAccountAccess(InboxError):
    kind = Kind.FORBIDDEN
    code = "no_account_access"


class AccountNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "account_not_found"


class ConversationNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "conversation_not_found"


class MessageNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "message_not_found"


class UserNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "user_not_found"


class RoleNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "role_not_found"


class ContactNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "contact_not_found"


class ApiKeyNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "api_key_not_found"


class CircuitBreakerNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "circuit_breaker_not_found"


class SlugTaken(InboxError):
    kind = Kind.CONFLICT
    code = "slug_taken"


class PhoneNumberIdTaken(InboxError):
    kind = Kind.CONFLICT
    code = "phone_number_id_taken"


class WhatsAppNumberTaken(InboxError):
    kind = Kind.CONFLICT
    code = "whatsapp_number_taken"
    message = "Another contact has this number already."


class ContactInUse(InboxError):
    kind = Kind.CONFLICT
    code = "contact_in_use"
    message = "The contact has conversations; they are kept, and so is the contact."


class EmailTaken(InboxError):
    kind = Kind.CONFLICT
    code = "email_taken"
    message = "Somebody with this address exists already. A new link to set the password can be made for them."


class LastAdmin(InboxError):
    """At least one active person must be able to administer (permission contract)."""

    kind = Kind.CONFLICT
    code = "last_admin"
    message = "Nobody would be left who may administer. Make somebody else an administrator first."


class CannotDeleteAdminRole(InboxError):
    kind = Kind.REFUSED
    code = "cannot_delete_admin_role"


class IsActiveRequired(InboxError):
    kind = Kind.REFUSED
    code = "is_active_required"


class InvalidReplyMode(InboxError):
    """A later front end names who answers; here it is the language model or nobody."""

    kind = Kind.REFUSED
    code = "invalid_reply_mode"


class RateLimited(InboxError):
    kind = Kind.THROTTLED
    code = "rate_limited"


# --- webhooks ---------------------------------------------------------------------------------------------------------


class MissingSignature(InboxError):
    kind = Kind.UNAUTHENTICATED
    code = "missing_signature"


class InvalidSignature(InboxError):
    kind = Kind.UNAUTHENTICATED
    code = "invalid_signature"


class SignatureNotConfigured(InboxError):
    kind = Kind.MISCONFIGURED
    code = "webhook_signature_not_configured"


class VerificationFailed(InboxError):
    kind = Kind.FORBIDDEN
    code = "webhook_verification_failed"


class InvalidJson(InboxError):
    kind = Kind.REFUSED
    code = "invalid_json"


class PayloadTooLarge(InboxError):
    kind = Kind.TOO_LARGE
    code = "payload_too_large"


class Undecodable(InboxError):
    """A stored delivery that cannot be read as a whole; it is kept and shown."""

    kind = Kind.MALFORMED
    code = "undecodable"


# --- sending ----------------------------------------------------------------------------------------------------------


class IdempotencyKeyReused(InboxError):
    kind = Kind.MALFORMED
    code = "idempotency_key_reused"


class WhatsAppNotConfigured(InboxError):
    kind = Kind.REFUSED
    code = "whatsapp_not_configured"
    message = "The account has no usable phone number id or access token."


class WindowClosed(InboxError):
    """Free text outside the 24 h customer service window (Meta: code 131047)."""

    kind = Kind.CONFLICT
    code = "window_closed"
    graph_code: int = 131047
    message = "The customer has not written for 24 hours. Only an approved template can be sent now."


# --- signing in -------------------------------------------------------------------------------------------------------


class SignInRefused(InboxError):
    """The sign-in surface says no, in the words of GoTrue, whose clients it serves."""

    kind = Kind.REFUSED
    code = "sign_in_refused"

    def __init__(
        self,
        status: int,
        error_code: str,
        message: str,
        *,
        reasons: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        """`status` is the HTTP status, `error_code` GoTrue's word; `reasons` say what makes a password weak."""
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.error_code = error_code
        self.reasons = reasons


# --- storage ----------------------------------------------------------------------------------------------------------


class DatabaseUnavailable(InboxError):
    kind = Kind.UNAVAILABLE
    code = "database_unavailable"


class DatabaseTimeout(InboxError):
    kind = Kind.TIMEOUT
    code = "database_timeout"


class Unstorable(InboxError):
    """A value that the database refuses (SQLSTATE classes 22 and 23): the fault of the item, not of the database."""

    kind = Kind.MALFORMED
    code = "unstorable"


class DatabaseNotDurable(InboxError):
    """The server is set up so that a crash may lose what it has confirmed."""

    kind = Kind.MISCONFIGURED
    code = "database_not_durable"


class CommitUnknown(InboxError):
    """The connection broke, or nothing came in time, while a commit was under way: the effects may be there or not."""

    kind = Kind.UNCERTAIN
    code = "database_unavailable"


class SecretUnreadable(InboxError):
    """A sealed secret does not open: its key is not configured, or the stored bytes were changed or moved."""

    kind = Kind.MISCONFIGURED
    code = "secret_unreadable"


class SchemaRefused(InboxError):
    """The database cannot be adopted or migrated as it is. `differences` are sentences for the operator."""

    kind = Kind.MISCONFIGURED
    code = "schema_refused"

    def __init__(self, message: str, differences: Iterable[str] = ()) -> None:
        """The text of the error is `message` with one difference per line below it."""
        self.differences = tuple(differences)
        super().__init__("\n".join([message, *(f"  - {line}" for line in self.differences)]))


class LeaseLost(InboxError):
    """Another worker took the lane over; what was computed is dropped."""

    kind = Kind.CONFLICT
    code = "lease_lost"


class Overloaded(InboxError):
    """A bounded queue of ours is full."""

    kind = Kind.UNAVAILABLE
    code = "overloaded"


class CircuitOpen(InboxError):
    """The breaker of a dependency is open; nothing was tried."""

    kind = Kind.UNAVAILABLE
    code = "circuit_open"

    def __init__(self, name: str, *, retry_after: float) -> None:
        super().__init__(f"The circuit {name} is open.", retry_after=retry_after)
        self.name = name


class MediaGone(InboxError):
    kind = Kind.GONE
    code = "media_not_found"


class MediaExpired(InboxError):
    """WhatsApp does not give the file out any more: its ids live for some days only."""

    kind = Kind.GONE
    code = "media_expired_or_invalid"


class MediaMissing(InboxError):
    kind = Kind.REFUSED
    code = "media_missing"
    message = "The message has no file."


class AccountTokenMissing(InboxError):
    kind = Kind.REFUSED
    code = "missing_token"
    message = "The account has no access token for WhatsApp."


class MediaUrlMissing(InboxError):
    kind = Kind.REFUSED
    code = "media_url_missing"
    message = "WhatsApp names no address for the file."


class AlreadyStored(InboxError):
    kind = Kind.CONFLICT
    code = "media_already_stored"


class MediaUnavailable(InboxError):
    """The media store cannot be reached, is full, or takes too long."""

    kind = Kind.UNAVAILABLE
    code = "media_unavailable"
