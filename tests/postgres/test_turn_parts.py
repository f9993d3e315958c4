"""A part of the answer of a turn is there once, whoever asks for it again."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_new_message, an_account, execute
from event_builders import created
from inbox.adapters.database.postgres.messages import PostgresMessages
from inbox.domain.events import Event
from inbox.domain.ids import MessageId, TurnId, uuid7
from inbox.domain.messages import Author


@pytest.mark.parametrize("has_lane", [False, True])
async def test_a_part_of_a_turn_that_is_there_already_leaves_no_trace(
    engine: AsyncEngine,
    has_lane: bool,  # noqa: FBT001 - a case: whether the transaction holds the lane
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    events: list[Event] = []
    traces = []
    new = a_new_message(account, conversation, author=Author.BOT, turn_id=TurnId(uuid7()), epoch=0, at=NOON)
    for later in range(3):
        again = msgspec.structs.replace(new, id=MessageId(uuid7()), at=NOON + timedelta(hours=later))
        async with engine.begin() as connection:
            await connection.execute(text("select from conversations for update"))
            messages = PostgresMessages(connection, events, ready={conversation} if has_lane else frozenset())
            if later == 1:
                await messages.add_failed(again, created(again), reason="expired", error_code=None, error_message="x")
            else:
                await messages.queue(again, created(again))
        tables = ("conversations", "messages", "outbox", "lanes", "event_log")
        stored = [await execute(engine, f"select * from {table}") for table in tables]  # noqa: S608 - five names
        traces.append((stored, len(events)))
    assert traces == [traces[0]] * 3
