"""Files in memory, for tests and demos: bounded, gone with the process."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        self, key: MediaKey, body: AsyncIterator[bytes], *, limit: int, mime_type: str | None = None
    ) -> Stored:
        written = bytearray()
        try:
            async for piece in body:
                self._take(len(piece))
                written += piece
                _must_fit(len(written), limit)
            self._must_be_new(key)
        except BaseException:
            self._used -= len(written)
            raise
        self._files[key] = bytes(written)
        return Stored(
            size=len(written), sha256=hashlib.sha256(written).digest(), mime_type=true_type(mime_type, written)
        )

    @asynccontextmanager
    async def open(self, key: MediaKey, span: Span | None = None) -> AsyncIterator[MediaBody]:
        content = self._files.get(key)
        if content is None:
            raise MediaGone
        asked = span or Span(0)
        yield MediaBody(size=len(content), chunks=_pieces(content[asked.start : asked.end]))

    async def delete(self, key: MediaKey) -> None:
        self._used -= len(self._files.pop(key, b""))

    def _must_be_new(self, key: MediaKey) -> None:
        if key in self._files:
            raise AlreadyStored

    def _take(self, size: int) -> None:
        if self._used + size > self._capacity:
            raise MediaUnavailable("The media store in memory is full.")
        self._used += size


def _must_fit(size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLarge


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
