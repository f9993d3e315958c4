"""`multipart/form-data` (RFC 7578) with one streamed file: an upload never lies in memory as a whole."""

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

# A quote or a line break in a name would end it early (WHATWG, "multipart/form-data encoding algorithm").
_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class FilePart(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the field, `filename` what the receiver shows, `size` in bytes if known before."""

    name: str
    filename: str
    mime: str
    chunks: AsyncIterator[bytes]
    size: int | None = None


class Multipart(msgspec.Struct, frozen=True, kw_only=True):
    """Headers and content for `ApiClient.call`."""

    headers: Mapping[str, str]
    content: AsyncIterator[bytes]


def multipart(fields: Mapping[str, str], file: FilePart) -> Multipart:
    """One form: the fields, then the file. With a known size the request has a Content-Length, else it is chunked."""
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_ESCAPES)}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file.name.translate(_ESCAPES)}"; '
        f'filename="{file.filename.translate(_ESCAPES)}"\r\n'
        f"Content-Type: {file.mime.translate(_ESCAPES)}\r\n\r\n"
    )
    first, last = head.encode(), f"\r\n--{boundary}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    if file.size is not None:
        headers["content-length"] = str(len(first) + file.size + len(last))
    return Multipart(headers=headers, content=_parts(first, file.chunks, last))


async def _parts(first: bytes, chunks: AsyncIterator[bytes], last: bytes) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk
    yield last
