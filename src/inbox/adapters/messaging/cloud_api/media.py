"""Fetches files through Meta's Graph API: `GET /{version}/{media id}` names an address, `GET` there gives the bytes."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api.wire import MediaNode, error_of
from inbox.domain.accounts import Channel
from inbox.domain.errors import (
    AccountTokenMissing,
    CircuitOpen,
    InboxError,
    Kind,
    MediaExpired,
    MediaGone,
    MediaUrlMissing,
    Overloaded,
    PayloadTooLarge,
)
from inbox.domain.upstream_errors import Refused, TryLater, WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.http import ApiClient, CallFailed, Reach, Reply, StreamedReply
from inbox.kit.resilience import Guard, provider_failed
from inbox.ports.messaging import MEDIA_IDLE_SECONDS, MediaStream

_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ABSOLUTE: Final = re.compile(r"https?://[^/]")
"""Anything else would be taken for a path of the Graph API."""
_OK: Final = 200
_TOO_MANY: Final = 429
_THROTTLES: Final = frozenset({4, 80007, 130429})
_UNKNOWN_ID: Final = frozenset({100, 803})
_GONE: Final = frozenset({404, 410})
_OVER_FOR_THE_FILE: Final = 131052
_MISCONFIGURED: Final[Mapping[str, str]] = {
    "not_allowed": "The file's address is not one of WhatsApp's.",
    "invalid_request": "The access token or the file's address cannot be used in a request.",
}
_THROTTLED_SECONDS: Final = 30.0
"""How long to leave a throttled app alone where Meta names no time."""


class _NotTheFile(InboxError):
    """WhatsApp lives and answers, but not with the file: neither worth a second try nor a sign of an outage."""

    kind = Kind.REFUSED
    code = Refused.code


class _NotTried(InboxError):
    """No free connection of ours: it says nothing about WhatsApp."""

    kind = Kind.UNAVAILABLE
    code = WhatsAppUnavailable.code


def is_outage(error: Exception) -> bool | None:
    """True for what speaks against WhatsApp's media, None for what never reached it."""
    return None if isinstance(error, _NotTried) else provider_failed(error)


class CloudApiMedia:
    """The media source of the Cloud API."""

    def __init__(self, api: ApiClient, guard: Guard, *, version: str, idle: float = MEDIA_IDLE_SECONDS) -> None:
        """`api` allows the origins from which Meta serves files. `idle` is seconds between two pieces."""
        self._api = api
        self._guard = guard
        self._version = version
        self._idle = idle

    @asynccontextmanager
    async def open(self, channel: Channel, media_id: str, *, limit: int) -> AsyncIterator[MediaStream]:
        if not channel.access_token:
            raise AccountTokenMissing
        if not _MEDIA_ID.fullmatch(media_id):
            raise MediaExpired("This is no id of a file at WhatsApp.")
        async with AsyncExitStack() as stack:
            opening = self._guard.opening(
                lambda: self._opened(channel, media_id, limit),
                on_timeout=lambda: WhatsAppTimeout("WhatsApp did not give the file in time."),
            )
            try:
                stream = await stack.enter_async_context(opening)
            except (CircuitOpen, Overloaded, TryLater, _NotTried) as error:
                raise WhatsAppUnavailable(str(error), retry_after=error.retry_after) from error
            except _NotTheFile as error:
                raise WhatsAppError(str(error)) from error
            yield stream

    @asynccontextmanager
    async def _opened(self, channel: Channel, media_id: str, limit: int) -> AsyncIterator[MediaStream]:
        headers = {"authorization": f"Bearer {channel.access_token}"}
        async with AsyncExitStack() as stack:
            try:
                node = _node(await self._described(channel, media_id, headers))
                reply = await stack.enter_async_context(
                    self._api.stream("GET", node.url, headers=headers, limit=limit, idle=self._idle)
                )
            except CallFailed as failed:
                raise _failure(failed) from failed
            _check_file(reply)
            size = _length(reply.headers.get("content-length"))
            size = node.size if size is None else size
            if size is not None and size > limit:
                raise PayloadTooLarge(f"The file has more than {limit} bytes.")
            chunks = await stack.enter_async_context(aclosing(_whole(reply.chunks, size)))
            mime_type = node.mime_type or reply.headers.get("content-type")
            yield MediaStream(mime_type=mime_type, size=size, sha256=node.sha256, chunks=chunks)

    async def _described(self, channel: Channel, media_id: str, headers: dict[str, str]) -> Reply:
        params = {"phone_number_id": channel.phone_number_id} if channel.phone_number_id else None
        return await self._api.call("GET", f"/{self._version}/{media_id}", headers=headers, params=params)


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    """The readable part of a media node."""

    url: str
    mime_type: str | None
    sha256: str | None
    size: int | None


def _node(reply: Reply) -> _Node:
    if reply.status != _OK:
        raise _node_refused(reply)
    try:
        found = msgspec.json.decode(reply.body, type=MediaNode)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WhatsAppError("WhatsApp's description of the file cannot be read.") from None
    if not found.url:
        raise MediaUrlMissing
    if not _ABSOLUTE.match(found.url):
        raise _NotTheFile(_MISCONFIGURED["not_allowed"])
    return _Node(url=found.url, mime_type=found.mime_type, sha256=found.sha256, size=_length(found.file_size))


def _node_refused(reply: Reply) -> InboxError:
    """The error for an answer about the node that is not 200. No words of Meta: they quote ids."""
    error = error_of(reply.body)
    code = None if error is None else error.code
    if reply.status == _TOO_MANY or code in _THROTTLES:
        return _throttled(reply.headers.get("retry-after"))
    if code in _UNKNOWN_ID:
        return MediaExpired()
    if code == _OVER_FOR_THE_FILE:
        return MediaGone()
    return _other(reply.status, code)


def _check_file(reply: StreamedReply) -> None:
    """Raises unless this answer is the file: there is no Graph error at the address of a file, only a status."""
    if reply.status == _OK:
        return
    if reply.status == _TOO_MANY:
        raise _throttled(reply.headers.get("retry-after"))
    if reply.status in _GONE:
        raise MediaGone
    raise _other(reply.status, None)


def _throttled(retry_after: str | None) -> TryLater:
    return TryLater("app", retry_after=_length(retry_after) or _THROTTLED_SECONDS)


def _other(status: int, code: int | None) -> InboxError:
    words = f"WhatsApp answered {status}" + ("." if code is None else f" with code {code}.")
    is_passing = status >= 500 or status == 408  # noqa: PLR2004 - Request Timeout
    return WhatsAppError(words) if is_passing or code in (1, 2) else _NotTheFile(words)


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in _MISCONFIGURED:
        return _NotTheFile(_MISCONFIGURED[failed.reason])
    if failed.reason == "pool_timeout":
        return _NotTried("No connection for files is free.")
    if failed.reason in ("read_timeout", "connect_timeout"):
        return WhatsAppTimeout(f"WhatsApp did not give the file in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return WhatsAppError(f"WhatsApp's answer broke off ({failed.reason}).")
    return WhatsAppUnavailable(f"WhatsApp could not be reached ({failed.reason}).")


async def _whole(pieces: AsyncIterator[bytes], size: int | None) -> AsyncGenerator[bytes, None]:
    """The pieces, never more than `size` bytes, and an error where fewer come: a part must not pass for the whole."""
    seen = 0
    try:
        async for piece in pieces:
            seen += len(piece)
            if size is not None and seen > size:
                raise WhatsAppError("The file is longer than WhatsApp said.")
            yield piece
    except CallFailed as failed:
        raise (PayloadTooLarge() if failed.reason == "too_large" else _failure(failed)) from failed
    if size is not None and seen < size:
        raise WhatsAppError("The file is shorter than WhatsApp said.")


def _length(text: str | int | None) -> int | None:
    """A number of bytes or seconds. Meta writes sizes as numbers and, on one page, as text."""
    if isinstance(text, int):
        return text if text >= 0 else None
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004
