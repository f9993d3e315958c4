"""Uploads go to WhatsApp before the message that shows them. Doing it twice is harmless: nobody sees a file alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.clock import Clock
from inbox.domain.errors import InboxError, Kind, MediaGone
from inbox.domain.ids import AccountId
from inbox.domain.outbound import LEASE
from inbox.domain.outgoing import Sendable, uploads, with_media_ids
from inbox.domain.outgoing_files import Document
from inbox.domain.uploads import LIVES_AT_WHATSAPP
from inbox.domain.upstream_errors import AccountProblem, FenceRefused, NothingSent, Refused
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, MediaStore
from inbox.ports.records import Outgoing
from inbox.ports.uploads import MediaUploader, OutgoingFile, Upload
from inbox.services.places import Places

_COMPANY_SECONDS: Final = 2.0
"""How long a message waits for another one that gives the same file away; then it makes room for messages without."""
_AT_ONCE: Final = 8
_WITHIN: Final = timedelta(minutes=2)


class FileNotTaken(InboxError):
    """WhatsApp's final word about a file, which counts like one about the message; `error` is that word."""

    kind = Kind.REFUSED
    code = Refused.code

    def __init__(self, error: Refused | AccountProblem) -> None:
        super().__init__(str(error))
        self.error = error


class HandingOver:
    """Remembers under which id WhatsApp has a file, for as long as it has it."""

    def __init__(
        self,
        database: Database,
        uploader: MediaUploader,
        store: MediaStore,
        clock: Clock,
        *,
        at_once: int = _AT_ONCE,
        within: timedelta = _WITHIN,
    ) -> None:
        """`at_once` files go out together, half of them for one account, each `within` this time.

        As many messages wait for files of others. A message without a file must find room beside them all.
        """
        self._database = database
        self._uploader = uploader
        self._store = store
        self._now = clock
        self._within = within
        self._under_way: dict[UUID, asyncio.Event] = {}
        self._going, self._waiting = Places(at_once, _no_place), Places(at_once, _no_place)

    async def handed_over(self, outgoing: Outgoing) -> Outgoing:
        """The message with WhatsApp's ids in the place of our uploads.

        Raises `FileNotTaken`; whatever else is raised may pass: the message was not begun.
        """
        content = outgoing.content
        if not isinstance(content, Sendable) or not outgoing.channel.is_usable:
            return outgoing
        named = uploads(content)
        if not named:
            return outgoing
        found = {upload_id: await self._given(outgoing, upload_id) for upload_id in sorted(named)}
        ready = with_media_ids(content, {upload_id: media_id for upload_id, (media_id, _) in found.items()})
        if isinstance(ready, Document) and ready.filename is None:
            ready = msgspec.structs.replace(ready, filename=next(iter(found.values()))[1])
        return msgspec.structs.replace(outgoing, content=ready)

    async def forget(self, outgoing: Outgoing) -> None:
        """WhatsApp refused the message, maybe because it has lost its files: who sends it again gives them anew."""
        if not isinstance(outgoing.content, Sendable):
            return
        for upload_id in sorted(uploads(outgoing.content)):
            with suppress(InboxError):
                await self._note(outgoing, upload_id, None)

    async def _given(self, outgoing: Outgoing, upload_id: UUID) -> tuple[str, str | None]:
        """WhatsApp's id of the file, and the file's name. Of many messages that show it only one gives it."""
        if (other := self._under_way.get(upload_id)) is None:
            return await self._given_first(outgoing, upload_id)
        with suppress(TimeoutError, NothingSent), self._waiting.taken(outgoing.account_id):
            async with asyncio.timeout(_COMPANY_SECONDS):
                await other.wait()
        upload = await self._stored(outgoing, upload_id)
        media_id = self._known(upload, outgoing.channel.phone_number_id)
        if media_id is None:
            raise NothingSent("Another message gives the same file to WhatsApp.", retry_after=_COMPANY_SECONDS)
        return media_id, upload.name

    async def _given_first(self, outgoing: Outgoing, upload_id: UUID) -> tuple[str, str | None]:
        self._under_way[upload_id] = asyncio.Event()
        try:
            upload = await self._stored(outgoing, upload_id)
            media_id = self._known(upload, outgoing.channel.phone_number_id)
            if media_id is None:
                with self._going.taken(outgoing.account_id):
                    await self._hold(outgoing)
                    media_id = await self._upload(outgoing, upload)
                await self._note(outgoing, upload_id, media_id)
        finally:
            self._under_way.pop(upload_id).set()
        return media_id, upload.name

    async def _stored(self, outgoing: Outgoing, upload_id: UUID) -> Upload:
        async with self._database.transaction() as tx:
            upload = await tx.uploads.get(outgoing.account_id, upload_id)
        if upload is None:
            raise FileNotTaken(Refused("The uploaded file is not there any more."))
        return upload

    async def _hold(self, outgoing: Outgoing) -> None:
        """A file may take longer than the claim of its message, which has to be ours when WhatsApp answers."""
        async with self._database.transaction() as tx:
            is_ours = await tx.uploads.hold(
                outgoing.account_id, outgoing.id, outgoing.token, within=self._within + LEASE
            )
        if not is_ours:
            raise FenceRefused

    def _known(self, upload: Upload, number: str) -> str | None:
        expires_at = upload.media_expires_at
        is_known = upload.media_number == number and expires_at is not None and self._now() < expires_at
        return upload.media_id if is_known else None

    async def _upload(self, outgoing: Outgoing, upload: Upload) -> str:
        try:
            async with self._store.open(MediaKey(AccountId(outgoing.account_id), upload.id)) as body:
                source = _Source(body.chunks)
                file = OutgoingFile(
                    name=upload.name or upload.kind.value, mime_type=upload.mime_type, size=body.size, chunks=source
                )
                try:
                    return await self._uploader.upload(outgoing.channel, file)
                except InboxError:
                    if source.failure is not None:
                        raise source.failure from None  # ours, whatever WhatsApp made of half a file
                    raise
        except MediaGone as error:
            raise FileNotTaken(Refused("The uploaded file is not in the media store any more.")) from error
        except (Refused, AccountProblem) as error:
            raise FileNotTaken(error) from error

    async def _note(self, outgoing: Outgoing, upload_id: UUID, media_id: str | None) -> None:
        number, expires_at = outgoing.channel.phone_number_id, self._now() + LIVES_AT_WHATSAPP
        async with self._database.transaction() as tx:
            await tx.uploads.given(
                outgoing.account_id, upload_id, media_id=media_id, number=number, expires_at=expires_at
            )


def _no_place() -> NothingSent:
    return NothingSent("Too many files go to WhatsApp already.", retry_after=_COMPANY_SECONDS)


class _Source(AsyncIterator[bytes]):
    """The stored file. `failure` is what the store raised in the middle of it."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.failure: InboxError | None = None

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except InboxError as error:
            self.failure = error
            raise
