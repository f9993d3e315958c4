"""What a person decides about a message, in the lane that it waits in."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_queued_message, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.outbound import State, Step
from inbox.domain.pacing import Priority
from postgres.outbox_scene import lane_row, soon


@pytest.mark.parametrize("is_open", [True, False])
async def test_what_a_person_sends_again_goes_before_the_bot_and_programs(
    engine: AsyncEngine,
    database: PostgresDatabase,
    account,
    conversation,
    is_open: bool,  # noqa: FBT001 - a case
) -> None:
    failed = await a_queued_message(engine, account.account_id, conversation, state=State.FAILED)
    await execute(
        engine, "update lanes set priority = :rank, done = ver - :rest", rank=Priority.BULK.value, rest=int(is_open)
    )
    async with database.transaction() as tx:
        await tx.conversations.lock(account.account_id, conversation)
        step, until = Step.RESENT_BY_HUMAN, soon(hours=1)
        assert await tx.messages.decide(account.account_id, failed, step, expires_at=until) is not None
    lane = await lane_row(engine)
    assert (lane.priority, lane.is_open) == (Priority.PERSON, True)
