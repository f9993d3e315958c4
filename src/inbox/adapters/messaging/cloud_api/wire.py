"""Meta's JSON, tolerantly: everything that Meta ever left out is optional, unknown keys are ignored.

Here is what all calls share and what answers hold; `wire_inbound` has the items of webhooks.
"""

from http import HTTPStatus

import msgspec
from msgspec import Raw, Struct


class Change(Struct, frozen=True):
    """`field` says what `value` is about, and with it its shape."""

    field: str = ""
    value: Raw = Raw(b"{}")


class Entry(Struct, frozen=True):
    """`id` is a WABA's, save for a few fields; `time`, in seconds, comes with fields that are about no message."""

    id: str = ""
    time: str | int | float | None = None
    changes: list[Change] = []


class Envelope(Struct, frozen=True):
    """The body of a webhook, if nothing about its frame is strange."""

    entry: list[Entry] = []


class LooseEnvelope(Struct, frozen=True):
    """The body of any other webhook: its entries are read one by one."""

    entry: list[Raw] = []


class LooseEntry(Struct, frozen=True):
    id: Raw = Raw(b'""')
    time: Raw = Raw(b"null")
    changes: list[Raw] = []


class ErrorData(Struct, frozen=True):
    details: str | None = None


class Error(Struct, frozen=True):
    """In webhooks and in answers. `error_data` was a plain string in older answers."""

    code: int | None = None
    title: str | None = None
    message: str | None = None
    details: str | None = None
    error_data: ErrorData | str | None = None
    error_subcode: int | None = None
    fbtrace_id: str | None = None
    error_user_msg: object = None

    @property
    def more(self) -> str | None:
        """The details, wherever this version of the API puts them."""
        if isinstance(self.error_data, ErrorData):
            return self.error_data.details
        return self.error_data or self.details

    @property
    def for_people(self) -> str | None:
        """What Meta wrote to be shown, with calls that change something."""
        return self.error_user_msg if isinstance(self.error_user_msg, str) and self.error_user_msg else None


class SentMessage(Struct, frozen=True):
    id: str | None = None


class SendAnswer(Struct, frozen=True):
    """The answer to a send."""

    messages: list[SentMessage] = []


class UploadAnswer(Struct, frozen=True):
    """The answer to a file."""

    id: str = ""


class MediaNode(Struct, frozen=True):
    """The answer about a file. `file_size` is text on one page of Meta's."""

    url: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    file_size: int | str | None = None


class ErrorAnswer(Struct, frozen=True):
    error: Error


def is_success(status: int) -> bool:
    """Whether WhatsApp says yes (RFC 9110, section 15.3)."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def error_of(body: bytes) -> Error | None:
    """The error of an answer; None if the body is not Graph's (a proxy's page or its JSON, nothing at all)."""
    try:
        error = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return error if error.code is not None else None
