"""What may leave: deterministic checks of a text that a model wrote, before a customer gets it.

They assume that the model obeys whoever spoke last. What they cannot see, and what nothing here relies on: a secret in
other words, a translation, an address that is spelled out. The prompt holds one conversation and no secret, so there is
nothing of others to leak.
"""

import base64
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec

from inbox.domain.bot_domains import TOP_LEVEL

MAX_REPLY: Final = 1000
"""Characters. The prompt asks for fewer; the gate refuses more."""
_RUN: Final = 8
"""So many words in a row of the instructions are no accident."""
_LEAST_LETTERS: Final = 12
_JAPANESE: Final = frozenset({"HIRAGANA", "KATAKANA", "CJK"})
_NATIONAL: Final = 9


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

    `told` is what the business said about itself, `asked` what the customer wrote: numbers may come from both, links
    from the business only. `domains` may be named with all that is below them. `instructions` are ours, and `canary` is
    a word of them that no answer has a reason to hold.
    """

    canary: str
    instructions: str = ""
    told: str = ""
    asked: str = ""
    domains: tuple[str, ...] = ()


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")
_MARKUP: Final = re.compile(r"!\[|</?(?:script|iframe|img|svg|style|object|embed|link|meta|form|a)\b", re.IGNORECASE)


def gate(reply: str, allowed: Allowed) -> GateClosed | None:
    """None if `reply` may go to a customer."""
    text = reply.strip()
    if not text:
        return GateClosed.EMPTY
    if len(text) > MAX_REPLY:
        return GateClosed.TOO_LONG
    plain = _plain(text)
    checks: tuple[tuple[GateClosed, Callable[[], bool]], ...] = (
        (GateClosed.CONTROL_CHARACTERS, lambda: _CONTROL.search(text) is not None),
        (GateClosed.LEAKS_PROMPT, lambda: leaks(text, allowed)),
        (GateClosed.MARKUP, lambda: _MARKUP.search(text) is not None),
        (GateClosed.FOREIGN_LINK, lambda: _names_foreign_host(plain, allowed)),
        (GateClosed.FOREIGN_NUMBER, lambda: _names_foreign_number(plain, allowed)),
        (GateClosed.FOREIGN_SCRIPT, lambda: _is_foreign_script(text, allowed)),
    )
    return next((word for word, is_wrong in checks if is_wrong()), None)


# --- the prompt -------------------------------------------------------------------------------------------------------


def leaks(text: str, allowed: Allowed) -> bool:
    """True if `text` holds the canary, plain or thinly disguised, or a piece of the instructions."""
    squeezed = _squeezed(text)
    if any(disguise in squeezed for disguise in _disguises(allowed.canary)):
        return True
    return not _runs(text).isdisjoint(_runs(allowed.instructions))


def _disguises(canary: str) -> Iterator[str]:
    """As it is, backwards, as hexadecimal digits, and in the three places it can have in a text in base64."""
    yield _squeezed(canary)
    yield _squeezed(canary[::-1])
    yield canary.encode().hex()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + canary.encode()).decode()
        yield _squeezed(encoded[offset + 1 if offset else 0 : -4])


def _squeezed(text: str) -> str:
    """Letters and digits only: what stands between them disguises nothing."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[place : place + _RUN]) for place in range(len(words) - _RUN + 1)}


# --- links and addresses ----------------------------------------------------------------------------------------------

_URL: Final = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s<>\"']*)", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:[\w-]+\.)+[\w-]+")
_WEB: Final = frozenset({"http", "https"})
_AFTER_URL: Final = ").,;:!?*_~]}\u00bb\u201d"
_BYTES_OF_IPV4: Final = 4


def _plain(text: str) -> str:
    """As a phone reads it: compatible letters are one, what is invisible is not there, and so dots are dots."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return re.sub("[\u3002\uff61\u2024]", ".", seen)


def hosts(text: str) -> set[str]:
    """Every name of a host in `text`, whether with a scheme, in an e-mail address or bare, in small letters."""
    named = (found.strip(".").casefold() for found in _HOST.findall(text))
    return {host for host in named if _is_host(host)}


def _is_host(name: str) -> bool:
    labels = name.split(".")
    if all(label.isdecimal() for label in labels):
        return len(labels) == _BYTES_OF_IPV4
    return labels[-1] in TOP_LEVEL or labels[-1].startswith("xn--")


class _Hosts(msgspec.Struct, frozen=True):
    """Those that the business named itself, and domains with all that is below them."""

    named: frozenset[str]
    domains: tuple[str, ...]

    @classmethod
    def of(cls, allowed: Allowed) -> "_Hosts":
        return cls(frozenset(hosts(_plain(allowed.told))), tuple(d.casefold().strip(".") for d in allowed.domains))

    def know(self, host: str) -> bool:
        return host in self.named or any(host == domain or host.endswith(f".{domain}") for domain in self.domains)


def _names_foreign_host(text: str, allowed: Allowed) -> bool:
    known = _Hosts.of(allowed)
    if not all(known.know(host) for host in hosts(text)):
        return True
    return not all(
        scheme.casefold() in _WEB and _is_known_address(rest.rstrip(_AFTER_URL), known)
        for scheme, rest in _URL.findall(text)
    )


def _is_known_address(rest: str, known: _Hosts) -> bool:
    """True for a known host, with neither a name before it nor a trick in it."""
    try:
        parts = urlsplit(f"//{rest}")
        host = parts.hostname or ""
    except ValueError:
        return False
    return "\\" not in rest and "@" not in parts.netloc and known.know(host.strip("."))


# --- numbers that a customer could call or pay to ---------------------------------------------------------------------

_PHONE: Final = re.compile(r"(?<![\d.,/-])(?:\+|0)\d(?:[\s.()/-]{0,2}\d){7,16}")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_DAY: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|(?<![\d./-])\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?![./-]?\d)")


def _names_foreign_number(text: str, allowed: Allowed) -> bool:
    """Telephone numbers (with + or 0 in front) and IBANs come from the business, or from the customer."""
    source = f"{_plain(allowed.told)} {_plain(allowed.asked)}"
    digits = re.sub(r"\D", "", source)
    if any(_national(found) not in digits for found in _PHONE.findall(_DAY.sub(" ", text))):
        return True
    return any(_squeezed(found) not in _squeezed(source) for found in _IBAN.findall(text))


def _national(number: str) -> str:
    """The last nine digits: they are the same in national and in international form."""
    return re.sub(r"\D", "", number)[-_NATIONAL:]


# --- the language -----------------------------------------------------------------------------------------------------


def _is_foreign_script(text: str, allowed: Allowed) -> bool:
    """True if most of an answer is in letters in which nobody wrote; those of our own languages are always known.

    Which of two languages with the same letters a short text is in is not told reliably, and so not asked.
    """
    written = _scripts(text)
    if sum(written.values()) < _LEAST_LETTERS:
        return False
    (script, count), *_ = written.most_common(1)
    known = {"LATIN", *_scripts(allowed.told), *_scripts(allowed.asked)}
    return count * 2 > sum(written.values()) and script not in known


def _scripts(text: str) -> Counter[str]:
    """How many letters of which script there are; the three of Japanese, which Chinese shares, are one."""
    names = (unicodedata.name(c, "?").partition(" ")[0] for c in unicodedata.normalize("NFKC", text) if c.isalpha())
    return Counter("CJK" if name in _JAPANESE else name for name in names)
