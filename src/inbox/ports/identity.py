"""Who a token speaks for. What they may do comes from our own tables."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from inbox.domain.access import Subject
from inbox.ports.local_accounts import LocalUser, OneTimeLink, Purpose


class Identity(Protocol):
    """Checks access tokens."""

    async def authenticate(self, token: str) -> Subject:
        """Whom `token` speaks for.

        Raises `InvalidToken`; `IdentityNotConfigured`, `IdentityDown`, `IdentityUnreachable`, `IdentityTimeout` when
        the provider is at fault: an outage is never an invalid token. Local accounts and API keys raise what the
        database raises.
        """
        ...

    async def probe(self) -> bool:
        """A `Probe` of the provider; False where people sign in without asking one."""
        ...


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who knocks: the address of the connection and what the program calls itself. Only limits and lists use it."""

    address: str | None = None
    user_agent: str | None = None


class AuthUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the sign-in surface shows them. `email` is lower case."""

    id: UUID
    email: str
    user_metadata: dict[str, Any]
    email_confirmed_at: datetime | None
    last_sign_in_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a successful sign-in gives.

    `expires_at` is when the access token ends, `lifetime` the same from now in seconds. `counter` numbers the refresh
    tokens of a session from 0. `reuse` says why an old refresh token was honoured (`concurrent-refresh`,
    `fail-to-save`); None for an ordinary answer.
    """

    id: UUID
    access_token: str
    refresh_token: str
    expires_at: datetime
    lifetime: int
    user: AuthUser
    counter: int
    reuse: str | None = None


class SignIn(Protocol):
    """Sessions of the people who sign in at this service itself: a subset of GoTrue.

    Every method raises `SignInRefused` with GoTrue's status and code, and what the database raises.
    """

    async def password(self, email: str, password: str, client: Client) -> Session:
        """A new session. An unknown address, a wrong password and an account without one look and last the same.

        Limited per e-mail and per address. Raises `Overloaded` when too many wait for a password check.
        """
        ...

    async def verify(self, token: str, purpose: Purpose, client: Client) -> Session:
        """A new session for a one-time link, which is used up and confirms the address. Limited per address."""
        ...

    async def refresh(self, refresh_token: str) -> Session:
        """The next tokens of a session; each refresh token counts once.

        The direct parent of the current token, and any older one within 10 s, gets the current token again, because
        the answer was lost or several tabs asked at once. Anything older ends the session for good.
        """
        ...

    async def user(self, token: str) -> AuthUser:
        """The person behind an access token, whose session still exists and who is not banned."""
        ...

    async def change_password(self, token: str, new: str, current: str | None, client: Client) -> AuthUser:
        """Sets a new password; all other sessions of the person and all their links end. Limited like `password`.

        `current` is needed except in the hour after a link began this session; after that it is an ordinary session.
        """
        ...

    async def sign_out(self, token: str, scope: str) -> None:
        """Ends sessions: `local` this one, `others` all but this one, `global` all."""
        ...

    async def jwks(self) -> list[dict[str, Any]]:
        """The public keys, as JWKs, that verify the access tokens."""
        ...


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """`url` opens the page that sets a password, and is known to nobody but whom it is shown to."""

    stored: OneTimeLink
    url: str


class Links(Protocol):
    """How people come to local accounts of their own. Makes values only; storing them is the caller's."""

    def newcomer(self, email: str, full_name: str | None) -> LocalUser:
        """Somebody without a password, whose address nobody confirmed. Raises `Invalid`."""
        ...

    def link(self, user_id: UUID, purpose: Purpose, created_by: UUID | None) -> NewLink: ...
