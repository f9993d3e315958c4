"""What WhatsApp takes, checked before a message is queued: every fault at once, each with the path of its value.

Sources are Meta's references of messages, interactive messages and templates. What Meta leaves open is taken, within
bounds of ours.
"""

import re
from typing import Final

from inbox.domain import limits_cards, limits_interactive, limits_template
from inbox.domain import limits_checks as check
from inbox.domain.content import MAX_TEXT, Cards, Location, Text
from inbox.domain.emoji import is_emoji
from inbox.domain.errors import Invalid
from inbox.domain.limits_checks import Problem, Problems
from inbox.domain.limits_files import file, filename, pin
from inbox.domain.outgoing import Reaction, ReactionRemoval, Sendable, takes_reply
from inbox.domain.outgoing_files import Document, File, FileMessage, Image, Video
from inbox.domain.outgoing_template import TemplateMessage

MAX_CAPTION: Final = 1024
MAX_CARDS: Final = 257
MAX_WAMID: Final = 512
_WAMID: Final = re.compile(r"[\x21-\x7e]+")


def problems(content: Sendable) -> list[Problem]:
    """Nothing, if WhatsApp will take it as far as that can be known; else each fault.

    Paths are inside the content, like `buttons[0].title`.
    """
    return list(_problems(content))


def checked(content: Sendable, *, at: str, reply_at: str | None = None) -> Sendable:
    """The content, if WhatsApp will take it. `at` is the path where it stands, like `body.content`.

    `reply_at` is the path of the value that names the message it quotes; None if it quotes none. Raises `Invalid` with
    every fault.
    """
    found = [(f"{at}.{path}", message) for path, message in problems(content)]
    if reply_at is not None and not takes_reply(content):
        found.append((reply_at, "none: a reaction names its message itself"))
    if found:
        error = Invalid(*found[0])
        error.errors = [{"path": path, "message": message} for path, message in found]
        raise error
    return content


def _problems(content: Sendable) -> Problems:
    match content:
        case Text(body=body):
            yield from check.text("body", body, MAX_TEXT)
        case Location():
            yield from pin("", content)
        case Cards(cards=cards):
            yield from check.count("cards", cards, 1, MAX_CARDS, "cards")
            for position, card in enumerate(cards[:MAX_CARDS]):
                yield from limits_cards.problems(f"cards[{position}]", card)
        case Reaction() | ReactionRemoval():
            yield from _reaction(content)
        case File():
            yield from _file(content)
        case TemplateMessage():
            yield from limits_template.problems(content)
        case _:
            yield from limits_interactive.problems(content)


def _file(content: FileMessage) -> Problems:
    yield from file("", content)
    if isinstance(content, Image | Video | Document):
        yield from check.optional_text("caption", content.caption, MAX_CAPTION)
    if isinstance(content, Document):
        yield from filename("filename", content.filename)


def _reaction(content: Reaction | ReactionRemoval) -> Problems:
    if len(content.wamid) > MAX_WAMID or not _WAMID.fullmatch(content.wamid):
        yield "wamid", "the id that WhatsApp gave to the message"
    if isinstance(content, Reaction) and not is_emoji(content.emoji):
        yield "emoji", "one emoji"
