"""A form with one file (`multipart/form-data`, RFC 7578), read as it comes: the file never lies in memory as a whole.

The only importer of multipart. `kit/multipart.py` writes such forms.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from inbox.domain.errors import Invalid

_MOST_PARTS: Final = 2
"""One more than are taken: it is refused by its name."""


class FormFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a form. `name` and `mime_type` are the client's words.

    `chunks` raises `Invalid` if the form does not end as it should: what came before it is not the whole file.
    """

    name: str
    mime_type: str | None
    chunks: AsyncIterator[bytes]


async def one_file(boundary: str, body: AsyncIterator[bytes], *, field: str) -> FormFile:
    """The file in `field`, the only part that there may be. Raises `Invalid`, and what `body` raises."""
    events = _events(boundary, body)
    async for event in events:
        if isinstance(event, MultipartSegment) and event.name == field and event.filename is not None:
            return FormFile(name=event.filename, mime_type=event.content_type, chunks=_content(events, field))
        break
    raise Invalid(f"body.{field}", "required: a file, and nothing else", case="file_missing")


async def _content(events: AsyncIterator[MultipartSegment | bytes | None], field: str) -> AsyncIterator[bytes]:
    async for event in events:
        if isinstance(event, MultipartSegment):
            raise Invalid(f"body.{field}", "one file, and nothing else", case="file_missing")
        if event is not None:
            yield event


async def _events(boundary: str, body: AsyncIterator[bytes]) -> AsyncGenerator[MultipartSegment | bytes | None, None]:
    """A part's head, its bytes and None for its end; then the next part. Leaving the block checks that all came."""
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
            async for piece in body:
                if piece:
                    for event in parser.parse(piece):
                        yield bytes(event) if isinstance(event, bytearray) else event
    except (MultipartError, UnicodeDecodeError, LookupError):
        raise Invalid("body", "not readable as multipart/form-data", case="file_cut_off") from None
