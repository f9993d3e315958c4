"""An uploader without WhatsApp: remembers what it was given, every failure on demand."""

from collections import deque
from itertools import count

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.upstream_errors import AccountProblem
from inbox.ports.uploads import OutgoingFile


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A file as WhatsApp would have it, under `media_id`. `largest` is the size of its largest piece."""

    media_id: str
    phone_number_id: str
    name: str
    mime_type: str
    size: int
    largest: int
    data: bytes


class FakeUploader:
    """Takes everything, or fails as told. `keeps` bounds what is remembered."""

    def __init__(self, *, keeps: int = 1_000) -> None:
        self.given: deque[Given] = deque(maxlen=keeps)
        self._failures: deque[InboxError] = deque(maxlen=keeps)
        self._serial = count(1)

    def fail_next(self, error: InboxError) -> None:
        """The next upload raises `error`, when all of the file was read."""
        self._failures.append(error)

    async def upload(self, channel: Channel, file: OutgoingFile) -> str:
        if not channel.is_usable:
            raise AccountProblem(WhatsAppNotConfigured.message)
        pieces = [piece async for piece in file.chunks]
        if self._failures:
            raise self._failures.popleft()
        media_id = f"78{next(self._serial):06d}"
        self.given.append(
            Given(
                media_id=media_id,
                phone_number_id=channel.phone_number_id,
                name=file.name,
                mime_type=file.mime_type,
                size=file.size,
                largest=max(map(len, pieces), default=0),
                data=b"".join(pieces),
            )
        )
        return media_id
