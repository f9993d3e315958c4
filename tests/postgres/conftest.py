"""An account and a conversation, for tests that need no other."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine, access_token="EAA-secret")


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id, client_number="33612345678")
