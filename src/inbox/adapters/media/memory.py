"""Files in memory, for tests and demos: bounded, gone with the process."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from inbox.domain.errors import AlreadyStored, MediaGone, MediaUnavailable, PayloadTooLarge
from inbox.kit.file_types import true_type
from inbox.ports.media import MediaBody, MediaKey, Span, Stored

_CHUNK: Final = 64 * 1024


class MemoryMediaStore:
    """`capacity` bytes in all; more raises `MediaUnavailable`, nothing is pushed out."""

    def __init__(self, *, capacity: int = 256 * 1024 * 1024) -> None:
        self._capacity = capacity
        self._used = 0
        self._files: dict[MediaKey, bytes] = {}

    async def put(
        self,
        key: MediaKey,
        body: AsyncIterator[bytes],
        *,
        limit: int,
        mime_type: str | None = None,
        within: float | None = None,
    ) -> Stored:
        written = bytearray()
        deadline = asyncio.timeout(within)
        try:
            async with deadline:
                async for piece in body:
                    self._take(len(piece))
                    written += piece
                    _must_fit(len(written), limit)
            self._must_be_new(key)
        except TimeoutError as error:
            self._used -= len(written)
            if not deadline.expired():
                raise
            raise MediaUnavailable("The file did not come in time.") from error
        except BaseException:
            self._used -= len(written)
            raise
        self._files[key] = bytes(written)
        return _told(written, mime_type)

    async def measured(self, key: MediaKey, mime_type: str | None = None) -> Stored:
        content = self._files.get(key)
        if content is None:
            raise MediaGone
        return _told(content, mime_type)

    @asynccontextmanager
    async def open(self, key: MediaKey, span: Span | None = None) -> AsyncIterator[MediaBody]:
        content = self._files.get(key)
        if content is None:
            raise MediaGone
        asked = span or Span(0)
        yield MediaBody(size=len(content), chunks=_pieces(content[asked.start : asked.end]))

    async def clear(self, age: timedelta) -> int:  # noqa: ARG002 - what is not whole was never kept
        return 0

    async def delete(self, key: MediaKey) -> None:
        self._used -= len(self._files.pop(key, b""))

    def _must_be_new(self, key: MediaKey) -> None:
        if key in self._files:
            raise AlreadyStored

    def _take(self, size: int) -> None:
        if self._used + size > self._capacity:
            raise MediaUnavailable("The media store in memory is full.")
        self._used += size


def _told(content: bytes | bytearray, mime_type: str | None) -> Stored:
    return Stored(size=len(content), sha256=hashlib.sha256(content).digest(), mime_type=true_type(mime_type, content))


def _must_fit(size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLarge


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
