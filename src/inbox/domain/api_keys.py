"""API keys: how the secret of a program looks, and what it may never do."""

import hashlib
import re
from collections.abc import Callable
from typing import Final

from inbox.domain.access import Permission

PREFIX: Final = "wai_"
"""No JWT begins so: scanners for leaked secrets, and we, know a key by it."""
SECRET_BYTES: Final = 32
HINT_CHARACTERS: Final = 8

NEVER_GRANTED: Final = frozenset({Permission.USERS_MANAGE, Permission.ROLES_MANAGE})
"""Who decides what others may do is a person."""

_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_key(random_text: Callable[[int], str]) -> str:
    """A key. `random_text` gives that many random bytes as url-safe text, like `secrets.token_urlsafe`."""
    return f"{PREFIX}{random_text(SECRET_BYTES)}"


def is_key(token: str) -> bool:
    """True if `token` claims to be a key."""
    return token.startswith(PREFIX)


def is_well_formed(key: str) -> bool:
    """False for what can be no key of ours."""
    return _FORM.fullmatch(key) is not None


def digest_of(key: str) -> bytes:
    """What is stored of a well-formed key: its SHA-256. It is random, so it needs no salt."""
    return hashlib.sha256(key.encode()).digest()


def hint_of(key: str) -> str:
    """What people recognise a key by."""
    return key[:HINT_CHARACTERS]
