"""The web side in this process, served over loopback: streams need a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp
import httpx
import pytest
from dishka import AsyncContainer, Provider, Scope
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_conversation, an_account
from inbox.adapters.identity.fake import FakeIdentity
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, ConversationId, UserId
from inbox.entrypoints.connections import ConnectionLimits
from inbox.entrypoints.feed import Feed
from inbox.main.feed_settings import Feed as FeedSettings
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.serve import running
from inbox.main.settings import Database, Http, Settings, WhatsApp
from inbox.main.vendors import Fakes
from main.command import free_port
from member_builders import a_role, a_user, give_role

OURS = "https://inbox.example"
PER_USER = 4
SEES = (Permission.ACCOUNTS_VIEW, Permission.CONVERSATIONS_VIEW, Permission.MESSAGES_VIEW, Permission.MESSAGES_SEND)


@dataclass
class House:
    """Where the service is served, and its feed."""

    port: int
    feed: Feed
    container: AsyncContainer
    runtime: Runtime

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Person:
    id: UserId
    headers: dict[str, str]


@pytest.fixture(scope="module")
async def house(
    database_url: str, shared_engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    limits = ConnectionLimits(subscribe_every=0.0)
    async with served(database_url, tmp_path_factory.mktemp("house"), limits) as house:
        yield house


@asynccontextmanager
async def served(
    database_url: str, data_dir: Path, limits: ConnectionLimits, *, lifetime: float = 900.0
) -> AsyncIterator[House]:
    port = free_port()
    runtime = Runtime(
        settings=Settings(
            http=Http(port=port, cors_origins=(OURS,)),
            database=Database(allow_unsafe_durability=True),
            whatsapp=WhatsApp(app_secret=(Secret("secret"),), verify_token=Secret("verify-me")),
            feed=FeedSettings(per_user=PER_USER, lifetime=lifetime),
        ),
        database_url=database_url,
        sealer=SEALER,
        token_secrets=(b"t" * 32,),
        data_dir=data_dir,
    )
    given = Provider(scope=Scope.APP)
    given.provide(lambda: limits, provides=ConnectionLimits)
    async with running(runtime, Fakes(), given, worker=False) as container:
        yield House(port, await container.get(Feed), container, runtime)


@pytest.fixture
async def client(house: House, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.url, timeout=10) as client:
        yield client


@pytest.fixture
async def sockets(house: House, engine: AsyncEngine) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(house.url) as session:
        yield session


@pytest.fixture
async def account(engine: AsyncEngine) -> AccountId:
    return (await an_account(engine)).account_id


@pytest.fixture
async def talk(engine: AsyncEngine, account: AccountId) -> ConversationId:
    return await a_conversation(engine, account, display_name="Marc", unread_count=2)


@pytest.fixture
async def agent(engine: AsyncEngine, account: AccountId) -> Person:
    return await a_person(engine, account, *SEES)


async def a_person(engine: AsyncEngine, account: AccountId | None, *codes: Permission) -> Person:
    """Somebody with just these rights; None is everywhere."""
    user = await a_user(engine, display_name="Ada")
    await give_role(engine, user, await a_role(engine, *codes), account)
    return Person(user, bearer(user))


def bearer(user: UUID) -> dict[str, str]:
    return {"authorization": f"Bearer {FakeIdentity.token(user)}"}
