"""Conversations and their messages, for people."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NoReturn

from inbox.domain.access import Actor, Permission
from inbox.domain.clock import Clock
from inbox.domain.contacts import Address, CountryCode, whatsapp_number
from inbox.domain.errors import AccountNotFound, ConversationNotFound
from inbox.domain.events import Event, WorkWaiting
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.queries import Before
from inbox.ports.records import Window
from inbox.ports.views import ConversationItem, ConversationRow, MessageItem, ScheduledItem
from inbox.services.rights import Rights, require_at

_BOT_ON_WIRE: Final = timedelta(seconds=2)
"""The first byte of a send leaves within this time of its fence, or never."""
_LOOKS: Final = 40


class Conversations:
    """Every method checks the caller's rights on the account of the object."""

    def __init__(self, database: Database, rights: Rights, clock: Clock, country: CountryCode) -> None:
        """`country` is that of numbers which people write without one."""
        self._database = database
        self._rights = rights
        self._now = clock
        self._country = country

    async def list_of(
        self, actor: Actor, account_id: AccountId, *, limit: int, before: Before | None
    ) -> Sequence[ConversationItem]:
        """Newest first. Raises `AccountNotFound` and `PermissionDenied`."""
        actor.require_anywhere(Permission.CONVERSATIONS_VIEW)
        await require_at(self._database, actor, Permission.CONVERSATIONS_VIEW, account_id)
        rows = await self._database.queries.conversations(account_id, limit=limit, before=before)
        if not rows:
            await self._rights.require_account(account_id)
        return rows

    async def messages_of(
        self, actor: Actor, conversation_id: ConversationId, *, limit: int, before: Before | None
    ) -> Sequence[MessageItem]:
        """The newest, returned oldest to newest. Raises `ConversationNotFound` and `PermissionDenied`."""
        reach = actor.reach(Permission.MESSAGES_VIEW)
        rows = await self._database.queries.messages(reach, conversation_id, limit=limit, before=before)
        if rows is None:
            await self._refuse(actor, Permission.MESSAGES_VIEW, conversation_id)
        return rows

    async def scheduled_in(self, actor: Actor, conversation_id: ConversationId) -> Sequence[ScheduledItem]:
        """What waits for its time, the earliest first. Raises `ConversationNotFound` and `PermissionDenied`."""
        rows = await self._database.queries.scheduled(actor.reach(Permission.MESSAGES_VIEW), conversation_id)
        if rows is None:
            await self._refuse(actor, Permission.MESSAGES_VIEW, conversation_id)
        return rows

    async def window_of(self, actor: Actor, conversation_id: ConversationId) -> tuple[Window, datetime]:
        """The customer service window, and the time that it is. Raises `ConversationNotFound`, `PermissionDenied`."""
        window = await self._database.queries.window(actor.reach(Permission.MESSAGES_VIEW), conversation_id)
        if window is None:
            await self._refuse(actor, Permission.MESSAGES_VIEW, conversation_id)
        return window, self._now()

    async def mark_read(self, actor: Actor, conversation_id: ConversationId) -> None:
        """Nothing is unread any more; the customer is told by the worker, if the account tells its customers.

        Raises `ConversationNotFound` and `PermissionDenied`.
        """
        await self._mark(actor, conversation_id, "conversation.read", is_read=True)

    async def mark_unread(self, actor: Actor, conversation_id: ConversationId) -> None:
        """At least one message counts as unread. Raises `ConversationNotFound` and `PermissionDenied`."""
        await self._mark(actor, conversation_id, "conversation.unread", is_read=False)

    async def set_favorite(self, actor: Actor, conversation_id: ConversationId, *, favorite: bool) -> None:
        """The mark is one for the whole team. Raises `ConversationNotFound` and `PermissionDenied`."""
        await self._mark(actor, conversation_id, "conversation.favorite", is_favorite=favorite)

    async def find_or_create(self, actor: Actor, account_id: AccountId, phone_number: str) -> ConversationRow:
        """The conversation with a number as people write it; a new one is empty, with the bot off.

        Raises `AccountNotFound`, `PermissionDenied`, and `Invalid` for what is no phone number.
        """
        await require_at(self._database, actor, Permission.MESSAGES_SEND, account_id)
        to = Address(wa_id=whatsapp_number(phone_number, self._country, path="body.phone_number"))
        async with self._database.transaction() as tx:
            found, is_new = await tx.conversations.find_or_create(account_id, to, self._now())
            if is_new:
                await tx.record(_event(actor, account_id, found, "conversation.created"))
        row = await self._database.queries.conversation(account_id, found)
        if row is None:
            raise AccountNotFound  # its conversations go with an account only
        return row

    async def switch_bot(self, actor: Actor, conversation_id: ConversationId, *, enabled: bool) -> ConversationRow:
        """Turns the assistant on or off. When it returns, no answer computed before can reach the customer any more.

        Raises `ConversationNotFound` and `PermissionDenied`.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        async with self._database.transaction() as tx:
            await tx.conversations.lock(account_id, conversation_id)
            row = await tx.conversations.switch_bot(account_id, conversation_id, enabled=enabled)
            await tx.record(_event(actor, account_id, conversation_id, "conversation.bot", bot_enabled=enabled))
        await self._let_bytes_leave(account_id, conversation_id)
        return row

    async def _let_bytes_leave(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        """A message of the bot that passed its fence before the switch is out within 2 s, or never."""
        for _ in range(_LOOKS):
            if not await self._database.outbox.is_bot_on_wire(account_id, conversation_id, _BOT_ON_WIRE):
                return
            await asyncio.sleep(_BOT_ON_WIRE.total_seconds() / _LOOKS)

    async def _mark(
        self,
        actor: Actor,
        conversation_id: ConversationId,
        kind: str,
        *,
        is_read: bool | None = None,
        is_favorite: bool | None = None,
    ) -> None:
        reach = actor.reach(Permission.CONVERSATIONS_VIEW)
        async with self._database.transaction() as tx:
            row = await tx.conversations.mark(reach, conversation_id, is_read=is_read, is_favorite=is_favorite)
            if row is not None:
                state = {"unread_count": row.unread_count, "is_favorite": row.is_favorite}
                await tx.record(_event(actor, AccountId(row.account_id), conversation_id, kind, **state))
                if is_read and await tx.receipts.want(AccountId(row.account_id), conversation_id):
                    tx.wake(WorkWaiting(WorkKind.RECEIPT))
        if row is None:
            await self._refuse(actor, Permission.CONVERSATIONS_VIEW, conversation_id)

    async def _refuse(self, actor: Actor, code: Permission, conversation_id: ConversationId) -> NoReturn:
        """Says why nothing was found within the caller's reach."""
        actor.require(code, await self._rights.account_of(actor, conversation_id), ConversationNotFound)
        raise ConversationNotFound


def _event(
    actor: Actor, account_id: AccountId, conversation_id: ConversationId, kind: str, **body: int | bool
) -> Event:
    return Event(
        account_id=account_id, conversation_id=conversation_id, kind=kind, body={**body, "by": str(actor.user_id)}
    )
