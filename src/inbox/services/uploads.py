"""Files from people, to be sent: taken piece by piece, looked at, and kept until a message shows them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound, InboxError, Invalid, Overloaded, PayloadTooLarge
from inbox.domain.ids import AccountId, uuid7
from inbox.domain.uploads import HEAD_BYTES, MOST_BYTES, PATH, UploadKind, plain_name, too_large, whatsapp_type
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, MediaStore
from inbox.ports.uploads import GivenUp, NewUpload, UploadItem
from inbox.services.places import Places
from inbox.services.rights import Rights, require_at

MOST_UPLOADS: Final = 8
_STEP: Final = 100
_RESTS: Final = 0.2
_MOST_FAILURES: Final = 3
"""In a row: each may take as long as the store is waited for."""
_BEING_WRITTEN: Final = timedelta(hours=6)
"""No file takes that long: what is older belongs to a process that was killed."""


class GivenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it comes. Name and type are a stranger's words; `chunks` raises if it breaks off."""

    name: str | None
    mime_type: str | None
    chunks: AsyncIterator[bytes]


class Uploads:
    """Takes files. A row comes before the file and counts only after it: no half of one is ever sent or served."""

    def __init__(
        self, database: Database, rights: Rights, store: MediaStore, *, within: float, at_once: int = MOST_UPLOADS
    ) -> None:
        """A file is in the store `within` seconds, the pace of whoever sends it included.

        `at_once` come together, half of them for one account.
        """
        self._database = database
        self._rights = rights
        self._store = store
        self._within = within
        self._places = Places(at_once, _too_many)

    async def admit(self, actor: Actor, account_id: AccountId) -> None:
        """Before a byte is read. Raises `AccountNotFound`, `PermissionDenied`, and `Overloaded` if too many come."""
        await require_at(self._database, actor, Permission.MESSAGES_SEND, account_id)
        await self._rights.require_account(account_id)
        self._places.require(account_id)

    async def take(self, actor: Actor, account_id: AccountId, kind: UploadKind, given: GivenFile) -> UploadItem:
        """Stores a file of somebody who was admitted.

        Raises `Overloaded`, `PayloadTooLarge`, `Invalid` for a file that WhatsApp does not take as `kind`, and what the
        store and the file's chunks raise.
        """
        actor.require(Permission.MESSAGES_SEND, account_id, AccountNotFound)
        with self._places.taken(account_id):
            new = NewUpload(
                id=uuid7(), account_id=account_id, kind=kind, name=plain_name(given.name), created_by=actor.user_id
            )
            async with self._database.transaction() as tx:
                await tx.uploads.begin(new)
            return await self._stored(new, given)

    async def _stored(self, new: NewUpload, given: GivenFile) -> UploadItem:
        key, head = MediaKey(new.account_id, new.id), bytearray()
        chunks, most = _seen(given.chunks, head), MOST_BYTES[new.kind]
        try:
            stored = await self._store.put(key, chunks, limit=most, mime_type=given.mime_type, within=self._within)
        except PayloadTooLarge as error:
            raise too_large(new.kind) from error
        try:
            mime_type = whatsapp_type(new.kind, stored.mime_type, stored.size, bytes(head))
        except InboxError:
            await self._forget(key)
            raise
        async with self._database.transaction() as tx:
            stored = msgspec.structs.replace(stored, mime_type=mime_type)
            item = await tx.uploads.complete(new.account_id, new.id, stored)
        if item is None:
            raise Invalid(PATH, "sent in less time: it took so long that it was given up")
        return item

    async def _forget(self, key: MediaKey) -> None:
        """What cannot be removed at once, `UnusedUploads` removes."""
        with suppress(InboxError):
            await self._store.delete(key)
            async with self._database.transaction() as tx:
                await tx.uploads.remove([key])


class _Failures:
    """Of one sweep: what the store could not do."""

    def __init__(self) -> None:
        self.last: InboxError | None = None
        self._in_a_row = 0

    def note(self, error: InboxError | None) -> None:
        """None is a file that could be deleted."""
        self._in_a_row = 0 if error is None else self._in_a_row + 1
        self.last = self.last if error is None else error

    @property
    def are_enough(self) -> bool:
        """The store is down, rather than some of its files in trouble."""
        return self._in_a_row >= _MOST_FAILURES


class UnusedUploads:
    """Files that were uploaded and never sent, or never came whole. What a message shows stays."""

    def __init__(self, database: Database, store: MediaStore, *, age: timedelta) -> None:
        """They go when they are older than `age`."""
        self._database = database
        self._store = store
        self._age = age
        self._behind: GivenUp | None = None

    async def sweep(self, removed: Callable[[str, int], None], *, rests: float = _RESTS) -> None:
        """Removes them, some at a time, each first for everybody, then its file, then its row.

        `removed` is told how many. What the store cannot delete holds nothing else up and is tried again another time;
        then its error is raised at the end. After some failures in a row the store is left alone until the next sweep,
        which goes on behind them. Raises what the database raises as well. While another process sweeps, nothing goes.
        """
        async with self._database.retention.alone() as sweeper:
            if sweeper is not None:
                await self._sweep(removed, rests)

    async def _sweep(self, removed: Callable[[str, int], None], rests: float) -> None:
        failures = _Failures()
        while True:
            async with self._database.transaction() as tx:
                page = await tx.uploads.give_up(self._age, _STEP, self._behind)
            gone = await self._deleted(page, failures)
            if gone:
                async with self._database.transaction() as tx:
                    await tx.uploads.remove(gone)
                removed("uploads", len(gone))
            is_last = len(page) < _STEP and (not page or page[-1] == self._behind)
            if is_last or failures.are_enough:
                break
            await asyncio.sleep(rests)
        if is_last:
            self._behind = None
        if not failures.are_enough and (cleared := await self._store.clear(_BEING_WRITTEN)):
            removed("unfinished_files", cleared)
        if failures.last is not None:
            raise failures.last

    async def _deleted(self, page: Sequence[GivenUp], failures: _Failures) -> list[MediaKey]:
        """Those whose files are gone."""
        gone: list[MediaKey] = []
        for one in page:
            self._behind = one
            try:
                await self._store.delete(one.key)
            except InboxError as error:
                failures.note(error)
                if failures.are_enough:
                    break
            else:
                failures.note(None)
                gone.append(one.key)
        return gone


def _too_many() -> Overloaded:
    return Overloaded("Too many files are being uploaded already.")


async def _seen(chunks: AsyncIterator[bytes], head: bytearray) -> AsyncIterator[bytes]:
    """The chunks; their beginning is left in `head`."""
    async for chunk in chunks:
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
        yield chunk
