"""Files of messages, for people: from our store, or from WhatsApp as long as they are not there yet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeAlias

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import (
    ConversationNotFound,
    InboxError,
    MediaGone,
    MediaMissing,
    MessageNotFound,
    Overloaded,
)
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.media import MediaState
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, MediaStore, Span
from inbox.ports.messaging import MediaSource
from inbox.ports.views import MediaRow
from inbox.services.rights import Rights

MOST_READERS: Final = 64


class OpenMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A file under way: what is stored about it, and its bytes.

    `size` is that of the whole file, if it is known; `span` the part that `chunks` gives, None for all of it. A file
    that we keep has an `etag`: it never changes.
    """

    row: MediaRow
    mime_type: str | None
    size: int | None
    chunks: AsyncIterator[bytes]
    span: Span | None = None
    etag: str | None = None


Wanted: TypeAlias = Callable[[int, str], Span | None]
"""The part that the caller wants of a file of that size and with that etag; None is all of it."""


def whole(_: int, __: str) -> None:
    """All of it."""


class Media:
    """Gives files to those who may see the messages that they belong to."""

    def __init__(
        self,
        database: Database,
        rights: Rights,
        source: MediaSource,
        store: MediaStore,
        *,
        limit: int,
        readers: int = MOST_READERS,
    ) -> None:
        """`limit` is the bytes of one file at most; `readers` at a time get files from WhatsApp."""
        self._database = database
        self._rights = rights
        self._source = source
        self._store = store
        self._limit = limit
        self._readers = asyncio.Semaphore(readers)

    @asynccontextmanager
    async def open(self, actor: Actor, message_id: MessageId, wanted: Wanted = whole) -> AsyncIterator[OpenMedia]:
        """The file of a message: ours, else WhatsApp's, and then always all of it. It closes with the block.

        Raises `MessageNotFound`, `PermissionDenied`, `MediaMissing` for a message without a file, for broken rows
        `ConversationNotFound` and `AccountNotFound`, what `wanted` raises, and what store and source raise.
        """
        row = await self._database.queries.media(actor.reach(Permission.MESSAGES_VIEW), message_id)
        if row is None:
            raise await self._explained(actor, message_id)
        if row.account_id is None or row.conversation_id is None:
            raise ConversationNotFound
        if not row.media_id:
            raise MediaMissing
        async with AsyncExitStack() as stack:
            found = await self._kept(stack, row, message_id, wanted) or await self._passed(stack, row)
            yield found

    async def check(self, actor: Actor, conversation_id: ConversationId) -> Mapping[MediaState, int]:
        """How many files of a conversation stand where. Those that wait for another attempt are tried at once.

        What WhatsApp allows for failures still holds. Raises `ConversationNotFound`, `PermissionDenied`.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_VIEW, account_id, ConversationNotFound)
        async with self._database.transaction() as tx:
            found = await tx.media_files.of_conversation(account_id, conversation_id)
        if found.waiting:
            await self._database.work.hurry(WorkKind.MEDIA, [str(message_id) for message_id in found.waiting])
        return found.counts

    async def _kept(
        self, stack: AsyncExitStack, row: MediaRow, message_id: MessageId, wanted: Wanted
    ) -> OpenMedia | None:
        """The file in our store; None if it is not there."""
        if row.stored is None or row.account_id is None:
            return None
        span = wanted(row.stored.size, row.stored.etag)
        key = MediaKey(AccountId(row.account_id), row.upload_id or message_id)
        try:
            body = await stack.enter_async_context(self._store.open(key, span))
        except MediaGone:
            if row.upload_id is not None:
                raise  # WhatsApp gives files of ours to the customer alone
            return None  # lost from the store: WhatsApp may still have it
        return OpenMedia(
            row=row,
            mime_type=row.stored.mime_type,
            size=row.stored.size,
            chunks=body.chunks,
            span=span,
            etag=row.stored.etag,
        )

    async def _passed(self, stack: AsyncExitStack, row: MediaRow) -> OpenMedia:
        """The file as WhatsApp gives it at this moment. Each holds a connection to it as long as its reader likes."""
        if row.account_id is None or row.media_id is None:
            raise MediaMissing
        if self._readers.locked():
            raise Overloaded("Too many files are being read from WhatsApp already.")
        await stack.enter_async_context(self._readers)
        channel = await self._rights.channel(AccountId(row.account_id))
        stream = await stack.enter_async_context(self._source.open(channel, row.media_id, limit=self._limit))
        return OpenMedia(row=row, mime_type=stream.mime_type, size=stream.size, chunks=stream.chunks)

    async def _explained(self, actor: Actor, message_id: MessageId) -> InboxError:
        """Why the caller finds nothing: there is nothing to find, unless the account is known and a right missing."""
        owner = await self._database.queries.owner_of_message(message_id)
        if owner is not None:
            actor.require(Permission.MESSAGES_VIEW, owner.account_id, MessageNotFound)
        return MessageNotFound()
