"""Sending while the process ends or the database is away: no outcome is lost and nothing leaves twice."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from builders import a_queued_message, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.domain.outbound import State
from inbox.domain.upstream_errors import Refused, TryLater
from services.delivery_scene import SECOND, Hanging, SlowOutbox, WithOutbox, deliver, due_in, row_of
from services.scenes import conversation_row


async def cancelled(task: asyncio.Task[State]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_before_the_fence_gives_the_message_back_at_once(engine, database, make, message) -> None:
    hanging = Hanging(behind_fence=False)
    sending = asyncio.create_task(deliver(make(hanging), database))
    await hanging.reached.wait()
    await cancelled(sending)
    assert (await row_of(engine, message)).state == "queued"
    assert await due_in(engine) <= 0 * SECOND


async def test_a_stop_behind_the_fence_leaves_it_unknown(engine, database, make, message) -> None:
    hanging = Hanging(behind_fence=True)
    sending = asyncio.create_task(deliver(make(hanging), database))
    await hanging.reached.wait()
    await cancelled(sending)
    row = await row_of(engine, message)
    assert (row.state, row.status) == ("unknown", "pending")


async def test_a_stop_while_the_outcome_is_written_does_not_lose_it(engine, database, make, message) -> None:
    outbox = SlowOutbox(database.outbox)
    sending = asyncio.create_task(deliver(make(database=WithOutbox(database, outbox)), database))
    await outbox.began.wait()
    sending.cancel()
    outbox.goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await row_of(engine, message)).state == "accepted"


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "accepted"), (Refused("no", graph_code=131026), "failed"), (TryLater("pair"), "queued")],
)
async def test_the_outcome_survives_a_moment_without_a_database(
    engine, database, make, sender, message, error, state
) -> None:
    if error is not None:
        sender.fail_next(error)
    flaky = FaultyDatabase(database, Failpoints.parse("outbox.settle:before=raise@1"))
    await deliver(make(database=flaky), database)
    assert (await row_of(engine, message)).state == state


async def test_a_claim_is_given_back_after_a_moment_without_a_database(engine, database, make, message) -> None:
    flaky = FaultyDatabase(database, Failpoints.parse("outbox.to_wire:after=raise@1,outbox.release:before=raise@1"))
    assert await deliver(make(database=flaky), database) is State.QUEUED
    assert (await row_of(engine, message)).state == "queued"


async def test_the_reaper_ends_what_a_dead_worker_left_and_sends_nothing(
    engine, database, make, sender, clock, account, conversation
) -> None:
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.WIRE, wire_at=datetime.now(UTC), token=UUID(int=7)
    )
    assert await database.outbox.reap() == 0
    await execute(engine, "update outbox set wire_at = now() - interval '21 s'")
    assert await database.outbox.reap() == 1
    assert await database.outbox.reap() == 0
    assert (await row_of(engine, message)).state == "unknown"
    assert len(sender.sent) == 0
    assert (await conversation_row(engine, conversation)).epoch == 0
