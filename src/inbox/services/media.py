"""Files of messages, for people: fetched from WhatsApp at the moment somebody looks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import ConversationNotFound, InboxError, MediaMissing, MessageNotFound
from inbox.domain.ids import AccountId, MessageId
from inbox.ports.database import Database
from inbox.ports.messaging import MediaSource, MediaStream
from inbox.ports.views import MediaRow


class OpenMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A file under way: what is stored of it, and what WhatsApp gives."""

    row: MediaRow
    stream: MediaStream


class Media:
    """Gives files to those who may see the messages that they belong to."""

    def __init__(self, database: Database, source: MediaSource, *, limit: int) -> None:
        """`limit` is the bytes of one file at most."""
        self._database = database
        self._source = source
        self._limit = limit

    @asynccontextmanager
    async def open(self, actor: Actor, message_id: MessageId) -> AsyncIterator[OpenMedia]:
        """The file of a message; its connection closes with the block.

        Raises `MessageNotFound`, `PermissionDenied`, `MediaMissing` for a message without a file, for broken rows
        `ConversationNotFound` and `AccountNotFound`, and what the media source raises.
        """
        row = await self._database.queries.media(actor.reach(Permission.MESSAGES_VIEW), message_id)
        if row is None:
            raise await self._explained(actor, message_id)
        if row.account_id is None or row.conversation_id is None:
            raise ConversationNotFound
        if not row.media_id:
            raise MediaMissing
        channel = await self._channel(AccountId(row.account_id))
        async with self._source.open(channel, row.media_id, limit=self._limit) as stream:
            yield OpenMedia(row=row, stream=stream)

    async def _channel(self, account_id: AccountId) -> Channel:
        async with self._database.transaction() as tx:
            return await tx.accounts.channel(account_id)

    async def _explained(self, actor: Actor, message_id: MessageId) -> InboxError:
        """Why the caller finds nothing: there is nothing to find, unless the account is known and a right missing."""
        owner = await self._database.queries.owner_of_message(message_id)
        if owner is not None:
            actor.require(Permission.MESSAGES_VIEW, owner.account_id, MessageNotFound)
        return MessageNotFound()
