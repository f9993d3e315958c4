"""An account and a conversation, for tests that need no other, and a database for those that need one to themselves."""

from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.main.embedded import Server
from postgres_server import create_database, drop_database


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine, access_token="EAA-secret")


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id, client_number="33612345678")


@pytest.fixture
def fresh_url(postgres: Server, database_url: str, worker_id: str) -> Iterator[str]:
    """A database whose statistics begin with the test."""
    name = f"plans_{worker_id}"
    create_database(postgres, name, template="inbox_template")
    yield postgres.url_for(name)
    drop_database(postgres, name)
