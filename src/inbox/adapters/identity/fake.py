"""Identity for tests of services and for development: a token is `user:` and a user id."""

from typing import Final
from uuid import UUID

from inbox.domain.access import Subject
from inbox.domain.errors import InboxError, InvalidToken
from inbox.domain.ids import UserId

_PREFIX: Final = "user:"


class FakeIdentity:
    """Implements `Identity`: believes everybody. Never for a service that strangers can reach."""

    def __init__(self, *subjects: Subject) -> None:
        """`subjects` are people of whom more is known than their id."""
        self._subjects = {subject.user_id: subject for subject in subjects}
        self._outage: InboxError | None = None

    @staticmethod
    def token(user_id: UUID) -> str:
        """A token for `user_id`."""
        return f"{_PREFIX}{user_id}"

    def fail(self, outage: InboxError | None) -> None:
        """From now on every call raises `outage`; None ends it."""
        self._outage = outage

    async def probe(self) -> bool:
        if self._outage is not None:
            raise self._outage
        return True

    async def authenticate(self, token: str) -> Subject:
        if self._outage is not None:
            raise self._outage
        prefix, text = token[: len(_PREFIX)], token[len(_PREFIX) :]
        try:
            user_id = UserId(UUID(text))
        except ValueError:
            raise InvalidToken("This is no token of the fake.") from None
        if prefix != _PREFIX or str(user_id) != text:
            raise InvalidToken("This is no token of the fake.")
        return self._subjects.get(user_id, Subject(user_id=user_id))
