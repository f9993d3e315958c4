"""Where files of messages are kept."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
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
    """What was written: the number of bytes, their SHA-256, and their type as far as the bytes bear the claim out."""

    size: int
    sha256: bytes
    mime_type: str


class MediaBody(msgspec.Struct, frozen=True, kw_only=True):
    """An open file: `size` is that of the whole file, `chunks` are the bytes asked for."""

    size: int
    chunks: AsyncIterator[bytes]


class MediaStore(Protocol):
    """Files by key, written once, streamed, never held in memory as a whole."""

    async def put(
        self,
        key: MediaKey,
        body: AsyncIterator[bytes],
        *,
        limit: int,
        mime_type: str | None = None,
        within: float | None = None,
    ) -> Stored:
        """Writes a new file of at most `limit` bytes that claims to be of `mime_type`.

        It takes at most `within` seconds, the pace of `body` included; None is the store's own time. Raises
        `AlreadyStored`, `PayloadTooLarge` and what `body` raises: then nothing is kept.
        """
        ...

    def open(self, key: MediaKey, span: Span | None = None) -> AbstractAsyncContextManager[MediaBody]:
        """Raises `MediaGone` if there is no such file."""
        ...

    async def measured(self, key: MediaKey, mime_type: str | None = None) -> Stored:
        """What stands under `key` and claims to be of `mime_type`, read again. Raises `MediaGone`."""
        ...

    async def clear(self, age: timedelta) -> int:
        """Removes what processes left half-written that were killed more than `age` ago; says how many.

        Unfinished multipart uploads of a bucket are left to its lifecycle rule.
        """
        ...

    async def delete(self, key: MediaKey) -> None:
        """No error if it is gone already."""
        ...
