"""The assistant beside people who write to customers themselves: it drafts, sums up, translates, and sends nothing.

The first three are what the model answers, as JSON schemas; the others are what people see of it.
"""

from typing import Final
from uuid import UUID

import msgspec

MAX_TEXT: Final = 4_096
"""Characters of a text that is translated: WhatsApp's longest."""
MAX_SUMMARY: Final = 2_000
MAX_TRANSLATION: Final = 3 * MAX_TEXT


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A reply for a person to look at. `sources` are the ids of the articles that it rests on."""

    sources: tuple[str, ...] = msgspec.field(default_factory=tuple)
    confidence: float
    reply: str


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    text: str


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """A translation; `source_language` is the language tag of the original."""

    source_language: str
    text: str


class DraftSource(msgspec.Struct, frozen=True, kw_only=True):
    """A passage of an approved article that a draft rests on, as it reads now."""

    article_id: UUID
    version: int
    title: str
    text: str


class SuggestedReply(msgspec.Struct, frozen=True, kw_only=True):
    """`message_id` is the newest message that the model had read. `confidence`, 0 to 1, is its own opinion."""

    text: str
    confidence: float
    sources: list[DraftSource]
    message_id: UUID
    model: str


class ConversationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Of the conversation up to `message_id`."""

    text: str
    message_id: UUID
    model: str


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """`source_language` is what the model takes the original for; null if it does not say so in a language tag."""

    text: str
    source_language: str | None
    target_language: str
    model: str
