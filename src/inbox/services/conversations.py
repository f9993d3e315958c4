"""Conversations and their messages, for people."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound, ConversationNotFound, PermissionDenied
from inbox.domain.events import Event
from inbox.domain.ids import AccountId, ConversationId
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.views import ConversationItem, ConversationRow, MessageItem

Before = tuple[datetime, UUID | None]

_BOT_ON_WIRE: Final = timedelta(seconds=2)
"""The first byte of a send leaves within this time of its fence, or never."""
_LOOKS: Final = 40
_OWNER_SECONDS: Final = 60.0


class Conversations:
    """Every method checks the caller's rights on the account of the object."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def list_of(
        self, actor: Actor, account_id: AccountId, *, limit: int, before: Before | None
    ) -> Sequence[ConversationItem]:
        """Newest first. Raises `AccountNotFound` and `PermissionDenied`."""
        if not actor.may_anywhere(Permission.CONVERSATIONS_VIEW):
            raise PermissionDenied
        actor.require(Permission.CONVERSATIONS_VIEW, account_id, AccountNotFound)
        if not await self._database.queries.account_exists(account_id):
            raise AccountNotFound
        return await self._database.queries.conversations(account_id, limit=limit, before=before)

    async def messages_of(
        self, actor: Actor, conversation_id: ConversationId, *, limit: int, before: Before | None
    ) -> Sequence[MessageItem]:
        """The newest, returned oldest to newest. Raises `ConversationNotFound` and `PermissionDenied`."""
        account_id = await self._account_of(conversation_id)
        actor.require(Permission.MESSAGES_VIEW, account_id, ConversationNotFound)
        return await self._database.queries.messages(account_id, conversation_id, limit=limit, before=before)

    async def switch_bot(self, actor: Actor, conversation_id: ConversationId, *, enabled: bool) -> ConversationRow:
        """Turns the assistant on or off. When it returns, no answer computed before can reach the customer any more.

        Raises `ConversationNotFound` and `PermissionDenied`.
        """
        account_id = await self._account_of(conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        async with self._database.transaction() as tx:
            await tx.conversations.lock(account_id, conversation_id)
            row = await tx.conversations.switch_bot(account_id, conversation_id, enabled=enabled)
            await tx.record(
                Event(
                    account_id=account_id,
                    conversation_id=conversation_id,
                    kind="conversation.bot",
                    body={"bot_enabled": enabled, "by": str(actor.user_id)},
                )
            )
        await self._let_bytes_leave(conversation_id)
        return row

    async def _let_bytes_leave(self, conversation_id: ConversationId) -> None:
        """A message of the bot that passed its fence before the switch is out within 2 s, or never."""
        for _ in range(_LOOKS):
            if not await self._database.outbox.is_bot_on_wire(conversation_id, _BOT_ON_WIRE):
                return
            await asyncio.sleep(_BOT_ON_WIRE.total_seconds() / _LOOKS)

    async def _account_of(self, conversation_id: ConversationId) -> AccountId:
        """A conversation never changes its account, so this may be remembered, unlike anything that is decided on."""

        async def load() -> AccountId:
            owner = await self._database.queries.owner_of_conversation(conversation_id)
            if owner is None:
                raise ConversationNotFound
            return owner.account_id

        return await self._cache.fetch(
            f"conversation:{conversation_id}", load, tags=[f"conversation:{conversation_id}"], ttl=_OWNER_SECONDS
        )
