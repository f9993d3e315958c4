"""What may leave: deterministic checks of a text that a model wrote, before a customer gets it.

They assume that the model obeys whoever spoke last. What they cannot see, and what nothing here relies on: a secret in
other words, a translation, an address that is spelled out; a number in pieces which a sign divides that divides other
figures as well (", ", " // ", ";", "'", "&" and their like, and "/", ":" and "," in one that begins with neither + nor
0: 703/901/478 looks like 128/256/512), and one that is by itself a list (45 46 47 48 49), or hours and days. The prompt
holds one conversation and no secret, so there is nothing of others to leak.
"""

import base64
import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.bot_links import names_foreign_link
from inbox.domain.bot_numbers import names_foreign_number
from inbox.domain.visible_text import visible

MAX_REPLY: Final = 1000
"""Characters. The prompt asks for fewer; the gate refuses more."""
_RUN: Final = 8
"""So many words in a row of the instructions are no accident."""
_LEAST_LETTERS: Final = 12
_JAPANESE: Final = frozenset({"HIRAGANA", "KATAKANA", "CJK"})


class GateClosed(StrEnum):
    """Why an answer of the model is not sent."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    LEAKS_PROMPT = "leaks_prompt"
    CONTROL_CHARACTERS = "control_characters"
    MARKUP = "markup"
    FOREIGN_LINK = "foreign_link"
    FOREIGN_NUMBER = "foreign_number"
    FOREIGN_SCRIPT = "foreign_script"


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What answers of one turn are held against.

    `told` is what the business said about itself: links, e-mail addresses and bank accounts are of it to the letter.
    `asked` is what was written in the conversation: other numbers may come from there as well. `domains` are open with
    all that lies on them and below them. `instructions` are ours, and `canary` is a word of them that no answer has a
    reason to hold.
    """

    canary: str
    instructions: str = ""
    told: str = ""
    asked: str = ""
    domains: tuple[str, ...] = ()


_ESCAPED: Final = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&"))
"""The last one is the first that was escaped."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")
_MARKUP: Final = re.compile(
    r"!\[|</?(?:script|iframe|img|svg|style|object|embed|link|meta|form|a|kb|contact|customer_message)(?![\w.@+-])",
    re.IGNORECASE,
)
"""Of pages, and of our own prompts: an answer is read again with the next question."""


def as_meant(reply: str) -> str:
    """With the characters that prompts escape in what is quoted: a model copies what it read. This is what is sent.

    Once: who wrote `&lt;` in the first place gets it back. The gate looks at the outcome.
    """
    for escaped, character in _ESCAPED:
        reply = reply.replace(escaped, character)
    return reply


def gate(reply: str, allowed: Allowed) -> GateClosed | None:
    """None if `reply` may go to a customer."""
    text = visible(reply).strip()
    if not text:
        return GateClosed.EMPTY
    if len(reply.strip()) > MAX_REPLY:
        return GateClosed.TOO_LONG
    told, asked = visible(allowed.told), visible(allowed.asked)
    checks: tuple[tuple[GateClosed, Callable[[], bool]], ...] = (
        (GateClosed.CONTROL_CHARACTERS, lambda: _CONTROL.search(reply) is not None),
        (GateClosed.LEAKS_PROMPT, lambda: leaks(text, allowed)),
        (GateClosed.MARKUP, lambda: _MARKUP.search(text) is not None),
        (GateClosed.FOREIGN_LINK, lambda: names_foreign_link(text, told, allowed.domains)),
        (GateClosed.FOREIGN_NUMBER, lambda: names_foreign_number(text, told, asked)),
        (GateClosed.FOREIGN_SCRIPT, lambda: _is_foreign_script(text, f"{told} {asked}")),
    )
    return next((word for word, is_wrong in checks if is_wrong()), None)


# --- the prompt -------------------------------------------------------------------------------------------------------


def leaks(text: str, allowed: Allowed) -> bool:
    """True if `text` holds the canary or a piece of the instructions, plain or thinly disguised."""
    words = [_squeezed(word) for word in re.findall(r"\w+", visible(allowed.instructions))]
    pieces = {_squeezed(allowed.canary)}
    pieces.update("".join(words[place : place + _RUN]) for place in range(len(words) - _RUN + 1))
    return any(piece in read for read in _readings(visible(text)) for piece in pieces)


def _readings(text: str) -> Iterator[str]:
    """As it is, backwards, with letters turned by half the alphabet, and out of base64 and hexadecimal digits.

    What stands between the characters of a code disguises nothing either, nor where in the text it begins.
    """
    yield from (_squeezed(text), _squeezed(text[::-1]), _squeezed(codecs.encode(text, "rot13")))
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/"))
    for start in range(4):
        rest = f"{letters[start:]}AAA"  # whose last character may need them
        yield _squeezed(base64.b64decode(rest[: len(rest) // 4 * 4]).decode(errors="ignore"))
    digits = re.sub(r"[^0-9A-Fa-f]", "", text)
    for start in range(2):
        rest = digits[start:]
        yield _squeezed(bytes.fromhex(rest[: len(rest) // 2 * 2]).decode(errors="ignore"))


def _squeezed(text: str) -> str:
    """Small letters without accents, and digits: what stands on or between them disguises nothing."""
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


# --- the language -----------------------------------------------------------------------------------------------------


def _is_foreign_script(text: str, known: str) -> bool:
    """True if most of an answer is in letters in which nobody wrote; those of our own languages are always known.

    Which of two languages with the same letters a short text is in is not told reliably, and so not asked.
    """
    written = _scripts(text)
    if sum(written.values()) < _LEAST_LETTERS:
        return False
    (script, count), *_ = written.most_common(1)
    return count * 2 > sum(written.values()) and script not in {"LATIN", *_scripts(known)}


def _scripts(text: str) -> Counter[str]:
    """How many letters of which script there are; the three of Japanese, which Chinese shares, are one."""
    names = (unicodedata.name(c, "?").partition(" ")[0] for c in text if c.isalpha())
    return Counter("CJK" if name in _JAPANESE else name for name in names)
