"""Whatever lists, threads, the address book or the pages of accounts show otherwise than before is in the event log."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from services.bot_scene import Scene as BotScene
from services.bot_scene import ago
from services.conftest import Clock
from services.silence_people import PEOPLE, Operation
from services.silence_scene import Scene, nothing_silent
from services.silence_webhooks import WEBHOOKS
from services.silence_worker import WORK


@pytest.fixture
def signals() -> RecordedSignals:
    return RecordedSignals()


@pytest.mark.parametrize("operation", PEOPLE + WORK + WEBHOOKS, ids=lambda operation: operation.__name__)
async def test_what_screens_show_otherwise_is_told(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals, operation: Operation
) -> None:
    steps = operation(await Scene(database, engine, signals).begin())
    await anext(steps)
    async with nothing_silent(database, engine, signals):
        with pytest.raises(StopAsyncIteration):
            await anext(steps)


async def test_a_hand_over_is_told(
    database: PostgresDatabase, engine: AsyncEngine, signals: RecordedSignals, clock: Clock
) -> None:
    scene = await BotScene(database, engine, await an_account(engine), clock).begin()
    await scene.customer_writes("Bonjour", at=ago(seconds=130))
    async with nothing_silent(database, engine, signals):
        assert await scene.turn() == "handed_over"
