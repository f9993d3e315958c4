"""Reactions of people on our side: messages of their own to WhatsApp, a mark on a message to everybody else."""

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import MessageNotFound
from inbox.domain.ids import MessageId
from inbox.domain.limits import checked
from inbox.domain.outgoing import Reaction, ReactionRemoval
from inbox.domain.sending_errors import ReactionRefused
from inbox.ports.database import Database
from inbox.services.outbound import Accepted, Outbound


class Reacting:
    """The reaction is shown once WhatsApp took it."""

    def __init__(self, database: Database, outbound: Outbound) -> None:
        self._database = database
        self._outbound = outbound

    async def react(self, actor: Actor, message_id: MessageId, emoji: str | None, *, key: str | None) -> Accepted:
        """Sends a reaction in the place of an earlier one; None takes ours back.

        Returns what `Outbound.accept` does. Raises `MessageNotFound`, `PermissionDenied`, `Invalid` for what is no
        emoji, `ReactionRefused`, `IdempotencyKeyReused`.
        """
        owner = await self._database.queries.owner_of_message(message_id)
        if owner is None:
            raise MessageNotFound
        actor.require(Permission.MESSAGES_SEND, owner.account_id, MessageNotFound)
        async with self._database.transaction() as tx:
            target = await tx.messages.target(owner.account_id, owner.conversation_id, message_id)
        if target is None:
            raise ReactionRefused
        content = ReactionRemoval(wamid=target.wamid) if emoji is None else Reaction(wamid=target.wamid, emoji=emoji)
        checked(content, at="body")
        return await self._outbound.accept(actor, owner.conversation_id, content, key=key)
