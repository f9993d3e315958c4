"""Meta's JSON, tolerantly: everything that Meta ever left out is optional, unknown keys are ignored.

Lists hold raw items: each is decoded alone, so that one strange item never takes its neighbours along.
"""

import msgspec
from msgspec import Raw, Struct


class Envelope(Struct, frozen=True):
    """The body of a webhook."""

    entry: list[Raw] = []


class Entry(Struct, frozen=True):
    id: str = ""
    changes: list[Raw] = []


class Change(Struct, frozen=True):
    field: str = ""
    value: Raw = Raw(b"{}")


class Metadata(Struct, frozen=True):
    phone_number_id: str


class Value(Struct, frozen=True):
    """The value of field `messages`."""

    metadata: Metadata
    contacts: list[Raw] = []
    messages: list[Raw] = []
    statuses: list[Raw] = []
    errors: list[Raw] = []


class Named(Struct, frozen=True):
    name: str | None = None


class Contact(Struct, frozen=True):
    """`wa_id` is absent for users who hide their phone; `user_id` is the BSUID."""

    profile: Named = Named()
    wa_id: str | None = None
    user_id: str | None = None


class Context(Struct, frozen=True):
    id: str | None = None


class TextBody(Struct, frozen=True):
    body: str


class MediaBody(Struct, frozen=True):
    id: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool = False


class Button(Struct, frozen=True):
    text: str = ""
    payload: str | None = None


class ListReply(Struct, frozen=True):
    title: str = ""
    id: str | None = None


class Interactive(Struct, frozen=True):
    type: str = ""
    button_reply: ListReply | None = None
    list_reply: ListReply | None = None


class Location(Struct, frozen=True):
    latitude: float | str | None = None
    longitude: float | str | None = None
    name: str | None = None
    address: str | None = None


class Message(Struct, frozen=True, rename={"sender": "from", "sender_user_id": "from_user_id"}):
    """One item of `messages`. The key named by `type` holds the content."""

    id: str
    type: str
    sender: str | None = None
    sender_user_id: str | None = None
    group_id: str | None = None
    timestamp: str | int | None = None
    context: Context = Context()
    text: TextBody | None = None
    image: MediaBody | None = None
    video: MediaBody | None = None
    audio: MediaBody | None = None
    voice: MediaBody | None = None
    document: MediaBody | None = None
    sticker: MediaBody | None = None
    button: Button | None = None
    interactive: Interactive | None = None
    location: Location | None = None


class ErrorData(Struct, frozen=True):
    details: str | None = None


class Error(Struct, frozen=True):
    """In statuses and in answers. `error_data` was a plain string in older answers."""

    code: int | None = None
    title: str | None = None
    message: str | None = None
    details: str | None = None
    error_data: ErrorData | str | None = None
    error_subcode: int | None = None
    fbtrace_id: str | None = None

    @property
    def more(self) -> str | None:
        """The details, wherever this version of the API puts them."""
        if isinstance(self.error_data, ErrorData):
            return self.error_data.details
        return self.error_data or self.details


class Status(Struct, frozen=True):
    """One item of `statuses`."""

    id: str
    status: str
    timestamp: str | int | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    recipient_participant_id: str | None = None
    participant_recipient_id: str | None = None
    biz_opaque_callback_data: str | None = None
    errors: list[Error] = []
    pricing: Raw = Raw(b"null")  # msgspec takes `Raw | None` for null alone


class SentMessage(Struct, frozen=True):
    id: str | None = None


class SendAnswer(Struct, frozen=True):
    """The answer to a send."""

    messages: list[SentMessage] = []


class MediaNode(Struct, frozen=True):
    """The answer about a file. `file_size` is text on one page of Meta's."""

    url: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    file_size: int | str | None = None


class ErrorAnswer(Struct, frozen=True):
    error: Error


def error_of(body: bytes) -> Error | None:
    """The error of an answer; None if the body is not Graph's (a proxy's page or its JSON, nothing at all)."""
    try:
        error = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return error if error.code is not None else None
