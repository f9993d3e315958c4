"""Files on their way to customers: the rows of what people uploaded, and the way to WhatsApp."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId, MessageId, UserId
from inbox.domain.uploads import UploadKind
from inbox.ports.media import MediaKey, Stored
from inbox.ports.views import Timestamp

_ID = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that begins to come. `name` is what whoever sent it called it."""

    id: UUID
    account_id: AccountId
    kind: UploadKind
    name: str | None
    created_by: UserId


class UploadItem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be sent, under its `id`. `sha256` in hexadecimal digits, `size` in bytes."""

    id: _ID
    account_id: _ID
    kind: UploadKind
    mime_type: str
    size: int
    sha256: str
    name: str | None
    created_at: Timestamp


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file. `media_id` is WhatsApp's for it: of one of our numbers, and until `media_expires_at`."""

    id: UUID
    kind: UploadKind
    mime_type: str
    size: int
    name: str | None
    media_id: str | None
    media_number: str | None
    media_expires_at: datetime | None


class GivenUp(msgspec.Struct, frozen=True):
    """A file that is to be removed, and since when there is a row of it."""

    key: MediaKey
    created_at: datetime


class Uploads(Protocol):
    """Only whole files are found: one that was begun and never finished, or is being removed, is not there."""

    async def begin(self, new: NewUpload) -> None:
        """Before the first byte is stored, so that whatever is stored has a row."""
        ...

    async def complete(self, account_id: AccountId, upload_id: UUID, stored: Stored) -> UploadItem | None:
        """The whole file is in the store. None if it was given up meanwhile."""
        ...

    async def get(self, account_id: AccountId, upload_id: UUID) -> Upload | None: ...

    async def use(self, account_id: AccountId, upload_ids: Collection[UUID]) -> list[Upload]:
        """Those of the account, which stay for good from the commit on."""
        ...

    async def show(self, account_id: AccountId, message_id: MessageId, upload_id: UUID) -> None:
        """Makes it the file of a message of ours, as one that a customer sent is that of theirs."""
        ...

    async def hold(self, account_id: AccountId, message_id: MessageId, token: UUID, *, within: timedelta) -> bool:
        """Nobody else claims the message `within` this time, in which its file goes out. False: it is not ours."""
        ...

    async def given(
        self, account_id: AccountId, upload_id: UUID, *, media_id: str | None, number: str, expires_at: datetime
    ) -> None:
        """WhatsApp has it under `media_id`, for the phone number id `number`. None: it has it no longer."""
        ...

    async def give_up(self, age: timedelta, limit: int, behind: GivenUp | None) -> list[GivenUp]:
        """From now on these are not there: no message used them for as long, or they were given up before.

        The oldest first, after `behind`; None is from the beginning.
        """
        ...

    async def remove(self, keys: Sequence[MediaKey]) -> None:
        """Their files are gone. Those that can be sent stay."""
        ...


class OutgoingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as WhatsApp gets it. `chunks` gives `size` bytes, once."""

    name: str
    mime_type: str
    size: int
    chunks: AsyncIterator[bytes]


class MediaUploader(Protocol):
    """Gives WhatsApp files that messages will show."""

    async def upload(self, channel: Channel, file: OutgoingFile) -> str:
        """One attempt; returns WhatsApp's id, good for this number for 30 days. Repeating it does no harm.

        Raises `Refused` (WhatsApp does not take this file), `AccountProblem`, `TryLater`, and `NothingSent` for all
        else, as after no answer at all.
        """
        ...
