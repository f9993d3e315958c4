"""Gives files to WhatsApp: `POST /{version}/{phone number id}/media` (Meta, media), piece by piece."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api import errors
from inbox.adapters.messaging.cloud_api.wire import UploadAnswer, is_success
from inbox.domain.accounts import Channel
from inbox.domain.errors import CircuitOpen, InboxError, Overloaded, WhatsAppNotConfigured
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown
from inbox.kit.http import ApiClient, CallFailed, Reply
from inbox.kit.multipart import FilePart, multipart
from inbox.kit.resilience import Guard
from inbox.ports.uploads import OutgoingFile

_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MISCONFIGURED: Final[Mapping[str, str]] = {
    "not_allowed": "The address of the Graph API is not allowed.",
    "invalid_request": "The phone number id or the access token cannot be used in a request.",
}


class CloudApiUploader:
    """The uploader of the Cloud API."""

    def __init__(self, api: ApiClient, guard: Guard, *, version: str) -> None:
        """The guard's policy has one attempt: a file comes once."""
        self._api = api
        self._guard = guard
        self._version = version
        self._doubts = errors.Doubts()

    async def upload(self, channel: Channel, file: OutgoingFile) -> str:
        if not channel.is_usable:
            raise AccountProblem(WhatsAppNotConfigured.message)
        try:
            return await self._guard.call(
                lambda: self._attempt(channel, file),
                on_timeout=lambda: NothingSent("WhatsApp did not take the file in time."),
            )
        except (CircuitOpen, Overloaded) as error:
            raise NothingSent(str(error), retry_after=error.retry_after) from error

    async def _attempt(self, channel: Channel, file: OutgoingFile) -> str:
        part = FilePart(name="file", filename=file.name, mime=file.mime_type, chunks=file.chunks, size=file.size)
        form = multipart({"messaging_product": "whatsapp", "type": file.mime_type}, part)
        try:
            reply = await self._api.call(
                "POST",
                f"/{self._version}/{channel.phone_number_id}/media",
                headers={"authorization": f"Bearer {channel.access_token}", **form.headers},
                content=form.content,
            )
        except CallFailed as failed:
            raise _failure(failed) from failed
        if not is_success(reply.status):
            error = errors.of_send(reply.status, reply.headers, reply.body)
            raise _not_taken(self._doubts.judged(error, channel.phone_number_id))
        self._doubts.end()
        return _media_id(reply)


def _not_taken(error: InboxError) -> InboxError:
    """What became of the file does not matter: WhatsApp may have it twice."""
    if not isinstance(error, OutcomeUnknown):
        return error
    is_of_one = isinstance(error, errors.OfOneNumber)
    return errors.FileOfOneNumber(str(error)) if is_of_one else NothingSent(str(error))


def _media_id(reply: Reply) -> str:
    try:
        found = msgspec.json.decode(reply.body, type=UploadAnswer).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = ""
    if not _MEDIA_ID.fullmatch(found):
        raise NothingSent("WhatsApp took the file and did not say under which id.")
    return found


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in _MISCONFIGURED:
        return AccountProblem(_MISCONFIGURED[failed.reason])
    if failed.reason == "pool_timeout":
        return errors.NotTried("No connection for files is free.")
    return NothingSent(f"WhatsApp did not take the file ({failed.reason}).")
