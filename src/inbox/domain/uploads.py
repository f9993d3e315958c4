"""Files that people give us to send: what WhatsApp takes of each kind, and where a message shows one."""

import struct
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.errors import Invalid, PayloadTooLarge
from inbox.domain.limits_checks import inside
from inbox.domain.limits_files import MAX_FILENAME, VOICE
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import File, TemplateFile

HEAD_BYTES: Final = 4096
"""How much of a file is enough to know it by."""
LIVES_AT_WHATSAPP: Final = timedelta(days=29)
"""WhatsApp keeps what we gave it for 30 days; the last one is left for messages that wait."""
PATH: Final = "body.file"
"""Where the file stands in a request."""

_MB: Final = 1024 * 1024
_STILL_STICKER: Final = 100 * 1024
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OGG: Final = "audio/ogg"


class UploadKind(StrEnum):
    """As what it is to be sent."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"


MOST_BYTES: Final[Mapping[UploadKind, int]] = {
    UploadKind.IMAGE: 5 * _MB,
    UploadKind.VIDEO: 16 * _MB,
    UploadKind.AUDIO: 16 * _MB,
    UploadKind.VOICE: 16 * _MB,
    UploadKind.DOCUMENT: 100 * _MB,
    UploadKind.STICKER: 500 * 1024,
}
"""Of one file (Meta, media). A sticker that does not move has at most 100 KB."""
_TYPES: Final[Mapping[UploadKind, frozenset[str]]] = {
    UploadKind.IMAGE: frozenset({"image/jpeg", "image/png"}),
    UploadKind.VIDEO: frozenset({"video/mp4", "video/3gpp"}),
    UploadKind.AUDIO: frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", _OGG}),
    UploadKind.VOICE: frozenset({_OGG}),
    UploadKind.STICKER: frozenset({"image/webp"}),
    UploadKind.DOCUMENT: frozenset(
        {
            "application/msword",
            "application/pdf",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            f"{_OFFICE}presentationml.presentation",
            f"{_OFFICE}spreadsheetml.sheet",
            f"{_OFFICE}wordprocessingml.document",
            "text/plain",
        }
    ),
}
_WANTED: Final[Mapping[UploadKind, str]] = {
    UploadKind.IMAGE: "a picture has to be JPEG or PNG",
    UploadKind.VIDEO: "a video has to be MP4 or 3GP",
    UploadKind.AUDIO: "sound has to be AAC, AMR, MP3, M4A, or OGG with Opus",
    UploadKind.VOICE: VOICE,
    UploadKind.DOCUMENT: "a document has to be PDF, plain text, or of Word, Excel or PowerPoint",
    UploadKind.STICKER: "a sticker has to be WebP, 512 x 512",
}
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "application/mp4": "video/mp4",
    "application/ogg": _OGG,
    "audio/m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/opus": _OGG,
    "audio/x-aac": "audio/aac",
    "audio/x-m4a": "audio/mp4",
    "image/jpg": "image/jpeg",
    "text/csv": "text/plain",
}
"""What browsers and phones call these types, in the words that WhatsApp knows."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """An upload in a message, as what it is shown, and the path of its id inside the content."""

    path: str
    kind: UploadKind
    upload_id: UUID


def uses(content: Sendable) -> Iterator[Use]:
    """The uploads that a message shows, wherever they stand."""
    return _uses(content, "", "")


def _uses(part: object, path: str, name: str) -> Iterator[Use]:
    if isinstance(part, File | TemplateFile):
        if part.upload_id is not None:
            kind = name if isinstance(part, TemplateFile) else str(part.__struct_config__.tag)
            yield Use(path=inside(path, "upload_id"), kind=UploadKind(kind), upload_id=part.upload_id)
    elif isinstance(part, tuple):
        for place, element in enumerate(part):
            yield from _uses(element, f"{path}[{place}]", name)
    elif isinstance(part, msgspec.Struct):
        for field in part.__struct_fields__:
            yield from _uses(getattr(part, field), inside(path, field), field)


def may_be_shown_as(kind: UploadKind, wanted: UploadKind) -> bool:
    """Whether a file that came as `kind` can be sent as `wanted`. Whatever there is can be sent as a document."""
    is_sound = (kind, wanted) == (UploadKind.VOICE, UploadKind.AUDIO)
    return kind is wanted or wanted is UploadKind.DOCUMENT or is_sound


def whatsapp_type(kind: UploadKind, found: str, size: int, head: bytes) -> str:
    """The type under which WhatsApp takes a file of `size` bytes that begins with `head`.

    `found` is the type as its bytes bear it out. Raises `Invalid`, which says what is wanted, and `PayloadTooLarge`.
    """
    if size == 0:
        raise Invalid(PATH, "not empty", case="file_empty")
    mime_type = _OTHER_NAMES.get(found, found)
    if kind is UploadKind.AUDIO and mime_type == "video/mp4":
        mime_type = "audio/mp4"  # the container is the same, and what the streams are nobody has looked
    of_file = kind if mime_type in _TYPES[kind] else _kind_of(mime_type) if kind is UploadKind.DOCUMENT else None
    if of_file is None:
        raise _other_format(kind, mime_type, f"this is {mime_type}")
    if mime_type == _OGG or head.startswith(b"OggS"):
        _check_opus(kind, mime_type, head)
    if size > MOST_BYTES[of_file]:
        raise too_large(of_file)
    if kind is UploadKind.STICKER:
        _check_sticker(size, head)
    return mime_type


def too_large(kind: UploadKind) -> PayloadTooLarge:
    """The error that says how large a file of this kind may be."""
    error = PayloadTooLarge()
    error.case = f"{kind}_too_large"
    return error


def _other_format(kind: UploadKind, mime_type: str, found: str) -> Invalid:
    error = Invalid(PATH, f"{_WANTED[kind]}; {found}", case=f"file_no_{kind}")
    error.words = mime_type
    return error


def _kind_of(mime_type: str) -> UploadKind | None:
    """For what is sent as a document and is none: WhatsApp holds it to the limits of what it is."""
    return next((kind for kind, types in _TYPES.items() if mime_type in types), None)


def _check_opus(kind: UploadKind, mime_type: str, head: bytes) -> None:
    """The first packet of an Ogg stream tells the codec; behind Opus' magic come version and channels (RFC 7845)."""
    wanted = UploadKind.AUDIO if kind is UploadKind.DOCUMENT else kind
    magic = head.find(b"OpusHead")
    if mime_type != _OGG or not head.startswith(b"OggS") or magic < 0 or len(head) < magic + 10:
        raise _other_format(wanted, mime_type, f"this is {mime_type} without Opus")
    if head[magic + 9] != 1:
        found = f"this has {head[magic + 9]}"
        raise Invalid(PATH, f"one channel (mono): WhatsApp takes no other OGG; {found}", case="file_not_mono")


def _check_sticker(size: int, head: bytes) -> None:
    moves, width, height = _webp(head)
    if (width, height) != (512, 512):
        words = f"{_WANTED[UploadKind.STICKER]} pixels; this has {width} x {height}"
        raise Invalid(PATH, words, case="file_no_sticker")
    if size > _STILL_STICKER and not moves:
        words = "a sticker that does not move has at most 100 KB, one that moves 500 KB"
        raise Invalid(PATH, words, case="sticker_too_large")


def _webp(head: bytes) -> tuple[bool, int, int]:
    """Whether it moves, width and height (RFC 9649); 0 x 0 if that cannot be read."""
    form, data = head[12:16], head[20:30]
    if len(data) < 10:  # noqa: PLR2004 - the shortest of the three headers that holds all of it
        return False, 0, 0
    if form == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
        return bool(data[0] & 0x02), width, height
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 1)
        return False, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 6)
        return False, width & 0x3FFF, height & 0x3FFF
    return False, 0, 0


def plain_name(given: str | None) -> str | None:
    """The last part of a path, without what shows nothing, short enough; None if nothing is left."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in last if character.isprintable()).strip()
    if len(name) > MAX_FILENAME:
        stem, dot, suffix = name.rpartition(".")
        keeps_suffix = dot and 0 < len(suffix) <= 16  # noqa: PLR2004 - no longer one is an ending
        name = f"{stem[: MAX_FILENAME - len(suffix) - 1]}.{suffix}" if keeps_suffix else name[:MAX_FILENAME]
    return name or None
