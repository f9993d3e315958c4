"""Customers' files come home: WhatsApp keeps them for seven days, we keep them for good."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

from inbox.domain.accounts import Channel
from inbox.domain.clock import Clock
from inbox.domain.errors import (
    AlreadyStored,
    InboxError,
    MediaExpired,
    MediaGone,
    MediaUnavailable,
    PayloadTooLarge,
    SecretUnreadable,
)
from inbox.domain.ids import MessageId
from inbox.domain.media import FAILURES_WITHIN, MOST_FAILURES, MediaState, is_same_hash, wait_after
from inbox.domain.upstream_errors import WhatsAppUnavailable
from inbox.domain.work import Lane
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, MediaStore, Stored
from inbox.ports.messaging import MediaSource
from inbox.ports.records import MediaOutcome, PendingFile

_OVER: Final = {MediaExpired: MediaState.EXPIRED, MediaGone: MediaState.EXPIRED, PayloadTooLarge: MediaState.REFUSED}
"""What no later attempt can change."""
_NOT_ASKED: Final = (WhatsAppUnavailable, MediaUnavailable, SecretUnreadable)
"""WhatsApp gave no answer, or the fault is ours: it counts for nothing at WhatsApp."""
_MISMATCH: Final = "sha256_mismatch"
_MOST_MISMATCHES: Final = 3


class _OtherFile(Exception):
    """The bytes are not those of the hash."""


class MediaFiles:
    """Fetches the files of messages, each as a piece of durable work of its own."""

    def __init__(self, database: Database, source: MediaSource, store: MediaStore, clock: Clock, *, limit: int) -> None:
        """`limit` is the bytes of one file at most."""
        self._database = database
        self._source = source
        self._store = store
        self._now = clock
        self._limit = limit

    async def expire(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Gives up together the files that WhatsApp no longer has; returns the lanes of the others."""
        files = {MediaKey(lane.account_id, MessageId(UUID(lane.key))): lane for lane in lanes if lane.account_id}
        async with self._database.transaction() as tx:
            overdue = await tx.media_files.overdue(list(files), self._now())
            await tx.finish([files[file] for file in overdue])
            await tx.record(*await tx.media_files.expire(overdue))
        given_up = {files[file].key for file in overdue}
        return [lane for lane in lanes if lane.key not in given_up]

    async def work(self, lane: Lane) -> str:
        """One attempt at the file of the message that names `lane`; returns what became of it.

        Raises what the database raises: then the attempt comes again.
        """
        if lane.account_id is None:
            raise LookupError(f"media lane without account: {lane.key}")
        async with self._database.transaction() as tx:
            file = await tx.media_files.pending(
                lane.account_id, MessageId(UUID(lane.key)), most_failures=MOST_FAILURES, within=FAILURES_WITHIN
            )
            if file is None:
                await tx.finish([lane])
                return "nothing_to_do"
        if file.blocked_for is not None:
            await self._database.work.retry(lane, file.blocked_for)
            return "waits"
        try:
            async with self._database.transaction() as tx:
                channel = await tx.accounts.channel(file.account_id)
        except SecretUnreadable as error:
            return await self._failed(lane, file, error)
        try:
            stored = await self._fetched(file, channel)
        except _OtherFile:
            return await self._mismatched(lane, file)
        except InboxError as error:
            return await self._failed(lane, file, error)
        return await self._over(lane, file, MediaOutcome(state=MediaState.STORED, stored=stored))

    async def _fetched(self, file: PendingFile, channel: Channel) -> Stored:
        """The file, stored. Raises `_OtherFile` if it is not the one that WhatsApp announced: then nothing is."""
        key = MediaKey(file.account_id, file.message_id)
        async with self._source.open(channel, file.media_id, limit=self._limit) as stream:
            claim, expected = stream.mime_type or file.mime_type, file.expected_sha256 or stream.sha256
            try:
                return await self._store.put(key, _proven(stream.chunks, expected), limit=self._limit, mime_type=claim)
            except AlreadyStored:
                # Another worker got that far and died, or has just settled it: what is there is whole.
                stored = await self._store.measured(key, claim)
        if is_same_hash(expected, stored.sha256):
            return stored
        await self._store.delete(key)
        raise _OtherFile

    async def _failed(self, lane: Lane, file: PendingFile, error: InboxError) -> str:
        state = _OVER.get(type(error), MediaState.PENDING)
        outcome = MediaOutcome(state=state, reason=error.code)
        is_counted = not isinstance(error, _NOT_ASKED)
        if state is MediaState.PENDING:
            return await self._again(lane, file, outcome, is_counted=is_counted)
        return await self._over(lane, file, outcome, is_counted=is_counted)

    async def _mismatched(self, lane: Lane, file: PendingFile) -> str:
        if file.tries + 1 < _MOST_MISMATCHES:
            outcome = MediaOutcome(state=MediaState.PENDING, reason=_MISMATCH)
            return await self._again(lane, file, outcome, is_counted=False)
        return await self._over(lane, file, MediaOutcome(state=MediaState.REFUSED, reason=_MISMATCH))

    async def _again(self, lane: Lane, file: PendingFile, outcome: MediaOutcome, *, is_counted: bool) -> str:
        await self._settle(file, outcome, [], is_counted=is_counted)
        await self._database.work.retry(lane, wait_after(file.tries + 1))
        return outcome.reason or outcome.state

    async def _over(self, lane: Lane, file: PendingFile, outcome: MediaOutcome, *, is_counted: bool = False) -> str:
        await self._settle(file, outcome, [lane], is_counted=is_counted)
        return outcome.state

    async def _settle(self, file: PendingFile, outcome: MediaOutcome, done: list[Lane], *, is_counted: bool) -> None:
        async with self._database.transaction() as tx:
            await tx.media_files.hold(file.account_id, file.message_id)
            if is_counted:
                await tx.media_files.count_failure(file.account_id, within=FAILURES_WITHIN)
            await tx.finish(done)
            told = await tx.media_files.settle(file.account_id, file.message_id, outcome)
            if told is not None:
                await tx.record(told)


async def _proven(chunks: AsyncIterator[bytes], expected: str | None) -> AsyncIterator[bytes]:
    """The same bytes. Raises `_OtherFile` at their end if they are others than expected."""
    sha256 = hashlib.sha256()
    async for piece in chunks:
        sha256.update(piece)
        yield piece
    if not is_same_hash(expected, sha256.digest()):
        raise _OtherFile
