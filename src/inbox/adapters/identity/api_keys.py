"""Programs: their API keys are tokens too."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from inbox.domain.access import ActorKind, Subject
from inbox.domain.api_keys import digest_of, is_key, is_well_formed
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId
from inbox.ports.database import Database
from inbox.ports.identity import Identity
from inbox.ports.team import LiveKey, Remembering

_REMEMBERED_SECONDS: Final = 30.0
"""Its use is not noted meanwhile."""


class ApiKeyIdentity:
    """Implements `Identity` for API keys; every other token is the business of another identity.

    A key is remembered like the rights of its program, by its digest: one that was revoked ends in all processes at
    once. A key is never a matter of the identity provider: an outage there does not stop programs, and no key is ever
    sent there.
    """

    def __init__(
        self, database: Database, otherwise: Identity, memory: Remembering, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._otherwise = otherwise
        self._memory = memory
        self._clock = clock

    async def authenticate(self, token: str) -> Subject:
        if not is_key(token):
            return await self._otherwise.authenticate(token)
        if not is_well_formed(token):
            raise InvalidToken("This is no API key.")
        digest = digest_of(token)

        async def load() -> LiveKey:
            found = await self._database.team.api_key(digest, self._clock())
            if found is None:
                raise _ended()
            return found

        key = await self._memory.remembered("api-key", digest.hex(), load, ttl=_REMEMBERED_SECONDS)
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise _ended()
        return Subject(user_id=UserId(key.id), kind=ActorKind.API_KEY)

    async def probe(self) -> bool:
        return await self._otherwise.probe()


def _ended() -> InvalidToken:
    return InvalidToken("This API key does not exist, was revoked, or is over.")
