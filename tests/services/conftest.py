"""Services on a real PostgreSQL, with the vendors faked and the clock in the hands of the tests."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_queued_message, an_account
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId, MessageId
from inbox.ports.database import Database
from inbox.ports.messaging import Sender
from inbox.services.outbound import Outbound
from services.file_scene import no_files
from services.ingest_scene import Codec
from services.rights_scene import forgetful

Make = Callable[..., Outbound]


class Clock:
    """The real time, moved by what a test says."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def forward(self, **span: float) -> None:
        self._ahead += timedelta(**span)


@pytest.fixture
def signals() -> MemoryEvents:
    """The bus of one process."""
    return MemoryEvents()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


@pytest.fixture
def assistant() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine)


@pytest.fixture
def codec() -> Codec:
    return Codec()


@pytest.fixture
async def number(engine: AsyncEngine) -> str:
    return (await an_account(engine)).phone_number_id


@pytest.fixture
def make(database: Database, sender: FakeSender, signals: MemoryEvents, clock: Clock) -> Make:
    def outbound(sender: Sender = sender, database: Any = database) -> Outbound:  # noqa: ANN401 - or a double
        return Outbound(database, forgetful(database), sender, signals, clock, no_files(database, clock))

    return outbound


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id, client_number="33612345678")


@pytest.fixture
async def message(engine: AsyncEngine, account: Channel, conversation: ConversationId) -> MessageId:
    return await a_queued_message(engine, account.account_id, conversation)
