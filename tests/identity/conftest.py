"""Local accounts on a real database, with a clock that the tests move."""

from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER
from identity.running import ADMIN, HOST, Service
from identity.running import PASSWORD as ADMIN_PASSWORD
from inbox.adapters.identity.attempts import Limits
from inbox.adapters.identity.local import LocalSignIn
from inbox.adapters.identity.local_identity import LocalIdentity
from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.passwords import Passwords
from inbox.domain.errors import SignInRefused
from inbox.ports.database import Database
from inbox.ports.identity import AuthUser, Client, Session
from inbox.ports.local_accounts import LocalSession, LocalUser
from main.command import free_port, inbox, started
from warm import Warm

ISSUER = "https://inbox.faro.example/auth/v1"
EMAIL, PASSWORD = "ana@faro.example", "correct horse battery"
HERE = Client(address="203.0.113.7", user_agent="pytest")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class Local:
    """One process that serves local accounts; several share a database."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, limits: Limits | None) -> None:
        self.database = database
        self.clock = clock
        self.tokens = LocalTokens(database, ISSUER, clock=clock)
        self.sign_in = LocalSignIn(
            database,
            self.tokens,
            passwords,
            secrets=SEALER.digests("refresh tokens", "sign-in"),
            clock=clock,
            limits=limits,
        )
        self.identity = LocalIdentity(database, self.tokens, clock=clock)

    def twin(self) -> "Local":
        """Another process on the same database."""
        return Local(self.database, self.clock, self.sign_in._passwords, None)

    async def register(self, email: str = EMAIL, password: str = PASSWORD) -> AuthUser:
        return await self.sign_in.register(email, password, full_name="Ana Ruiz")

    async def insert(self, email: str = EMAIL) -> LocalSession:
        """A session of somebody without a password, made without the cost of one."""
        now = self.clock.now
        user = LocalUser(
            id=uuid4(),
            email=email,
            password_hash=None,
            user_metadata={"full_name": "Ana Ruiz"},
            email_confirmed_at=now,
            last_sign_in_at=None,
            banned_until=None,
            created_at=now,
            updated_at=now,
        )
        session = LocalSession(
            id=uuid4(), user_id=user.id, refresh_counter=0, created_at=now, refreshed_at=now, not_after=None
        )
        async with self.database.transaction() as tx:
            await tx.local_accounts.add_user(user)
            await tx.local_accounts.add_session(session, user_agent=None, address=None)
        return session

    async def session(self, email: str = EMAIL, password: str = PASSWORD) -> Session:
        return await self.sign_in.password(email, password, HERE)


async def refused(call: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(SignInRefused) as error:
        await call
    return error.value.status, error.value.error_code


async def run(engine: AsyncEngine, statement: str, **values: object) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)


async def count(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(f"select count(*) from {table}"))).scalar_one())  # noqa: S608


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def local(database: Database, clock: Clock, passwords: Passwords) -> Local:
    return Local(database, clock, passwords, None)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Service]:
    """The command, serving, with a database of its own."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    for who in (ADMIN, HOST):
        made = inbox("create-admin", who, "--password-stdin", home=home, warm=warm, stdin=f"{ADMIN_PASSWORD}\n")
        assert made.returncode == 0, made.stderr
    with started("serve", "--port", str(port), home=home, warm=warm, META_APP_SECRET="s") as running:
        running.line("serving on http")
        yield Service(port)
        running.end()
