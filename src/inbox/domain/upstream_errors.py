"""What may go wrong at the systems we call: WhatsApp, the language model, the identity provider.

Kinds and codes mean what they mean in `inbox.domain.errors`. The letters of the WhatsApp errors are the classes of
`adapters/messaging/cloud_api/errors.py`, which reads Meta's answers into them.
"""

from inbox.domain.errors import InboxError, Kind
from inbox.domain.model_usage import Usage

# --- WhatsApp ---------------------------------------------------------------------------------------------------------


class Refused(InboxError):
    """WhatsApp refuses this message for good (class F)."""

    kind = Kind.REFUSED
    code = "whatsapp_rejected"

    def __init__(self, message: str = "", *, graph_code: int | None = None) -> None:
        super().__init__(message)
        self.graph_code = graph_code


class AccountProblem(InboxError):
    """The channel's token, permission or configuration is at fault (class P): pause the account, burn nothing."""

    kind = Kind.UNAUTHENTICATED
    code = "whatsapp_account_problem"

    def __init__(self, message: str = "", *, graph_code: int | None = None) -> None:
        super().__init__(message)
        self.graph_code = graph_code


class TryLater(InboxError):
    """WhatsApp throttles or is busy and has surely not taken the message (class R)."""

    kind = Kind.THROTTLED
    code = "whatsapp_unavailable"

    def __init__(self, scope: str, *, retry_after: float | None = None, graph_code: int | None = None) -> None:
        """`scope` is what has to wait: `app`, `waba`, `number`, `pair`, `service`, or `upgrade`, the number too."""
        super().__init__(f"WhatsApp asks to wait ({scope}).", retry_after=retry_after)
        self.scope = scope
        self.graph_code = graph_code


class NothingSent(InboxError):
    """No byte of the message left this process (class N): it may be sent again."""

    kind = Kind.UNAVAILABLE
    code = "whatsapp_unavailable"


class OutcomeUnknown(InboxError):
    """The message may have reached WhatsApp (class U): never repeat it, wait for a status."""

    kind = Kind.UNCERTAIN
    code = "whatsapp_timeout"

    def __init__(self, message: str = "", *, graph_code: int | None = None) -> None:
        super().__init__(message)
        self.graph_code = graph_code


class FenceRefused(InboxError):
    """The row was no longer ours when the connection stood: nothing may be sent."""

    kind = Kind.CONFLICT
    code = "send_superseded"


class WhatsAppError(InboxError):
    """A call other than a send failed at WhatsApp."""

    kind = Kind.UPSTREAM
    code = "whatsapp_api_error"


class WhatsAppUnavailable(InboxError):
    kind = Kind.UNAVAILABLE
    code = "whatsapp_unavailable"


class WhatsAppTimeout(InboxError):
    kind = Kind.TIMEOUT
    code = "whatsapp_timeout"


class DeliveryNotFound(InboxError):
    """Nothing with this id was delivered, or it is so old that it was removed."""

    kind = Kind.NOT_FOUND
    code = "delivery_not_found"


class DeliveryNotSetAside(InboxError):
    """Nothing of the delivery waits for a decision."""

    kind = Kind.CONFLICT
    code = "delivery_not_set_aside"
    message = "Nothing of this delivery was set aside."


# --- the language model -----------------------------------------------------------------------------------------------


class ModelSilent(InboxError):
    """The model answered without a usable text. Repeating the same prompt rarely helps."""

    kind = Kind.UPSTREAM
    code = "model_silent"

    def __init__(self, reason: str, message: str = "", *, usage: Usage | None = None, cost: int | None = None) -> None:
        """`reason` is `empty`, `blocked`, `cut` or `malformed`. Silence is billed: `cost` in micro-units, or None."""
        super().__init__(message or f"The model gave no usable answer ({reason}).")
        self.reason = reason
        self.usage = usage or Usage()
        self.cost = cost


class ModelRefused(InboxError):
    """The request is at fault: bad key, unknown model, invalid request. Not to be repeated.

    Here and below `may_cost` is false if surely nothing reached a model: only then nothing is billed.
    """

    kind = Kind.MISCONFIGURED
    code = "model_refused"
    may_cost: bool = False


class ModelMissing(ModelRefused):
    """There is no such model, or not for us; another one may be there."""

    code = "model_missing"


class ModelThrottled(InboxError):
    kind = Kind.THROTTLED
    code = "model_throttled"
    may_cost: bool = False


class ModelUnavailable(InboxError):
    """The model gave no answer, for a reason that may pass."""

    kind = Kind.UNAVAILABLE
    code = "model_unavailable"
    may_cost: bool = True


class ModelFailed(ModelUnavailable):
    """The model's side answered, with an error of its own."""

    kind = Kind.UPSTREAM
    code = "model_failed"


class ModelTimeout(ModelUnavailable):
    kind = Kind.TIMEOUT
    code = "model_timeout"


# --- identity ---------------------------------------------------------------------------------------------------------


class IdentityNotConfigured(InboxError):
    kind = Kind.MISCONFIGURED
    code = "supabase_not_configured"


class IdentityUnreachable(InboxError):
    """The identity provider answers with an error of its own. Never a 401: front ends would sign the user out."""

    kind = Kind.UPSTREAM
    code = "supabase_unreachable"


class IdentityDown(InboxError):
    """The identity provider cannot be reached at all, or failed so often that it is not asked for a while."""

    kind = Kind.UNAVAILABLE
    code = "supabase_unreachable"


class IdentityTimeout(InboxError):
    kind = Kind.TIMEOUT
    code = "supabase_timeout"
