"""Files of messages, piece by piece."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Final

import msgspec
import structlog
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound, InboxError, MessageNotFound
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.media import MediaState
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.entrypoints.http.ranges import wanted
from inbox.kit.disposition import content_disposition, may_be_inline, plain_type, safe_name
from inbox.services.media import Media, OpenMedia

CLIENT_SECONDS: Final = 60.0
"""A client that takes no piece for so long is given up: it holds a connection to WhatsApp."""
UNKNOWN_TYPE: Final = "application/octet-stream"
_SUFFIXES: Final[Mapping[str, str]] = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "text/csv": "csv",
    "text/plain": "txt",
    "video/3gpp": "3gp",
    "video/mp4": "mp4",
}
"""Of what WhatsApp takes. Anything else is `bin`: a suffix decides what opens the file."""

_log = structlog.stdlib.get_logger("inbox.http")


class FilesChecked(msgspec.Struct, frozen=True, kw_only=True):
    """Files with a row: older messages of the existing system have none."""

    status: str = "ok"
    total: int
    stored: int
    pending: int
    lost: int


class Passing:
    """An answer that is opened when it is sent, so that whatever goes wrong before the first byte is still a problem.

    Later nothing can be said any more: the connection breaks, and a part does not pass for the whole.
    """

    def __init__(
        self,
        opening: AbstractAsyncContextManager[OpenMedia],
        message_id: MessageId,
        *,
        client_seconds: float = CLIENT_SECONDS,
    ) -> None:
        self._opening = opening
        self._message_id = message_id
        self._client_seconds = client_seconds

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application. The file is closed when the client goes away."""
        async with self._opening as media:
            passing = asyncio.create_task(self._pass(media, send))
            gone = asyncio.create_task(_disconnected(receive))
            try:
                await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                is_passed = passing.done()
                passing.cancel()
                gone.cancel()
                await asyncio.wait((passing, gone))
            if is_passed:
                passing.result()

    async def _pass(self, media: OpenMedia, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in headers_of(media, self._message_id).items()]
        status = 200 if media.span is None else 206
        await send({"type": "http.response.start", "status": status, "headers": headers})
        try:
            async for piece in media.chunks:
                async with asyncio.timeout(self._client_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                # granian takes pieces for a client that left at once: without a pause nobody hears that it did.
                await asyncio.sleep(0)
        except (InboxError, TimeoutError) as error:
            # The status is out: breaking the connection is all that is left to say.
            code = error.code if isinstance(error, InboxError) else "client_too_slow"
            _log.warning("media_broken_off", code=code)
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def headers_of(media: OpenMedia, message_id: MessageId) -> dict[str, str]:
    """Names in lower case. Type and name are a stranger's words: checked, and never a reason to run anything."""
    media_type = plain_type(media.mime_type) or plain_type(media.row.mime_type) or UNKNOWN_TYPE
    name = safe_name(media.row.filename) or _own_name(media.row.message_type, media_type, message_id)
    headers = {
        "content-type": media_type,
        "content-disposition": content_disposition(name, is_inline=may_be_inline(media_type, name)),
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
    }
    return headers | _extent(media)


def _extent(media: OpenMedia) -> dict[str, str]:
    """How much comes, and whether parts can be asked for."""
    headers = {} if media.etag is None else {"accept-ranges": "bytes", "etag": media.etag}
    if media.size is None:
        return headers
    if media.span is None:
        return {**headers, "content-length": str(media.size)}
    start, end = media.span.start, media.size if media.span.end is None else media.span.end
    return {
        **headers,
        "content-length": str(end - start),
        "content-range": f"bytes {start}-{end - 1}/{media.size}",
    }


def _own_name(message_type: str | None, media_type: str, message_id: MessageId) -> str:
    kind = message_type if message_type is not None and message_type.isascii() and message_type.isalpha() else "file"
    return f"{kind[:16].lower()}-{message_id}.{_SUFFIXES.get(media_type, 'bin')}"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@get(
    "/messages/media/{message_id:str}",
    permission=Permission.MESSAGES_VIEW,
    responses={
        200: ResponseSpec(bytes, description="The file.", media_type="*/*", generate_examples=False),
        206: ResponseSpec(bytes, description="A part of the file.", media_type="*/*", generate_examples=False),
        **documented(*SIGNED_IN, 400, 404, 410, 413, 416),
    },
)
@inject
async def show_media(
    message_id: FromPath[str],
    actor: NamedDependency[Actor],
    media: FromDishka[Media],
    range_header: Annotated[str | None, HeaderParameter(name="range")] = None,
    if_range: Annotated[str | None, HeaderParameter(name="if-range")] = None,
) -> ASGIApp:
    """The file of a message: from our store, or passed through from WhatsApp as long as it is not there yet.

    A stored file has an `ETag` and may be asked for in parts (`Range`, one range of bytes). `Content-Disposition` is
    `inline` for pictures, sound, film and PDF only. If the connection breaks, what came is not the whole file.
    """
    found = MessageId(object_id(message_id, MessageNotFound))
    return Passing(media.open(actor, found, partial(wanted, range_header, if_range)), found)


@post(
    "/messages/check-media/{conversation_id:str}",
    status_code=200,
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def check_media(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], media: FromDishka[Media]
) -> FilesChecked:
    """How many files of the conversation are kept here, still come, or are lost; those to come are tried at once."""
    counts = await media.check(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))
    stored, pending = counts.get(MediaState.STORED, 0), counts.get(MediaState.PENDING, 0)
    total = sum(counts.values())
    return FilesChecked(total=total, stored=stored, pending=pending, lost=total - stored - pending)


media_router = Router("/", route_handlers=[show_media, check_media])
