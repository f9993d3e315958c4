"""Files that can be sent: each named by WhatsApp's id, by an address that WhatsApp fetches, or by an upload of ours."""

from typing import TypeAlias
from uuid import UUID

import msgspec


class File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Exactly one of the three names it. An upload is handed to WhatsApp right before the message is sent."""

    media_id: str | None = None
    link: str | None = None
    upload_id: UUID | None = None


class Image(File, frozen=True, kw_only=True, tag_field="type", tag="image"):
    caption: str | None = None


class Video(File, frozen=True, kw_only=True, tag_field="type", tag="video"):
    caption: str | None = None


class Audio(File, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Music and the like; what somebody said is a `Voice`."""


class Voice(File, frozen=True, kw_only=True, tag_field="type", tag="voice"):
    """A voice note: OGG with Opus, one channel."""


class Document(File, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """The ending of `filename` decides which icon the customer sees."""

    caption: str | None = None
    filename: str | None = None


class Sticker(File, frozen=True, kw_only=True, tag_field="type", tag="sticker"):
    """WebP, 512 x 512."""


FileMessage: TypeAlias = Image | Video | Audio | Voice | Document | Sticker


class TemplateFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A file in a parameter of a template, in Meta's own shape; `upload_id` is ours."""

    media_id: str | None = msgspec.field(default=None, name="id")
    link: str | None = None
    upload_id: UUID | None = None
    filename: str | None = None
