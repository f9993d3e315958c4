"""A usual line that is claimed as it is stored: where a claim and its head would have given just that."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_new_message, a_queued_message, execute, until
from database_fixtures import RecordedSignals
from event_builders import created
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.outbound import State
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.records import Claimed, NewMessage, Posted
from postgres.outbox_scene import lanes_due, outbox_row, settled, take

_OPEN = [State.QUEUED, State.CLAIMED, State.WIRE, State.UNKNOWN]


@pytest.fixture
async def talk(engine: AsyncEngine, account: Channel) -> ConversationId:
    await execute(engine, "insert into number_paces (account_id) values (:id)", id=account.account_id)
    return await a_talk(engine, account)


@pytest.fixture
def new(account: Channel, talk: ConversationId) -> NewMessage:
    return a_new_message(account.account_id, talk)


async def a_talk(engine: AsyncEngine, account: Channel) -> ConversationId:
    """Its window is open for a day, and something was sent there before."""
    conversation = await a_conversation(engine, account.account_id)
    await a_queued_message(engine, account.account_id, conversation, state=State.DELIVERED)
    await execute(engine, "update lanes set done = ver where key = :key", key=str(conversation))
    await execute(
        engine,
        """update conversations set window_expires_at = now() + interval '1 day', updated_at = now() - interval '1 hour'
           where id = :id""",
        id=conversation,
    )
    return conversation


async def post(database: PostgresDatabase, new: NewMessage) -> Posted:
    posted = await database.outbox.post(new, created(new), claims=True)
    assert posted is not None
    return posted


async def claimed(database: PostgresDatabase, new: NewMessage) -> Claimed:
    found = (await post(database, new)).claimed
    assert found is not None
    return found


async def test_what_it_claims_is_what_a_worker_would_have_claimed(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    ours = await claimed(database, new)
    rows = "select to_jsonb(o) - 'token' - 'lease_until' - 'updated_at' as shown, l.attempts, l.due > now() as is_held"
    rows += " from outbox o join lanes l on l.key = o.conversation_id::text where o.id = :id"
    before = await execute(engine, rows, id=new.id)
    await database.outbox.release(new.id, ours.head.token, ours.lane, timedelta())
    [theirs] = await take(database)
    assert theirs.head is not None
    assert msgspec.structs.replace(theirs.head, token=ours.head.token) == ours.head
    assert msgspec.structs.replace(theirs.lane, fence=ours.lane.fence, retries=0) == ours.lane
    assert theirs.lane.fence == ours.lane.fence + 1
    assert await execute(engine, rows, id=new.id) == before


async def test_no_worker_is_told_to_look_for_it(
    database: PostgresDatabase, account: Channel, signals: RecordedSignals, new: NewMessage
) -> None:
    assert (await post(database, new)).is_prompt
    assert signals.published == [LogGrew()]
    assert await take(database) == []


async def test_it_goes_to_the_wire_and_the_next_one_is_claimed_again(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    for n in (1, 2):
        one = msgspec.structs.replace(new, id=a_new_message(new.account_id, new.conversation_id).id)
        ours = await claimed(database, one)
        assert await database.outbox.to_wire(one.id, ours.head.token) == 1
        await database.outbox.settle(settled(ours.head, State.ACCEPTED, wamid=f"wamid.{n}"), ours.lane)
        assert (await outbox_row(engine, one.id)).state == "accepted"
    assert await take(database) == []


async def test_if_its_worker_dies_another_one_sends_it_when_the_lease_is_over(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    ours = await claimed(database, new)
    await execute(engine, "update lanes set due = now()")
    await execute(engine, "update outbox set lease_until = now()")
    [theirs] = await take(database)
    assert theirs.head is not None
    assert (theirs.head.id, theirs.lane.attempts) == (new.id, 2)
    assert await database.outbox.to_wire(new.id, ours.head.token) is None
    assert await database.outbox.to_wire(new.id, theirs.head.token) == 1


async def test_for_who_cannot_send_it_nothing_is_claimed_and_no_token_is_taken(
    engine: AsyncEngine, database: PostgresDatabase, signals: RecordedSignals, new: NewMessage
) -> None:
    posted = await database.outbox.post(new, created(new))
    assert posted == Posted(is_prompt=True)
    assert signals.published == [WorkWaiting(WorkKind.SEND), LogGrew()]
    [pace] = await execute(engine, "select taken from number_paces")
    assert pace.taken == 0


async def _another_one(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    """Of the number, due."""
    await a_queued_message(engine, account.account_id, await a_conversation(engine, account.account_id))


async def _paused(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(engine, "update whatsapp_accounts set paused_at = now() - interval '1 day'")


async def _off(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(engine, "update whatsapp_accounts set is_active = false")


async def _no_token(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(
        engine,
        "update number_paces set free_at = now() + interval '1 minute' where account_id = :id",
        id=account.account_id,
    )


async def _pair_waits(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(engine, "update lanes set pair_at = now() + interval '1 minute'")


async def _new_number(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    """Nothing was sent with it yet."""
    await execute(engine, "delete from number_paces")


async def _new_talk(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(engine, "delete from lanes")


async def _parked(engine: AsyncEngine, account: Channel, talk: ConversationId) -> None:
    await execute(engine, "update lanes set parked = 'by a test'")


@pytest.mark.parametrize(
    "reason", [_another_one, _paused, _off, _no_token, _pair_waits, _parked, _new_number, _new_talk]
)
async def test_what_has_to_wait_is_left_to_the_workers(
    engine: AsyncEngine,
    database: PostgresDatabase,
    account: Channel,
    signals: RecordedSignals,
    talk: ConversationId,
    new: NewMessage,
    reason,
) -> None:
    await reason(engine, account, talk)
    signals.published.clear()
    assert (await post(database, new)).claimed is None
    assert (await outbox_row(engine, new.id)).state == "queued"
    assert signals.published == [WorkWaiting(WorkKind.SEND), LogGrew()]
    [lane] = await execute(engine, "select ver - done as open, attempts from lanes where key = :key", key=str(talk))
    assert (lane.open, lane.attempts) == (1, 0)


@pytest.mark.parametrize("state", _OPEN)
@pytest.mark.parametrize("is_finished", [False, True])
async def test_nothing_overtakes_a_message_that_is_open_whatever_its_lane_says(
    engine: AsyncEngine,
    database: PostgresDatabase,
    account: Channel,
    talk: ConversationId,
    new: NewMessage,
    state: State,
    is_finished,
) -> None:
    await a_queued_message(engine, account.account_id, talk, state=state)
    if is_finished:
        await execute(engine, "update lanes set done = ver")
    assert (await post(database, new)).claimed is None


async def test_a_lane_in_the_hands_of_a_worker_is_left_to_it(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, talk: ConversationId, new: NewMessage
) -> None:
    first = await a_queued_message(engine, account.account_id, talk)
    [taken] = await take(database)
    assert taken.head is not None
    await database.outbox.to_wire(first, taken.head.token)
    assert (await post(database, new)).claimed is None
    await database.outbox.settle(settled(taken.head, State.ACCEPTED, wamid="wamid.A"), taken.lane)
    await lanes_due(engine)
    [after] = await take(database)
    assert after.head is not None
    assert after.head.id == new.id


async def test_a_pace_that_somebody_holds_is_not_waited_for(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    async with engine.begin() as holder:
        await holder.execute(text("select from number_paces for update"))
        assert (await post(database, new)).claimed is None


async def test_who_changes_the_number_is_waited_for_without_its_pace(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    async with engine.begin() as holder:
        await holder.execute(text("select from whatsapp_accounts for update"))
        posting = asyncio.create_task(post(database, new))
        await until(engine, LOCK_WAIT)  # the message refers to the account
        await holder.execute(text("select from number_paces for update nowait"))
    assert (await posting).claimed is None


async def test_its_channel_is_that_of_the_moment(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    await execute(engine, "update whatsapp_accounts set phone_number_id = '10600009999'")
    assert (await claimed(database, new)).head.channel.phone_number_id == "10600009999"


async def test_each_one_costs_the_number_a_token(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel, new: NewMessage
) -> None:
    await execute(engine, "update number_paces set ceiling = 1")
    assert (await post(database, new)).claimed is not None
    [pace] = await execute(
        engine,
        "select taken, free_at = now_before.at as is_next from number_paces, lateral ("
        "select created_at + interval '1 s' as at from outbox where id = :id) now_before",
        id=new.id,
    )
    assert (pace.taken, pace.is_next) == (1, True)
    other = a_new_message(account.account_id, await a_talk(engine, account))
    assert (await post(database, other)).claimed is None


async def test_of_many_at_once_no_more_are_claimed_than_the_number_may_send_and_one_of_a_conversation(
    engine: AsyncEngine, database: PostgresDatabase, account: Channel
) -> None:
    await execute(engine, "insert into number_paces (account_id, ceiling) values (:id, 4)", id=account.account_id)
    talks = [await a_talk(engine, account) for _ in range(10)]

    async def line(conversation: ConversationId) -> MessageId | None:
        one = a_new_message(account.account_id, conversation)
        posted = await database.outbox.post(one, created(one), claims=True)
        return one.id if posted and posted.claimed else None

    await asyncio.gather(*(line(talk) for talk in talks * 3))
    held = await execute(engine, "select conversation_id, count(*) from outbox where state = 'claimed' group by 1")
    heads = await execute(
        engine,
        """select o.state, o.serial = min(o.serial) over (partition by o.conversation_id) as is_first from outbox o
           where o.state in ('queued', 'claimed')""",
    )
    [pace] = await execute(engine, "select taken from number_paces")
    assert [row.count for row in held] == [1] * len(held)
    assert 1 <= len(held) == pace.taken <= 5
    assert all(row.is_first for row in heads if row.state == "claimed")
