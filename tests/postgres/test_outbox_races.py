"""Two at once: whoever comes second sees what the first one did."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_new_message, a_queued_message, a_status, an_account, execute, until
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.domain.messages import Author
from inbox.domain.outbound import OpId, State
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.ports.records import InboundBatch, Settlement
from postgres.outbox_scene import on_wire, settled

T = TypeVar("T")


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine)


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id)


@asynccontextmanager
async def waiting(engine: AsyncEngine, work: Awaitable[T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Starts `work` and goes on when it waits for a lock. It must be let go inside the block."""
    task = asyncio.ensure_future(work)
    await until(engine, LOCK_WAIT)
    yield task
    await task


async def raise_epoch(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql("update conversations set epoch = epoch + 1")


async def test_the_fence_of_the_bot_waits_for_a_take_over_in_flight_and_obeys_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    token = uuid4()
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.CLAIMED, token=token, author=Author.BOT, epoch=0
    )
    async with engine.connect() as person:
        await raise_epoch(person)
        async with waiting(engine, database.outbox.to_wire(message, token)) as fence:
            await person.commit()
        assert await fence is None
    assert [row.state for row in await execute(engine, "select state from outbox")] == ["claimed"]


async def test_the_fence_of_the_bot_opens_if_the_take_over_is_given_up(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    token = uuid4()
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.CLAIMED, token=token, author=Author.BOT, epoch=0
    )
    async with engine.connect() as person:
        await raise_epoch(person)
        async with waiting(engine, database.outbox.to_wire(message, token)) as fence:
            await person.rollback()
        assert await fence == 1


async def test_the_fence_of_a_person_waits_for_nobody(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    token = uuid4()
    message = await a_queued_message(engine, account.account_id, conversation, state=State.CLAIMED, token=token)
    async with engine.connect() as person:
        await raise_epoch(person)
        async with asyncio.timeout(10):
            assert await database.outbox.to_wire(message, token) == 1


async def test_the_lease_is_judged_after_the_wait_and_not_before(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    token = uuid4()
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.CLAIMED, token=token, author=Author.BOT, epoch=0
    )
    async with engine.connect() as person:
        await raise_epoch(person)
        async with waiting(engine, database.outbox.to_wire(message, token)) as fence:
            await execute(engine, "update outbox set lease_until = clock_timestamp()")
            await person.rollback()
        assert await fence is None


async def test_many_claims_of_one_lane_give_one_passage_through_the_fence(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    """Zombies: five workers believe that they hold the lane; each takes the head and goes for the wire."""
    await a_queued_message(engine, account.account_id, conversation)
    lane = Lane(kind=WorkKind.SEND, key=str(conversation), ver=1, fence=1, attempts=1)

    async def worker() -> list[int]:
        [taken] = await database.outbox.take_heads([lane], datetime.now(UTC))
        if taken.head is None:
            return []
        passed = [await database.outbox.to_wire(taken.head.id, taken.head.token) for _ in range(2)]
        return [attempt for attempt in passed if attempt is not None]

    passed = await asyncio.gather(*(worker() for _ in range(5)))

    assert [attempt for attempts in passed for attempt in attempts] == [1]


async def test_the_reaper_and_the_fence_do_not_both_win(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    claims = []
    for _ in range(10):
        token = uuid4()
        conversation = await a_conversation(engine, account.account_id)
        claims.append(
            (
                await a_queued_message(engine, account.account_id, conversation, state=State.CLAIMED, token=token),
                token,
            )
        )
    late = datetime.now(UTC) + timedelta(seconds=31)

    reaper = asyncio.create_task(database.outbox.reap(late))
    passed = await asyncio.gather(*(database.outbox.to_wire(message, token) for message, token in claims))

    # By this reaper's clock a message that passed the fence has been on the wire for long: unknown, never queued.
    attempts = [row.attempt for row in await execute(engine, "select attempt from outbox where state = 'queued'")]
    assert set(attempts) <= {0}
    assert len(attempts) == 10 - sum(attempt is not None for attempt in passed)
    assert await reaper >= len(attempts)


async def test_outcome_and_echo_of_one_moment_agree(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async def one(number: int) -> tuple[Any, ...]:
        conversation = await a_conversation(engine, account.account_id)
        token = uuid4()
        message = await a_queued_message(
            engine, account.account_id, conversation, state=State.WIRE, token=token, attempt=1
        )
        lane = Lane(kind=WorkKind.SEND, key=str(conversation), ver=1, fence=0, attempts=1)
        wamid = f"wamid.{number}"
        accepted = Settlement(
            message_id=message, account_id=account.account_id, token=token, state=State.ACCEPTED, wamid=wamid
        )

        async def echo(word: str, *, by_op: bool) -> None:
            status = a_status(account.phone_number_id, wamid, word, op_id=str(OpId(message, 1)) if by_op else None)
            async with database.transaction() as tx:
                await tx.apply(InboundBatch(statuses=[status]))

        await asyncio.gather(
            echo("sent", by_op=True), database.outbox.settle(accepted, lane), echo("delivered", by_op=number % 2 == 0)
        )
        await database.outbox.reap(datetime.now(UTC))
        [row] = await execute(
            engine,
            """select m.status, m.wa_message_id, o.state, o.wamid from messages m join outbox o on o.id = m.id
               where m.id = :id""",
            id=message,
        )
        return (*row, wamid)

    for number in range(12):
        status, message_wamid, state, outbox_wamid, wamid = await one(number)
        assert (status, state) == ("delivered", "delivered")
        assert message_wamid == outbox_wamid == wamid


async def test_messages_that_are_queued_at_the_same_time_go_out_in_the_order_of_their_commits(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    committed = []

    async def queue() -> None:
        new = a_new_message(account.account_id, conversation)
        async with database.transaction() as tx:
            await tx.conversations.lock(account.account_id, conversation)
            await tx.messages.queue(new)
            committed.append(new.id)

    await asyncio.gather(*(queue() for _ in range(8)))

    sent = []
    for number in range(8):
        lanes = await database.work.claim(WorkKind.SEND, 1)
        [taken] = await database.outbox.take_heads(lanes, datetime.now(UTC))
        assert taken.head is not None
        await database.outbox.to_wire(taken.head.id, taken.head.token)
        await database.outbox.settle(
            Settlement(
                message_id=taken.head.id,
                account_id=account.account_id,
                token=taken.head.token,
                state=State.ACCEPTED,
                wamid=f"wamid.{number}",
            ),
            taken.lane,
        )
        sent.append(taken.head.id)
    assert sent == committed


async def test_a_message_that_is_queued_while_the_last_one_is_settled_is_not_forgotten(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    for number in range(10):
        await a_queued_message(engine, account.account_id, conversation)
        [taken] = await database.outbox.take_heads(await database.work.claim(WorkKind.SEND, 1), datetime.now(UTC))
        assert taken.head is not None
        await database.outbox.to_wire(taken.head.id, taken.head.token)
        accepted = Settlement(
            message_id=taken.head.id,
            account_id=account.account_id,
            token=taken.head.token,
            state=State.ACCEPTED,
            wamid=f"wamid.{number}",
        )

        async def queue() -> None:
            async with database.transaction() as tx:
                await tx.messages.queue(a_new_message(account.account_id, conversation))

        await asyncio.gather(database.outbox.settle(accepted, taken.lane), queue())

        [next_one] = await database.outbox.take_heads(await database.work.claim(WorkKind.SEND, 1), datetime.now(UTC))
        assert next_one.head is not None
        await execute(engine, "delete from outbox")
        await execute(engine, "delete from lanes")


async def test_a_message_that_holds_the_lane_while_the_last_one_is_settled_is_due_at_once(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    signals: RecordedSignals,
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    accepted = database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)
    signals.published.clear()
    async with database.transaction() as tx:
        await tx.messages.queue(a_new_message(account.account_id, conversation))
        settling = asyncio.create_task(accepted)
        await until(engine, LOCK_WAIT)
    await settling
    assert signals.published.count(WorkWaiting(WorkKind.SEND)) == 1
    [lane] = await database.work.claim(WorkKind.SEND, 1)
    [taken] = await database.outbox.take_heads([lane])
    assert taken.head is not None
