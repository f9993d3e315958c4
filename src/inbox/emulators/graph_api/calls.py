"""One call to the API and its answer."""

from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from inbox.emulators.graph_api.errors import GraphError

_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


class Part(msgspec.Struct, frozen=True):
    """A part of a multipart body; a field without a filename is a plain value."""

    name: str
    filename: str | None
    content_type: str
    data: bytes


class Call(msgspec.Struct, kw_only=True):
    """`path` is without the version, `segments` its parts. Header names are lower case."""

    method: str
    version: str
    path: str
    segments: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    base_url: str
    document: dict[str, Any] | None = None  # the parsed body, once asked for

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises GraphError 100 for anything else."""
        if self.document is None:
            self.document = self._parse() if self.body else {}
        return self.document

    def _parse(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise GraphError(100, message="(#100) The request body is not valid JSON.") from None
        if not isinstance(found, dict):
            raise GraphError(100, message="(#100) The request body must be a JSON object.")
        return found

    def parameters(self) -> dict[str, Any]:
        """Query, form and JSON body together: Graph takes a parameter from wherever it stands."""
        found: dict[str, Any] = dict(self.query)
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == _FORM:
            found.update(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        elif content_type == _MULTIPART:
            found.update({part.name: part.data.decode("utf-8", "replace") for part in self.parts()})
        else:
            found.update(self.json())
        return found

    def parts(self) -> list[Part]:
        """The parts of a multipart body (RFC 7578). Raises GraphError 100 if it is none."""
        header = Message()
        header["content-type"] = self.headers.get("content-type", "")
        boundary = header.get_param("boundary")
        if header.get_content_type() != _MULTIPART or not isinstance(boundary, str):
            raise GraphError(100, message="(#100) The request must be multipart/form-data.")
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary.encode())
        return [_part(piece) for piece in pieces[1:] if not piece.startswith(b"--")]

    def bearer(self) -> str:
        """The access token, from the header or the query; empty if there is none."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() in {"bearer", "oauth"}:
            return value.strip()
        return self.query.get("access_token", "")


class Answer(msgspec.Struct, frozen=True):
    """What goes back: a JSON document, or bytes with their type."""

    document: dict[str, Any] | None = None
    status: int = 200
    content: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = {}

    def body(self) -> bytes:
        return self.content if self.document is None else msgspec.json.encode(self.document)


def success() -> Answer:
    return Answer({"success": True})


def _part(piece: bytes) -> Part:
    head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    header = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        header[name.strip()] = value.strip()
    field = header.get_param("name", "", "content-disposition")
    return Part(
        name=field if isinstance(field, str) else "",
        filename=header.get_filename(),
        content_type=header.get("content-type", "text/plain"),
        data=data,
    )
