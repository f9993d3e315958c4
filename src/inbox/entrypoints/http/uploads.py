"""Files from people, to be sent: `POST /media/uploads`, piece by piece."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, NewType

from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, InternalServerException
from litestar.params import QueryParameter

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound, Invalid
from inbox.domain.ids import AccountId
from inbox.domain.uploads import MOST_BYTES, UploadKind, too_large
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.form_reading import one_file
from inbox.ports.uploads import UploadItem
from inbox.services.uploads import GivenFile, Uploads

UploadSeconds = NewType("UploadSeconds", float)
"""How long a file may take to come."""
FIELD: Final = "file"
IDLE_SECONDS: Final = 20.0
"""How long a client may be silent in the middle of a file."""
_FRAME: Final = 64 * 1024
"""Bytes of a form beside its file."""
_KINDS: Final = [kind.value for kind in UploadKind]
_KIND: Final = QueryParameter(schema_extra={"type": "string", "enum": _KINDS})


@post(
    "/media/uploads",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    file_field=FIELD,
    responses=documented(*SIGNED_IN, 400, 404, 408, 413, 415, 422),
)
@inject
async def upload(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    uploads: FromDishka[Uploads],
    seconds: FromDishka[UploadSeconds],
    account_id: Annotated[str | None, QueryParameter()] = None,
    kind: Annotated[str | None, _KIND] = None,
) -> UploadItem:
    """Takes a file that messages of the account can show as `upload_id`, as often as needed.

    `kind` is as what it will be sent, and decides what is taken (WhatsApp's limits): `image` JPEG or PNG up to 5 MB,
    `video` MP4 or 3GP and `audio` up to 16 MB, `voice` OGG with Opus in one channel, `document` PDF, text or Office up
    to 100 MB, `sticker` WebP of 512 x 512. What no message shows is removed after some days.
    """
    if account_id is None:
        raise Invalid("query.account_id", "required")
    account = AccountId(object_id(account_id, AccountNotFound))
    await uploads.admit(actor, account)
    if kind not in _KINDS:
        raise Invalid("query.kind", f"one of {', '.join(_KINDS)}")
    wanted = UploadKind(kind)
    if (request.content_length or 0) > MOST_BYTES[wanted] + _FRAME:
        raise too_large(wanted)
    content_type, options = request.content_type
    if content_type != "multipart/form-data" or not options.get("boundary"):
        raise HTTPException(status_code=415)
    file = await one_file(options["boundary"], pieces_of(request, seconds=seconds), field=FIELD)
    given = GivenFile(name=file.name, mime_type=file.mime_type, chunks=file.chunks)
    return await uploads.take(actor, account, wanted, given)


async def pieces_of(
    request: Request[Any, Any, Any], *, seconds: float, idle: float = IDLE_SECONDS
) -> AsyncIterator[bytes]:
    """The body as it comes, all of it within `seconds`, each piece within `idle`. Raises 408, also if nobody sends."""
    until = time.monotonic() + seconds
    body = request.stream()
    while True:
        try:
            async with asyncio.timeout(max(0.0, min(idle, until - time.monotonic()))):
                piece = await anext(body, None)
        except (TimeoutError, InternalServerException) as error:  # the framework's word for a client that left
            raise HTTPException(status_code=408) from error
        if piece is None:
            return
        yield piece


uploads_router = Router("/", route_handlers=[upload], request_max_body_size=max(MOST_BYTES.values()) + _FRAME)
