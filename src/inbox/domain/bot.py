"""The assistant: when it looks, what it may decide, when it steps back. The French sentences are wire constants."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.content import Call, Content, Notice, Other
from inbox.domain.explanations import Language
from inbox.domain.ids import ConversationId

FALLBACK: Final = "Je me renseigne auprès d\u2019un collègue et je reviens vers vous au plus vite."
UNREADABLE: Final = "Je ne peux pas lire ce type de contenu, peux-tu me l'écrire ?"
_ENGLISH_FALLBACK: Final = "I am checking with a colleague and will get back to you as soon as I can."
_ENGLISH_UNREADABLE: Final = "I cannot read this kind of content. Could you write it to me?"

_LONGEST_QUOTE: Final = 3_500
TURN_AGE_SECONDS: Final = 120.0
"""A message that waited longer is answered by a person."""
MODEL_WAIT_SECONDS: Final = 30.0
"""So long may a message wait for a model that is not asked because it failed too often. Then a person goes on."""


class Sentences(msgspec.Struct, frozen=True, kw_only=True):
    """What is always said in the same words. `fallback` says that a person will answer."""

    fallback: str
    unreadable: str
    nothing_known: str


SENTENCES: Final = {
    Language.FRENCH: Sentences(fallback=FALLBACK, unreadable=UNREADABLE, nothing_known="Aucune information fournie."),
    Language.ENGLISH: Sentences(
        fallback=_ENGLISH_FALLBACK, unreadable=_ENGLISH_UNREADABLE, nothing_known="No information given."
    ),
}
FALLBACKS: Final = frozenset(one.fallback for one in SENTENCES.values())
UNREADABLES: Final = frozenset(one.unreadable for one in SENTENCES.values())


class Mode(StrEnum):
    """What the assistant does in a conversation: nothing, suggest answers to the team, or answer."""

    OFF = "off"
    SUGGEST = "suggest"
    AUTO = "auto"


class Action(StrEnum):
    REPLY = "reply"
    HANDOFF = "handoff"
    REPLY_AND_HANDOFF = "reply_and_handoff"
    IGNORE = "ignore"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the model answers, as a JSON schema. It is a wish: code decides.

    `sources` are the ids of the articles that the reply rests on.
    """

    sources: tuple[str, ...] = msgspec.field(default_factory=tuple)
    confidence: float
    action: Action
    handoff_reason: str
    reply: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has to know who goes on with a conversation, as a JSON schema."""

    text: str


class LoopLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Two machines talk if the bot answered `replies` times in `seconds`, or got the same text `repeats` times.

    Who says the same on three days does so to what a program asks them: repeats count within an hour.
    """

    replies: int = 8
    seconds: float = 120.0
    repeats: int = 3


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message as far as the rules look at it; `author` is who wrote one of ours."""

    is_inbound: bool
    author: str | None
    text: str
    at: datetime


_SILENT: Final = frozenset({"reaction", "system", "status"})
_REPEATED_WITHIN: Final = timedelta(hours=1)


def wakes_bot(content: Content) -> bool:
    """True if a person would answer this: the bot looks at the conversation. Notices and calls wake nobody."""
    match content:
        case Notice() | Call():
            return False
        case Other(kind=kind):
            return kind not in _SILENT
        case _:
            return True


def asks_for_human(reply: str) -> bool:
    """True if the model answered with the fallback sentence: it wants a person (case ignored)."""
    return reply.strip().casefold() in {sentence.casefold() for sentence in FALLBACKS}


def escalation(conversation_id: ConversationId, client_number: str, last_text: str | None) -> str:
    """The alert to the backup number; a long message of the customer is cut, so that the alert can be sent."""
    said = (last_text or "")[:_LONGEST_QUOTE]
    return f"[Escalade] Conversation {conversation_id} (client: {client_number})\nDernier message: {said}"


def left_to_gather(first: datetime, last: datetime, now: datetime, quiet: timedelta, most: timedelta) -> timedelta:
    """How long to wait for more after unanswered messages of `first` to `last`; nothing if they are to be answered now.

    The times are WhatsApp's: a clock that is ahead of ours by more than the quiet period makes nobody wait.
    """
    left = min(last + quiet, first + most) - now
    return left if timedelta() < left <= quiet else timedelta()


def is_loop(said: Sequence[Said], now: datetime, limits: LoopLimits) -> bool:
    """True if the customer seems to be a machine. `said` is oldest first; a message of our people begins it anew."""
    talk: list[Said] = []
    for message in reversed(said):
        if not message.is_inbound and message.author != "bot":
            break
        talk.append(message)
    since = now - timedelta(seconds=limits.seconds)
    quick = sum(not message.is_inbound and message.at > since for message in talk)
    recent = [message for message in talk if message.at > now - _REPEATED_WITHIN]
    return quick >= limits.replies or _repeats(recent) >= limits.repeats


def _repeats(newest_first: Sequence[Said]) -> int:
    """How often in a row the customer said the same, each time after an answer of ours."""
    rounds: list[str] = []
    was_answered = True
    for message in newest_first:
        if not message.is_inbound:
            was_answered = True
            continue
        text = " ".join(message.text.casefold().split())
        if was_answered:
            rounds.append(text)
        else:
            rounds[-1] = f"{text} {rounds[-1]}"
        was_answered = False
    return next((place for place, text in enumerate(rounds) if text != rounds[0]), len(rounds))
