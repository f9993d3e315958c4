"""What the team sees of the assistant's work."""

from typing import NoReturn

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound
from inbox.domain.ids import ConversationId
from inbox.ports.bot import ConversationDetails, Suggested
from inbox.ports.database import Database
from inbox.services.rights import Rights


class BotViews:
    """Every method raises `ConversationNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def conversation(self, actor: Actor, conversation_id: ConversationId) -> ConversationDetails:
        """One line of the list, with what happened before the assistant stepped back for those who may read it."""
        found = await self._database.bot.details(
            actor.reach(Permission.CONVERSATIONS_VIEW), conversation_id, readable=actor.reach(Permission.MESSAGES_VIEW)
        )
        if found is None:
            await self._refuse(actor, Permission.CONVERSATIONS_VIEW, conversation_id)
        return found

    async def suggestion(self, actor: Actor, conversation_id: ConversationId) -> Suggested:
        """What the assistant would answer."""
        found = await self._database.bot.suggestion(actor.reach(Permission.MESSAGES_VIEW), conversation_id)
        if found is None:
            await self._refuse(actor, Permission.MESSAGES_VIEW, conversation_id)
        return found

    async def _refuse(self, actor: Actor, code: Permission, conversation_id: ConversationId) -> NoReturn:
        """Says why nothing was found within the caller's reach."""
        actor.require(code, await self._rights.account_of(actor, conversation_id), ConversationNotFound)
        raise ConversationNotFound
