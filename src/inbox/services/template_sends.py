"""A message of a template, before it is queued: may it be sent, and what will the customer read?"""

import msgspec

from inbox.domain.content import Content
from inbox.domain.errors import Invalid
from inbox.domain.ids import AccountId
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_template import TemplateMessage
from inbox.domain.template_needs import lacks
from inbox.domain.template_preview import rendered
from inbox.domain.templates import KnownTemplate, refusal
from inbox.ports.database import Transaction
from inbox.ports.records import NewMessage


async def described(tx: Transaction, new: NewMessage) -> NewMessage:
    """With the text of its template, if that is known. Anything else stays as it is.

    Raises `TemplatePaused` and its kin for a template that WhatsApp would refuse, `Invalid` for parameters that do not
    fit it.
    """
    if not isinstance(new.content, TemplateMessage):
        return new
    known = await allowed(tx, new.account_id, new.content)
    if known is None or known.components is None:
        return new
    _check(known, new.content)
    preview = rendered(known.components, new.content.components)
    return new if preview is None or not preview.text else msgspec.structs.replace(new, text=preview.text)


async def allowed(tx: Transaction, account_id: AccountId, content: Content | Sendable) -> KnownTemplate | None:
    """What is known of the template that `content` sends; raises why it cannot be sent."""
    if not isinstance(content, TemplateMessage):
        return None
    standing = await tx.templates.standing(account_id, content.name, content.language)
    refused = refusal(standing)
    if refused is not None:
        raise refused
    return standing.template


def _check(known: KnownTemplate, content: TemplateMessage) -> None:
    found = [{"path": f"body.content.{path}", "message": message} for path, message in lacks(known, content)]
    if found:
        error = Invalid(**found[0])
        error.errors = found
        raise error
