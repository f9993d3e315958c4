"""What a caller wants to hear of, once it is sure that they may know of it."""

from collections.abc import Collection

from inbox.domain.access import Actor
from inbox.domain.errors import AccountNotFound
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, ConversationId
from inbox.services.rights import Rights


async def permitted(
    rights: Rights,
    actor: Actor,
    accounts: Collection[AccountId] | None,
    conversations: Collection[ConversationId] | None,
    *,
    presence: bool = False,
) -> Interest:
    """Raises `AccountNotFound` and `ConversationNotFound` for what the caller may not know of; None is all."""
    if not all(actor.knows(account_id) for account_id in accounts or ()):
        raise AccountNotFound
    await rights.require_accounts(accounts or ())  # who holds a code everywhere knows also what does not exist
    await rights.require_conversations(actor, conversations or ())
    return Interest(
        None if accounts is None else frozenset(accounts),
        None if conversations is None else frozenset(conversations),
        presence=presence,
    )
