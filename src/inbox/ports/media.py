"""Where files of messages are kept."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import msgspec

from inbox.domain.ids import AccountId


class MediaKey(msgspec.Struct, frozen=True):
    """The name of a file, made by us: never a file name of a customer."""

    account_id: AccountId
    id: UUID

    def __str__(self) -> str:
        """The path in the store."""
        return f"{self.account_id}/{self.id}"


class Span(msgspec.Struct, frozen=True):
    """Bytes `start` up to, not including, `end`; `end` None means to the end."""

    start: int
    end: int | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: bytes and their SHA-256."""

    size: int
    sha256: bytes


class MediaBody(msgspec.Struct, frozen=True, kw_only=True):
    """An open file: `size` is that of the whole file, `chunks` are the bytes asked for."""

    size: int
    chunks: AsyncIterator[bytes]


class MediaStore(Protocol):
    """Files by key, written once, streamed, never held in memory as a whole."""

    async def put(self, key: MediaKey, body: AsyncIterator[bytes], *, limit: int) -> Stored:
        """Writes a new file of at most `limit` bytes. Raises `AlreadyStored`, `PayloadTooLarge` (nothing is kept)."""
        ...

    def open(self, key: MediaKey, span: Span | None = None) -> AbstractAsyncContextManager[MediaBody]:
        """Raises `MediaGone` if there is no such file."""
        ...

    async def delete(self, key: MediaKey) -> None:
        """No error if it is gone already."""
        ...
