"""What WhatsApp, or what we know of it, has against a template. Kinds and codes as in `inbox.domain.errors`."""

from inbox.domain.errors import InboxError, Kind


class TemplateNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "template_not_found"


class TemplatePaused(InboxError):
    """Of low quality: WhatsApp lifts the pause itself after some hours, or ends the template."""

    kind = Kind.CONFLICT
    code = "template_paused"
    message = "WhatsApp has paused this template because of low quality. Wait until the pause is over, or use another."


class TemplateRejected(InboxError):
    kind = Kind.CONFLICT
    code = "template_rejected"
    message = "WhatsApp has rejected this template. Change it and have it looked at again, or use another."


class TemplateDisabled(InboxError):
    kind = Kind.CONFLICT
    code = "template_disabled"
    message = "WhatsApp has disabled this template for good. Use another."


class TemplatePending(InboxError):
    kind = Kind.CONFLICT
    code = "template_pending"
    message = "WhatsApp is still looking at this template. It can be sent once it is approved."


class TemplateUnavailable(InboxError):
    """Archived, about to be deleted, or over a limit of the account."""

    kind = Kind.CONFLICT
    code = "template_unavailable"
    message = "WhatsApp does not send this template at present. Its status says why."


class TemplateUnknown(InboxError):
    """Not in the list of the account's WABA, in this language: no other language stands in for it."""

    kind = Kind.CONFLICT
    code = "template_unknown"
    message = "The account has no template of this name in this language. If it is new, read the list again."


class TemplateExists(InboxError):
    kind = Kind.CONFLICT
    code = "template_exists"
    message = "There is a template of this name in this language already."


class TemplateLimit(InboxError):
    """So many templates of a WABA, or so many new ones or changes within a time."""

    kind = Kind.CONFLICT
    code = "template_limit"
    message = "WhatsApp takes no more templates of this account at present. Delete some, or wait."


class TemplateNotEditable(InboxError):
    """Only approved, rejected and paused ones are; approved ones once in 24 hours."""

    kind = Kind.CONFLICT
    code = "template_not_editable"
    message = "WhatsApp takes changes of approved, rejected and paused templates only, and not too often."
