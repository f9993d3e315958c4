"""The application in this process, on a real database, with the vendors faked."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from dishka import AsyncContainer
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from applications import Applications, a_browser
from builders import SEALER, an_account
from inbox.adapters.identity.fake import FakeIdentity
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId
from inbox.kit.telemetry import Metrics
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.settings import Database, Http, Send, Settings, WhatsApp
from inbox.main.settings import Metrics as MetricsSettings
from inbox.main.vendors import Fakes
from member_builders import a_role, a_user, give_role

APP_SECRET = "test_app_secret"


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        http=Http(cors_origins=("https://inbox.example",), max_webhook_bytes=4096),
        database=Database(allow_unsafe_durability=True),
        whatsapp=WhatsApp(app_secret=(Secret(APP_SECRET),), verify_token=Secret("verify-me")),
        send=Send(wait_seconds=0.2),
        metrics=MetricsSettings(auth_token=Secret("metrics-token")),
    )


@pytest.fixture
async def container(
    settings: Settings, database_url: str, engine: AsyncEngine, tmp_path: Path
) -> AsyncIterator[AsyncContainer]:
    runtime = Runtime(
        settings=settings,
        database_url=database_url,
        sealer=SEALER,
        token_secrets=(b"t" * 32,),
        data_dir=tmp_path,
    )
    container = build(runtime, Fakes())
    yield container
    await container.close()


@pytest.fixture
async def metrics(container: AsyncContainer) -> Metrics:
    return await container.get(Metrics)


@pytest.fixture
async def app(applications: Applications, settings: Settings, container: AsyncContainer) -> AsyncIterator[Litestar]:
    async with applications.lent(settings, container) as app:
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with app.lifespan(), a_browser(app) as client:
        yield client


@pytest.fixture
async def account(engine: AsyncEngine) -> AccountId:
    return (await an_account(engine)).account_id


async def a_caller(engine: AsyncEngine, account: AccountId | None, *codes: Permission) -> dict[str, str]:
    """The headers of somebody with just these rights; None is everywhere."""
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, *codes), account)
    return bearer(user)


def bearer(user: UUID) -> dict[str, str]:
    return {"authorization": f"Bearer {FakeIdentity.token(user)}"}
