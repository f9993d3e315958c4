"""Programs: their API keys are tokens too."""

from collections.abc import Callable
from datetime import datetime

from inbox.domain.access import ActorKind, Subject
from inbox.domain.api_keys import digest_of, is_key, is_well_formed
from inbox.domain.errors import InvalidToken
from inbox.domain.ids import UserId
from inbox.ports.database import Database
from inbox.ports.identity import Identity


class ApiKeyIdentity:
    """Implements `Identity` for API keys; every other token is the business of another identity.

    A key is looked up for each request, so that one that was revoked ends in all processes at once. A key is never a
    matter of the identity provider: an outage there does not stop programs, and no key is ever sent there.
    """

    def __init__(self, database: Database, otherwise: Identity, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._otherwise = otherwise
        self._clock = clock

    async def authenticate(self, token: str) -> Subject:
        if not is_key(token):
            return await self._otherwise.authenticate(token)
        if not is_well_formed(token):
            raise InvalidToken("This is no API key.")
        key_id = await self._database.team.api_key(digest_of(token), self._clock())
        if key_id is None:
            raise InvalidToken("This API key does not exist, was revoked, or is over.")
        return Subject(user_id=UserId(key_id), kind=ActorKind.API_KEY)

    async def probe(self) -> bool:
        return await self._otherwise.probe()
