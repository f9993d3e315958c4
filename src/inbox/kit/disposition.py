"""Headers that hand a stranger's file to a browser: its name and its type (RFC 6266, RFC 8187, RFC 6838).

Both come from a customer's phone and are hostile until they have passed here.
"""

import base64
import binascii
import re
import unicodedata
from typing import Final
from urllib.parse import quote

_MAX_BYTES: Final = 180
"""Of a name in UTF-8: below what file systems take, with room for ` (1)`."""
_MAX_SUFFIX: Final = 16
_HASH_BYTES: Final = 32
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that show nothing or turn the direction of writing around: `exe.gpj` must not read `jpg.exe`."""
_RESERVED: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(r"(?i)(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?")
_NOT_ASCII: Final = re.compile(r"[^A-Za-z0-9 !#$&'()+,\-.;=@\[\]^_`{}~]")
_HEX_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_TYPE: Final = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]{0,63})/([a-z0-9][a-z0-9!#$&^_.+-]{0,126})")
_SHOWN_INLINE: Final = frozenset({"image", "audio", "video"})
_ACTIVE: Final = re.compile(r"(?i).*\.(x?html?|xht|shtml?|mht(ml)?|svgz?|xml|xslt?|js|mjs|hta)")
"""Names of what a browser runs when the saved file is opened."""


def content_disposition(name: str, *, is_inline: bool) -> str:
    """The header's value: the name once in ASCII for old browsers and once as it is, in UTF-8.

    `name` is one that `safe_name` gave, or one of ours.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    plain = _NOT_ASCII.sub("_", plain)
    return f"{'inline' if is_inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def safe_name(given: str | None) -> str | None:
    """The last part of a path without anything that surprises; None if nothing that names a file is left.

    Old rows hold the file's SHA-256 in the place of a name that WhatsApp did not send: that is no name either.
    """
    if given is None or is_hash(given):
        return None
    name = re.split(r"[/\\]", given)[-1]
    name = "".join(" " if character.isspace() else character for character in name)
    name = "".join(character for character in name if unicodedata.category(character) not in _HIDDEN)
    name = _RESERVED.sub("_", " ".join(name.split())).strip(". ")
    if _DEVICE.fullmatch(name):
        name = f"_{name}"
    return _shortened(name) or None


def is_hash(name: str) -> bool:
    """True for a SHA-256 in base64 or hexadecimal digits."""
    if _HEX_HASH.fullmatch(name):
        return True
    try:
        return len(base64.b64decode(name, validate=True)) == _HASH_BYTES
    except (binascii.Error, ValueError):
        return False


def plain_type(given: str | None) -> str | None:
    """`type/subtype` in lower case without parameters; None if it is not of that form."""
    found = (given or "").partition(";")[0].strip().lower()
    return found if _TYPE.fullmatch(found) else None


def may_be_inline(media_type: str, name: str) -> bool:
    """True for what browsers show without running anything: pictures, sound, film, PDF."""
    if media_type == "application/pdf":
        return not _ACTIVE.fullmatch(name)
    kind, _, subtype = media_type.partition("/")
    return kind in _SHOWN_INLINE and not re.search("svg|xml|html", subtype) and not _ACTIVE.fullmatch(name)


def _shortened(name: str) -> str:
    """At most `_MAX_BYTES`, the suffix kept."""
    if len(name.encode()) <= _MAX_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix if stem and len(suffix.encode()) <= _MAX_SUFFIX else ""
    head = name.encode()[: _MAX_BYTES - len(tail.encode())].decode(errors="ignore")
    return f"{head.rstrip('. ')}{tail}"
