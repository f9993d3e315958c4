"""Tickets for connections that cannot carry a header: a browser's EventSource and WebSocket."""

import hashlib
import secrets
from typing import Final

from inbox.domain.access import Actor, Subject
from inbox.domain.errors import InvalidToken
from inbox.ports.database import Database

GOOD_FOR: Final = 30.0
"""Seconds: from the answer to the connection that uses it."""
_BYTES: Final = 32


class EventTickets:
    """What is stored of a ticket is its digest: it has 256 random bits and needs no slow hash."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, actor: Actor) -> str:
        """A ticket that stands for the caller once, within `GOOD_FOR` seconds. Rights are looked up when it is used."""
        ticket = secrets.token_urlsafe(_BYTES)
        subject = Subject(user_id=actor.user_id, kind=actor.kind)
        await self._database.tickets.issue(_digest(ticket), subject, GOOD_FOR)
        return ticket

    async def use(self, ticket: str) -> Subject:
        """Whose it was. Raises `InvalidToken` for one that is unknown, used up or too old."""
        subject = await self._database.tickets.use(_digest(ticket))
        if subject is None:
            raise InvalidToken
        return subject


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).digest()
