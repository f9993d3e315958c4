"""Conversations and their messages, for people."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NoReturn

from msgspec import UNSET

from inbox.domain.access import Actor, Permission, Subject
from inbox.domain.bot import Mode
from inbox.domain.clock import Clock
from inbox.domain.contacts import Address, CountryCode, whatsapp_number
from inbox.domain.errors import AccountNotFound, ConversationNotFound, Invalid
from inbox.domain.events import (
    BotSwitched,
    By,
    ConversationAssigned,
    ConversationCreated,
    ConversationRead,
    ConversationUnread,
    Event,
    FavoriteSet,
)
from inbox.domain.ids import AccountId, ConversationId, UserId
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.queries import Assignee, Before
from inbox.ports.records import Window
from inbox.ports.views import ConversationItem, ConversationRow, MessageItem, ScheduledItem
from inbox.services.bot_looking import is_young
from inbox.services.bot_talk import past_of, unanswered
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
        self,
        actor: Actor,
        account_id: AccountId,
        *,
        limit: int,
        before: Before | None,
        assignee: Assignee = UNSET,
    ) -> Sequence[ConversationItem]:
        """Newest first. Raises `AccountNotFound` and `PermissionDenied`."""
        actor.require_anywhere(Permission.CONVERSATIONS_VIEW)
        await require_at(self._database, actor, Permission.CONVERSATIONS_VIEW, account_id)
        rows = await self._database.queries.conversations(account_id, limit=limit, before=before, assignee=assignee)
        if not rows:
            await self._rights.require_account(account_id)
        return rows

    async def is_list_unchanged(self, actor: Actor, account_id: AccountId, since: int) -> bool:
        """True if lines of the list that were read when the log ended at the number `since` are still the same.

        Raises what `list_of` raises.
        """
        actor.require_anywhere(Permission.CONVERSATIONS_VIEW)
        await require_at(self._database, actor, Permission.CONVERSATIONS_VIEW, account_id)
        return not await self._database.event_log.has_new_lines(account_id, since)

    async def is_thread_unchanged(self, actor: Actor, conversation_id: ConversationId, since: int) -> bool:
        """The same of messages. Raises what `messages_of` raises."""
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_VIEW, account_id, ConversationNotFound)
        return not await self._database.event_log.has_new_messages(account_id, conversation_id, since)

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
        await self._mark(actor, conversation_id, is_read=True)

    async def mark_unread(self, actor: Actor, conversation_id: ConversationId) -> None:
        """At least one message counts as unread. Raises `ConversationNotFound` and `PermissionDenied`."""
        await self._mark(actor, conversation_id, is_read=False)

    async def set_favorite(self, actor: Actor, conversation_id: ConversationId, *, favorite: bool) -> None:
        """The mark is one for the whole team. Raises `ConversationNotFound` and `PermissionDenied`."""
        await self._mark(actor, conversation_id, is_favorite=favorite)

    async def find_or_create(self, actor: Actor, account_id: AccountId, phone_number: str) -> ConversationRow:
        """The conversation with a number as people write it; a new one is empty, with the bot off.

        Raises `AccountNotFound`, `PermissionDenied`, and `Invalid` for what is no phone number.
        """
        await require_at(self._database, actor, Permission.MESSAGES_SEND, account_id)
        to = Address(wa_id=whatsapp_number(phone_number, self._country, path="body.phone_number"))
        async with self._database.transaction() as tx:
            found, is_new = await tx.conversations.find_or_create(account_id, to, self._now())
            if is_new:
                by = By.actor(actor)
                await tx.record(ConversationCreated(account_id=account_id, conversation_id=found, by=by))
        row = await self._database.queries.conversation(account_id, found)
        if row is None:
            raise AccountNotFound  # its conversations go with an account only
        return row

    async def switch_bot(
        self, actor: Actor, conversation_id: ConversationId, *, enabled: bool, mode: Mode | None = None
    ) -> ConversationRow:
        """Turns the assistant on or off, or lets it suggest: `mode` counts before `enabled`.

        When it returns, no answer computed before can reach the customer any more. Suggestions begin with what waits
        for an answer, and so does the assistant, unless the customer has waited too long already: then it is theirs who
        switches it on. Raises `ConversationNotFound` and `PermissionDenied`.
        """
        mode = mode or (Mode.AUTO if enabled else Mode.OFF)
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        async with self._database.transaction() as tx:
            epoch = (await tx.conversations.lock(account_id, conversation_id)).epoch + 1
            row = await tx.conversations.switch_bot(account_id, conversation_id, mode)
            waits = unanswered(await past_of(tx, account_id, conversation_id, epoch)) if mode is Mode.AUTO else None
            if mode is Mode.SUGGEST or (waits is not None and is_young(waits, self._now())):
                await tx.enqueue(WorkKind.TURN, str(conversation_id), account_id=account_id)
            await tx.record(
                BotSwitched(
                    account_id=account_id,
                    conversation_id=conversation_id,
                    enabled=mode is Mode.AUTO,
                    suggests=mode is Mode.SUGGEST,
                    epoch=epoch,
                    by=By.actor(actor),
                )
            )
        await self._let_bytes_leave(account_id, conversation_id)
        return row

    async def assign(
        self, actor: Actor, conversation_id: ConversationId, assignee_id: UserId | None
    ) -> ConversationRow:
        """Gives the conversation to somebody to look after, or takes it away from whoever has it.

        Who gets it takes it over: as with a message of a person, when this returns no answer of the assistant that was
        computed before can reach the customer any more. Nothing changes for somebody who has it already. Raises
        `ConversationNotFound`, `PermissionDenied`, and `Invalid` for who may not read there, or does not exist.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        if assignee_id is not None:
            await self._require_reader(assignee_id, account_id)
        row = None
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(account_id, conversation_id)
            if conversation.assignee_id != assignee_id:
                row = await tx.conversations.assign(account_id, conversation_id, assignee_id, self._now())
                await tx.record(
                    ConversationAssigned(
                        account_id=account_id,
                        conversation_id=conversation_id,
                        assignee_id=assignee_id,
                        by=By.actor(actor),
                    )
                )
        if assignee_id is not None:  # also when repeated: the first call may have ended before they were out
            await self._let_bytes_leave(account_id, conversation_id)
        if row is None:
            row = await self._database.queries.conversation(account_id, conversation_id)
        if row is None:
            raise ConversationNotFound
        return row

    async def _require_reader(self, user_id: UserId, account_id: AccountId) -> None:
        """One answer for everybody who cannot look after conversations of the account, existing or not."""
        person = await self._database.team.actor(Subject(user_id=user_id))
        if person is None or not person.is_active or not person.may(Permission.MESSAGES_VIEW, account_id):
            raise Invalid("body.user_id", "somebody who may read the messages of this account")

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
        *,
        is_read: bool | None = None,
        is_favorite: bool | None = None,
    ) -> None:
        reach = actor.reach(Permission.CONVERSATIONS_VIEW)
        async with self._database.transaction() as tx:
            row = await tx.conversations.mark(reach, conversation_id, is_read=is_read, is_favorite=is_favorite)
            if row is not None:
                await tx.record(_marked(actor, row, is_read=is_read))
                if is_read and await tx.receipts.want(AccountId(row.account_id), conversation_id):
                    tx.wake(WorkWaiting(WorkKind.RECEIPT))
        if row is None:
            await self._refuse(actor, Permission.CONVERSATIONS_VIEW, conversation_id)

    async def _refuse(self, actor: Actor, code: Permission, conversation_id: ConversationId) -> NoReturn:
        """Says why nothing was found within the caller's reach."""
        actor.require(code, await self._rights.account_of(actor, conversation_id), ConversationNotFound)
        raise ConversationNotFound


def _marked(actor: Actor, row: ConversationRow, *, is_read: bool | None) -> Event:
    account_id, conversation_id, by = AccountId(row.account_id), ConversationId(row.id), By.actor(actor)
    if is_read is None:
        return FavoriteSet(account_id=account_id, conversation_id=conversation_id, is_favorite=row.is_favorite, by=by)
    marked = ConversationRead if is_read else ConversationUnread
    return marked(account_id=account_id, conversation_id=conversation_id, unread_count=row.unread_count, by=by)
