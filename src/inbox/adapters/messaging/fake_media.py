"""A media source without WhatsApp: files in memory, every failure on demand."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from itertools import chain, repeat

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.errors import AccountTokenMissing, InboxError, MediaExpired, PayloadTooLarge
from inbox.ports.messaging import MediaStream


class FakeFile(msgspec.Struct, frozen=True, kw_only=True):
    """`data` so many `times` over. `breaks` is raised in the place of one byte more.

    Without `is_sized` WhatsApp does not say how long it is.
    """

    data: bytes
    mime_type: str | None
    times: int = 1
    is_sized: bool = True
    breaks: InboxError | None = None


class FakeMediaSource:
    """Gives what was put in, in pieces. `given` counts the bytes that left, `closed` is set while no file is read."""

    def __init__(self, *, piece: int = 65_536, keeps: int = 1_000) -> None:
        self.files: dict[str, FakeFile] = {}
        self.opened: deque[tuple[str, str]] = deque(maxlen=keeps)
        """Phone number id and media id of each try."""
        self.closed = asyncio.Event()
        self.closed.set()
        self.given = 0
        self._piece = piece
        self._open = 0
        self._failures: deque[InboxError] = deque(maxlen=keeps)

    def fail_next(self, error: InboxError) -> None:
        """The next opening raises `error`."""
        self._failures.append(error)

    @asynccontextmanager
    async def open(self, channel: Channel, media_id: str, *, limit: int) -> AsyncIterator[MediaStream]:
        if not channel.access_token:
            raise AccountTokenMissing
        self.opened.append((channel.phone_number_id, media_id))
        if self._failures:
            raise self._failures.popleft()
        if (file := self.files.get(media_id)) is None:
            raise MediaExpired
        size = len(file.data) * file.times + (file.breaks is not None)
        if file.is_sized and size > limit:
            raise PayloadTooLarge
        self._open += 1
        self.closed.clear()
        try:
            async with aclosing(self._pieces(file, limit)) as chunks:
                yield MediaStream(
                    mime_type=file.mime_type,
                    size=size if file.is_sized else None,
                    sha256=sha256(file.data).hexdigest() if file.times == 1 else None,
                    chunks=chunks,
                )
        finally:
            self._open -= 1
            if not self._open:
                self.closed.set()

    async def _pieces(self, file: FakeFile, limit: int) -> AsyncGenerator[bytes, None]:
        starts = range(0, len(file.data), self._piece)
        left = limit
        for start in chain.from_iterable(repeat(starts, file.times)):
            piece = file.data[start : start + self._piece]
            left -= len(piece)
            if left < 0:
                raise PayloadTooLarge
            self.given += len(piece)
            yield piece
        if file.breaks is not None:
            raise file.breaks
