"""What a message says. Each kind has a preview: the one line that lists, old front ends and the bot see."""

from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

from inbox.domain.errors import InvalidPayload

MAX_TEXT: Final = 4096
"""Characters of `text.body` (Meta, messages reference)."""

UNREADABLE_PREVIEW: Final = "[message non pris en charge]"


class Text(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Free text, 1 to 4096 characters."""

    body: str
    preview_url: bool = False


class MediaKind(StrEnum):
    """Meta's types of messages that carry a file."""

    IMAGE = "image"
    AUDIO = "audio"
    VOICE = "voice"
    VIDEO = "video"
    DOCUMENT = "document"
    STICKER = "sticker"


class Media(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="media"):
    """A file at WhatsApp. `kind` is Meta's type; `media_id` lives 7 days after a webhook."""

    kind: MediaKind
    media_id: str | None
    mime_type: str | None = None
    filename: str | None = None
    sha256: str | None = None
    caption: str | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="choice"):
    """The customer tapped a button or a list row."""

    kind: Literal["button", "interactive"]
    title: str
    payload: str | None = None


class Other(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="other"):
    """A kind that has no shape of its own here: `kind` is Meta's type, `text` what a person can read of it."""

    kind: str
    text: str


Content: TypeAlias = Text | Media | Choice | Other


def message_type(content: Content) -> str:
    """The word of the contract's `message_type`."""
    return "text" if isinstance(content, Text) else str(content.kind)


def preview(content: Content) -> str:
    """The text of the contract's `content_text`."""
    match content:
        case Text(body=body):
            return body
        case Choice(title=title):
            return title
        case Media(kind=kind, caption=caption):
            return caption or f"[{kind}]"
        case Other(text=text):
            return text


def is_readable(content: Content) -> bool:
    """True if the text says what the customer wants: the bot answers it. False: content a bot cannot read."""
    match content:
        case Text() | Choice():
            return True
        case Media(caption=caption):
            return bool(caption)
        case Other():
            return False


def checked_text(body: str) -> Text:
    """A text that WhatsApp will take. Raises `InvalidPayload`."""
    if not body.strip() or len(body) > MAX_TEXT or "\x00" in body:
        raise InvalidPayload
    return Text(body=body)
