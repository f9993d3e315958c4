"""One-time links: their tokens, and where they lead."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from inbox.adapters.identity.newcomers import is_address, newcomer, normal
from inbox.domain.errors import Invalid
from inbox.domain.ids import uuid7
from inbox.ports.identity import NewLink
from inbox.ports.local_accounts import LocalUser, OneTimeLink, Purpose

GOOD_FOR: Final = timedelta(hours=24)
_TOKEN_BYTES: Final = 32


def digest(token: str) -> bytes:
    """What is stored of a token. A token has 256 random bits: it needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class OneTimeLinks:
    """Implements `Links`."""

    def __init__(self, public_url: str, *, clock: Callable[[], datetime]) -> None:
        """`public_url` is the configured one: what a request says about its host leads nobody anywhere."""
        self._page = f"{public_url.rstrip('/')}/auth/set-password"
        self._clock = clock

    def newcomer(self, email: str, full_name: str | None) -> LocalUser:
        email = normal(email)
        if not is_address(email):
            raise Invalid("body.email", "not an e-mail address")
        return newcomer(email, full_name, self._clock())

    def link(self, user_id: UUID, purpose: Purpose, created_by: UUID | None) -> NewLink:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock()
        stored = OneTimeLink(
            id=uuid7(),
            user_id=user_id,
            purpose=purpose,
            digest=digest(token),
            created_by=created_by,
            created_at=now,
            expires_at=now + GOOD_FOR,
        )
        # After the #: browsers send that to no server, so no log and no scanner in between uses the link up.
        return NewLink(stored=stored, url=f"{self._page}#token_hash={token}&type={purpose.value}")
