"""Whom the access tokens of local accounts speak for."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.tokens import Claims, display_name
from inbox.domain.access import Subject
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId
from inbox.ports.database import Database

REMEMBERED_FOR: Final = timedelta(seconds=30)
"""A logout, a ban and a password change take effect on access tokens within this time in every process."""

_REMEMBERED: Final = 10_000


class LocalIdentity:
    """Implements `Identity` for tokens of `LocalSignIn`: genuine, and of a session that still exists."""

    def __init__(self, database: Database, tokens: LocalTokens, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def authenticate(self, token: str) -> Subject:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        known = self._remembered.get(digest)
        if known is not None and known.since <= now < known.until:
            return known.subject
        claims = await self._tokens.verify(token)
        subject = await self._checked(claims, now)
        expires_at = datetime.fromtimestamp(claims.exp, now.tzinfo)
        until = min(now + REMEMBERED_FOR, expires_at)
        self._remembered[digest] = _Remembered(subject=subject, since=now, until=until)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return subject

    async def probe(self) -> bool:
        return False

    async def _checked(self, claims: Claims, now: datetime) -> Subject:
        async with self._database.transaction() as tx:
            session = await tx.local_accounts.session(claims.session_id)
            user = await tx.local_accounts.user(claims.sub)
        if session is None or user is None or session.user_id != user.id:
            raise InvalidToken("The session has ended.")
        if session.not_after is not None and session.not_after <= now:
            raise InvalidToken("The session is over.")
        if user.is_banned(now):
            raise InvalidToken("The user is banned.")
        return Subject(
            user_id=UserId(user.id),
            email=user.email,
            is_email_verified=user.email_confirmed_at is not None,
            display_name=display_name(user.user_metadata.get("full_name")),
        )


class _Remembered(msgspec.Struct, frozen=True, kw_only=True):
    subject: Subject
    since: datetime
    until: datetime
