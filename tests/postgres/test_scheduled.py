"""Messages for later: nobody sees them on the way before their time, and then they are like all others."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, a_new_message, a_queued_message, execute
from event_builders import the_log, updated
from inbox.adapters.database.postgres.scheduled import Scheduled
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.content import Text
from inbox.domain.errors import ConversationNotFound, DatabaseTimeout, InboxError, WindowClosed
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.messages import FAILURES
from inbox.domain.outbound import NOT_SENT, State, Step
from inbox.domain.outgoing_template import TemplateMessage
from inbox.domain.pacing import Priority
from inbox.domain.sending_errors import TooManyScheduled
from inbox.domain.signals import LogGrew, MessageSettled, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.kit.paging import format_time
from postgres.outbox_scene import lane_row, message_row, outbox_row, settled, soon, take, take_one

TEMPLATE = TemplateMessage(name="rappel", language="fr")
DAY = timedelta(days=1)


@pytest.fixture
async def conversation(engine: AsyncEngine, account) -> ConversationId:
    return await a_conversation(engine, account.account_id, window_expires_at=soon(days=3), epoch=4)


async def plan(database, account, conversation, *, text="Bonjour", ahead=DAY, **more: Any) -> MessageId:  # noqa: ANN401 - fields of NewMessage
    at = soon()
    new = a_new_message(
        account.account_id, conversation, content=Text(body=text), at=at, expires_at=at + ahead + timedelta(hours=4)
    )
    new = msgspec.structs.replace(new, send_at=at + ahead, **more)
    async with database.transaction() as tx:
        await tx.conversations.lock(account.account_id, conversation)
        assert await tx.messages.queue(new) is False
    return new.id


def due(after: timedelta = DAY) -> datetime:
    return soon() + after + timedelta(seconds=1)


async def states(engine: AsyncEngine) -> list[str]:
    return [row.state for row in await execute(engine, "select state from outbox order by serial")]


async def everything(engine: AsyncEngine) -> list[list[Any]]:
    tables = ("outbox", "messages", "conversations")
    return [await execute(engine, f"select * from {table}") for table in tables]  # noqa: S608 - of this test


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_a_message_for_later_waits_without_a_lane_and_moves_nothing(
    engine, database: PostgresDatabase, account, conversation
) -> None:
    before = await execute(engine, "select updated_at, epoch from conversations")
    message = await plan(database, account, conversation)
    assert (await outbox_row(engine, message)).state == "scheduled"
    assert (await message_row(engine, message)).status == "pending"
    assert await execute(engine, "select updated_at, epoch from conversations") == before
    assert await execute(engine, "select 1 from lanes") == []
    assert await database.outbox.reap() == 0
    assert (await outbox_row(engine, message)).state == "scheduled"


async def test_it_holds_up_no_other_message_of_its_conversation(engine, database, account, conversation) -> None:
    first = await plan(database, account, conversation)
    other = await a_queued_message(engine, account.account_id, conversation)
    head, lane = await take_one(database)
    assert head.id == other
    await database.outbox.to_wire(head.id, head.token)
    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.1"), lane)
    assert not (await lane_row(engine)).is_open
    assert (await outbox_row(engine, first)).state == "scheduled"


async def test_the_bot_does_not_read_what_the_customer_has_not_got(engine, database, account, conversation) -> None:
    message = await plan(database, account, conversation)
    async with database.transaction() as tx:
        assert await tx.messages.history(account.account_id, conversation, 10) == []
    question = await a_message(
        engine, account.account_id, conversation, direction="inbound", author=None, status=None, timestamp=soon(hours=1)
    )
    await database.outbox.reap(due())
    async with database.transaction() as tx:
        history = await tx.messages.history(account.account_id, conversation, 10)
    assert [one.id for one in history] == [question, message]


async def test_a_hundred_wait_in_a_conversation_and_no_more(engine, database, account, conversation) -> None:
    for _ in range(100):
        await plan(database, account, conversation)
    with pytest.raises(TooManyScheduled):
        await plan(database, account, conversation)
    other = await a_conversation(engine, account.account_id)
    await plan(database, account, other)
    assert len(await states(engine)) == 101


async def test_nothing_is_scheduled_in_the_conversation_of_another_account(database, account, conversation) -> None:
    stranger = msgspec.structs.replace(account, account_id=conversation)
    new = a_new_message(stranger.account_id, conversation)
    async with database.transaction() as tx:
        with pytest.raises(ConversationNotFound):
            await tx.messages.queue(msgspec.structs.replace(new, send_at=soon(days=1)))


async def test_looking_for_what_is_due_costs_the_same_however_many_wait(
    engine, database, account, conversation
) -> None:
    message = await plan(database, account, conversation)
    await execute(
        engine,
        """with more as (
             insert into messages (id, account_id, conversation_id, direction, status)
             select gen_random_uuid(), :account, :conversation, 'outbound', 'pending' from generate_series(1, 3000)
             returning id)
           insert into outbox (id, account_id, conversation_id, state, expires_at, send_at)
           select id, :account, :conversation, 'scheduled', now() + interval '9 days', now() + interval '8 days'
           from more""",
        account=account.account_id,
        conversation=conversation,
    )
    await execute(engine, "analyze outbox")
    plan_of = await execute(
        engine,
        """explain (analyze, format json) select conversation_id from outbox
           where state = 'scheduled' and send_at <= now() + interval '7 days' order by send_at limit 100""",
    )
    (node,) = msgspec.json.decode(plan_of[0][0])[0]["Plan"]["Plans"]
    assert node["Index Name"] == "outbox_scheduled"
    assert (node["Actual Rows"], node.get("Rows Removed by Filter", 0)) == (1, 0)
    assert await database.outbox.reap(due()) == 1
    assert (await outbox_row(engine, message)).state == "queued"


# --- its time ---------------------------------------------------------------------------------------------------------


async def test_at_its_time_it_counts_as_written_by_a_person_at_that_moment(
    engine, database, signals, account, conversation
) -> None:
    message = await plan(database, account, conversation)
    now = due()
    assert await database.outbox.reap(now) == 1
    row, bubble = await outbox_row(engine, message), await message_row(engine, message)
    assert (row.state, row.expires_at) == ("queued", row.send_at + timedelta(hours=4))
    assert (bubble.status, bubble.timestamp) == ("pending", now)
    ((epoch, updated_at),) = await execute(engine, "select epoch, updated_at from conversations")
    assert (epoch, updated_at) == (5, now)
    assert WorkWaiting(WorkKind.SEND) in signals.published
    told, moved = await the_log(engine)
    assert (told.delivery_state, told.status, told.timestamp) == ("queued", "pending", format_time(now))
    assert moved == updated(account.account_id, conversation)
    assert LogGrew() in signals.published
    head, _ = await take_one(database, now=now)
    assert head.id == message


async def test_it_queues_behind_what_is_queued_then(engine, database, account, conversation) -> None:
    late = await plan(database, account, conversation, ahead=timedelta(hours=2))
    early = await plan(database, account, conversation, ahead=timedelta(hours=1))
    present = await a_queued_message(engine, account.account_id, conversation, expires_at=soon(days=3))
    assert await database.outbox.reap(due(timedelta(hours=2))) == 2
    rows = await execute(engine, "select id from outbox order by serial")
    assert [row.id for row in rows] == [present, early, late]


@pytest.mark.parametrize(
    ("waiting", "planned", "expected"),
    [
        (None, Priority.BULK, Priority.BULK),
        (Priority.BULK, Priority.PERSON, Priority.PERSON),
        (Priority.PERSON, Priority.BULK, Priority.PERSON),
    ],
)
async def test_the_lane_has_the_rank_of_the_most_urgent_that_waits_in_it(
    engine, database, account, conversation, waiting, planned, expected
) -> None:
    if waiting is not None:
        await a_queued_message(engine, account.account_id, conversation)
        await execute(engine, "update lanes set priority = :rank", rank=waiting.value)
    await plan(database, account, conversation, by_program=planned is Priority.BULK)
    await database.outbox.reap(due())
    assert (await lane_row(engine)).priority == expected


@pytest.mark.parametrize("window", [None, timedelta(hours=-1), timedelta(seconds=30)])
async def test_without_a_window_at_its_time_it_fails_and_says_what_to_do(
    engine, database, signals, account, conversation, window
) -> None:
    message = await plan(database, account, conversation)
    now = due()
    await execute(engine, "update conversations set window_expires_at = :at", at=window and now + window)
    assert await database.outbox.reap(now) == 1
    row, bubble = await outbox_row(engine, message), await message_row(engine, message)
    assert (row.state, row.reason) == ("failed", WindowClosed.code)
    assert (bubble.status, bubble.error_code, bubble.error_message) == ("failed", 131047, FAILURES[131047])
    assert MessageSettled(message) in signals.published
    assert await execute(engine, "select 1 from lanes") == []
    assert [row.epoch for row in await execute(engine, "select epoch from conversations")] == [4]


async def test_a_window_that_opens_meanwhile_is_enough(engine, database, account, conversation) -> None:
    await execute(engine, "update conversations set window_expires_at = null")
    message = await plan(database, account, conversation)
    now = due()
    await execute(engine, "update conversations set window_expires_at = :at", at=now + timedelta(hours=1))
    await database.outbox.reap(now)
    row = await outbox_row(engine, message)
    assert (row.state, row.expires_at) == ("queued", now + timedelta(minutes=59))


async def test_a_template_needs_no_window(engine, database, account, conversation) -> None:
    await execute(engine, "update conversations set window_expires_at = null")
    message = await plan(database, account, conversation, content=TEMPLATE)
    await database.outbox.reap(due())
    assert (await outbox_row(engine, message)).state == "queued"


async def test_what_nobody_sent_in_time_is_over(engine, database, account, conversation) -> None:
    """All workers were away for longer than its time to live, which counts from the time it was scheduled for."""
    message = await plan(database, account, conversation)
    await database.outbox.reap(due() + timedelta(hours=4))
    assert (await outbox_row(engine, message)).state == "expired"
    assert (await message_row(engine, message)).error_message == NOT_SENT[State.EXPIRED]


# --- people and crashes -----------------------------------------------------------------------------------------------


async def test_it_can_be_cancelled_until_a_worker_has_it(engine, database, account, conversation) -> None:
    message = await plan(database, account, conversation)
    async with database.transaction() as tx:
        await tx.conversations.lock(account.account_id, conversation)
        assert await tx.messages.decide(account.account_id, message, Step.CANCELLED) is not None
    assert await database.outbox.reap(due()) == 0
    assert (await outbox_row(engine, message)).state == "cancelled"
    assert (await message_row(engine, message)).status == "failed"


async def test_a_conversation_that_somebody_holds_comes_next_time(engine, database, account, conversation) -> None:
    message = await plan(database, account, conversation)
    async with database.transaction() as tx:
        await tx.conversations.lock(account.account_id, conversation)
        assert await database.outbox.reap(due()) == 0
    assert await database.outbox.reap(due()) == 1
    assert (await outbox_row(engine, message)).state == "queued"


async def test_workers_that_look_together_queue_each_once(engine, database, signals, account) -> None:
    for _ in range(30):
        other = await a_conversation(engine, account.account_id, window_expires_at=soon(days=3))
        await plan(database, account, other)
    now = due()
    looks = [Scheduled(engine, signals).queue_due(now) for _ in range(5)]
    assert sum(await asyncio.gather(*looks)) == 30
    assert await states(engine) == ["queued"] * 30
    assert {row.ver - row.done for row in await execute(engine, "select ver, done from lanes")} == {1}
    assert len(await take(database, now=now)) == 10


async def test_more_than_a_batch_goes_in_one_look(engine, database, signals, account, conversation) -> None:
    for _ in range(3):
        await plan(database, account, conversation)
    for _ in range(101):
        other = await a_conversation(engine, account.account_id, window_expires_at=soon(days=3))
        await plan(database, account, other)
    assert await Scheduled(engine, signals).queue_due(due()) == 104


async def test_what_is_due_leaves_also_while_other_work_of_the_reaper_fails(
    engine, database, account, conversation
) -> None:
    class Stuck:
        async def expire(self, now: datetime | None) -> int:
            raise DatabaseTimeout

    await plan(database, account, conversation)
    database.outbox._heads = Stuck()
    with pytest.raises(DatabaseTimeout):
        await database.outbox.reap(due())
    assert await states(engine) == ["queued"]


async def test_a_death_at_its_time_leaves_it_waiting_and_the_next_look_queues_it(
    engine, database, account, conversation
) -> None:
    """All of it is one transaction, down to its event."""
    message = await plan(database, account, conversation)
    before = await everything(engine)
    await execute(engine, "alter table event_log add constraint is_full check (kind <> 'message.status')")
    try:
        with pytest.raises(InboxError):
            await database.outbox.reap(due())
    finally:
        await execute(engine, "alter table event_log drop constraint is_full")
    after = await everything(engine)
    assert after == before
    assert await execute(engine, "select 1 from lanes") == []
    assert await database.outbox.reap(due()) == 1
    assert (await outbox_row(engine, message)).state == "queued"
