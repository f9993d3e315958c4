"""Links and e-mail addresses of an answer: those that the business told, to the letter, and its own domains.

What a business merely names opens nothing beside it: `me@gmail.com` is one address, `shop.example` is its first page
only, and `wa.me/33465710001` one page with the first one of its host, on which nobody else has a say. All that lies on
a host, and below it, is open for the domains in the profile; what stands there after the host is looked at in the same
way, for many a site sends visitors on. Spelling does not count: http or https or nothing, `www.`, capitals in the name
of a host, a slash at the end.

What a phone makes a link is looked at as one, whatever was meant: `Dr.House`, `1.er` and `p.es` are names of hosts.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from inbox.domain.bot_domains import BEGINNINGS, ENDINGS, FILES

# Letters, digits, and the vowel signs of Indian scripts, which are no letters to `re`.
_IN_NAMES: Final = r"-\w\u0900-\u0963\u0966-\u0dff"
_NAME: Final = rf"[{_IN_NAMES}]{{1,63}}(?:\.[{_IN_NAMES}]{{1,63}})+"
_REST: Final = rf"[{_IN_NAMES}.~:/?#\[\]@!$&'()*+,;=%\\]*"
_FOUND: Final = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]{{0,30}})://(?P<host>[{_IN_NAMES}.~\[\]@!$&'()*+,;=%]*)(?P<path>{_REST})"
    rf"|(?P<mailbox>[\w.%+&-]{{1,64}})@(?P<mail_host>{_NAME})"
    rf"|(?P<name>{_NAME})(?P<tail>\.?(?::\d+)?(?:[/?#\\]{_REST})?)",
    re.IGNORECASE,
)
_AFTER: Final = ").,;:!?*_~]'/"
"""What ends a sentence, or a phone's bold type, is no part of a link. Nor is a last slash."""
_EDGE: Final = "-_."
_NO_PATH: Final = re.compile(r"[).,;:!?*_~\]']*(?![^\s»\u201d\u2019\")>`])|/[).,;:!?*\]]*(?!\S)")
"""Behind the name of a host, if its first page is meant: `/_` or `/🔥` may be a page of somebody."""
_FIRST_PAGE: Final = "/"
_WEB: Final = frozenset({"http", "https"})
_USUAL_REST: Final = re.compile(r"(?::\d{1,5})?(?:[/?#][^\\]*)?")
_INITIAL: Final = re.compile(r"[A-Z]\.[A-Z][a-z]+")
_BYTES_OF_IPV4: Final = 4
_MAX_BYTE: Final = 255
_LONGEST_OF_COUNTRIES: Final = 2


class _Address(msgspec.Struct, frozen=True):
    """`rest` is what follows the host of a link, or the name of a mailbox there.

    It is empty if nothing does, or nothing that could be told from the sentence around it.
    """

    host: str
    rest: str
    is_mail: bool = False


def names_foreign_link(text: str, told: str, domains: tuple[str, ...]) -> bool:
    """`text` and `told` as they are visible. What customers wrote opens nothing."""
    own = tuple(domain.lower() for domain in domains)
    known = frozenset(_addresses(told, is_told=True))
    known |= {_Address(address.host, _FIRST_PAGE) for address in known if _opens_first_page(address)}
    return not all(_is_known(address, known, own) for address in _addresses(text))


def _opens_first_page(address: _Address) -> bool:
    """Of its host. A mailbox does not: its host is seldom the business's."""
    if address.is_mail or not address.rest:
        return not address.is_mail
    return address.rest.startswith("/") and "@" not in address.host and "://" not in address.host


def _is_known(address: _Address, known: frozenset[_Address], own: tuple[str, ...]) -> bool:
    if address in known:
        return True
    if address.is_mail or "@" in address.host or not _USUAL_REST.fullmatch(address.rest):
        return False
    if not any(address.host == domain or address.host.endswith(f".{domain}") for domain in own):
        return False
    return all(_is_known(inner, known, own) for inner in _addresses(address.rest))


def _addresses(text: str, *, is_told: bool = False) -> Iterator[_Address]:
    """Of what the business told all that could be one, in case it is."""
    for found in _FOUND.finditer(text):
        if found["mailbox"]:
            yield _Address(_host(found["mail_host"]), found["mailbox"].strip(_EDGE).lower(), is_mail=True)
        elif found["scheme"]:
            scheme, host = found["scheme"].lower(), _host(found["host"].rstrip(_AFTER))
            rest = _rest(text, found, "host", "path", is_told=is_told)
            yield _Address(host if scheme in _WEB else f"{scheme}://{host}", rest)
        else:
            name, rest = found["name"].strip(_EDGE), _rest(text, found, "name", "tail", is_told=is_told)
            if is_told or _is_host(name, has_path=rest not in {"", _FIRST_PAGE}):
                yield _Address(_host(name), rest)


def _rest(text: str, found: re.Match[str], host: str, path: str, *, is_told: bool) -> str:
    """`host` and `path` are the groups of `found`."""
    if not is_told and _NO_PATH.match(text, found.end(host)):
        return _FIRST_PAGE
    return found[path].rstrip(_AFTER)


def _host(name: str) -> str:
    return name.strip(_EDGE).lower().removeprefix("www.")


def _is_host(name: str, *, has_path: bool) -> bool:
    """True for what a phone makes a link, and for what reads like one: a word, a dot, a word in small letters.

    Not for figures, abbreviations, initials, names of files, and two sentences without a space between them if the
    second begins with a capital, or as sentences often do.
    """
    labels = name.split(".")
    ending = labels[-1].lower()
    if all(label.isdecimal() for label in labels):
        return len(labels) == _BYTES_OF_IPV4 and all(int(label) <= _MAX_BYTE for label in labels)
    if ending.startswith("xn--") or labels[0].lower() == "www":
        return True
    if ending.partition("-")[0] in ENDINGS:
        return has_path or not _INITIAL.fullmatch(name)
    if (
        ending in FILES
        or (ending in BEGINNINGS and not has_path)
        or not (labels[-1].isalpha() and labels[-1].islower())
    ):
        return False
    before = labels[-2] if len(labels) > 1 else ""
    is_word = before.lower() != before.upper() and (has_path or len(before) > 1)
    return is_word and len(ending) > _LONGEST_OF_COUNTRIES
