"""Fences and outcomes of one moment: one statement, and still each caller by itself."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_new_message, a_queued_message, a_status, execute, until
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.errors import CommitUnknown, DatabaseUnavailable, Unstorable
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.messages import Author
from inbox.domain.outbound import State
from inbox.domain.work import Lane
from inbox.ports.records import InboundBatch, Outgoing
from postgres.outbox_scene import SEND, lane_row, lanes_due, message_row, on_wire, outbox_row, settled, take, take_one
from statement_counts import counting

Sent = tuple[Outgoing, Lane]


async def claimed(engine: AsyncEngine, account: Channel, **more) -> tuple[MessageId, UUID]:
    conversation, token = await a_conversation(engine, account.account_id), uuid4()
    message = await a_queued_message(engine, account.account_id, conversation, state=State.CLAIMED, token=token, **more)
    return message, token


async def on_wire_in(database: PostgresDatabase, engine: AsyncEngine, account: Channel, count: int) -> list[Sent]:
    """So many messages on the wire, each of a conversation of its own."""
    return [
        await on_wire(database, engine, account, await a_conversation(engine, account.account_id)) for _ in range(count)
    ]


async def test_fences_of_one_moment_share_a_commit(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    rows = [await claimed(engine, account) for _ in range(20)]
    with counting(engine) as statements:
        attempts = await asyncio.gather(*(database.outbox.to_wire(*row) for row in rows))
    assert attempts == [1] * 20
    assert len(statements) <= 2
    assert {row.state for row in await execute(engine, "select state from outbox")} == {"wire"}


async def test_among_fences_of_one_moment_a_stale_one_stays_closed(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    good, stale, over = [await claimed(engine, account) for _ in range(3)]
    await execute(engine, "update outbox set lease_until = now() where id = :id", id=over[0])
    passed = await asyncio.gather(*(database.outbox.to_wire(*row) for row in (good, (stale[0], uuid4()), over, good)))
    assert sorted(map(str, passed)) == ["1", "None", "None", "None"]
    assert (await outbox_row(engine, stale[0])).state == (await outbox_row(engine, over[0])).state == "claimed"


async def test_a_take_over_in_flight_holds_the_bot_up_and_no_person(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    bot = await claimed(engine, account, author=Author.BOT, epoch=0)
    people = [await claimed(engine, account) for _ in range(5)]
    async with engine.connect() as person:
        await person.exec_driver_sql("update conversations set epoch = epoch + 1")
        fence = asyncio.ensure_future(database.outbox.to_wire(*bot))
        await until(engine, LOCK_WAIT)
        assert await asyncio.gather(*(database.outbox.to_wire(*row) for row in people)) == [1] * 5
        assert not fence.done()
        await person.commit()
    assert await fence is None


async def test_after_an_unclear_commit_no_fence_of_that_moment_is_open(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    rows = [await claimed(engine, account) for _ in range(4)]
    async with engine.connect() as holder:
        await holder.exec_driver_sql("select 1 from outbox for update")
        fences = [asyncio.ensure_future(database.outbox.to_wire(*row)) for row in rows]
        await until(engine, LOCK_WAIT)
        await execute(
            engine,
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' "
            "and datname = current_database() and pid <> pg_backend_pid()",
        )
        first = await asyncio.gather(fences[0], return_exceptions=True)
        assert isinstance(first[0], CommitUnknown | DatabaseUnavailable)
    rest = await asyncio.gather(*fences[1:], return_exceptions=True)
    states = {row.id: row.state for row in await execute(engine, "select id, state from outbox")}
    told = dict(zip([row[0] for row in rows], [*first, *rest], strict=True))
    assert all((states[message] == "wire") == (told[message] == 1) for message in told)


async def test_outcomes_of_one_moment_share_a_commit(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    sent = await on_wire_in(database, engine, account, 12)
    outcomes = [State.ACCEPTED, State.FAILED, State.UNKNOWN, State.QUEUED]
    written = [
        settled(head, outcomes[n % 4], wamid=f"wamid.{n}" if n % 4 == 0 else None, wait=timedelta(seconds=9))
        for n, (head, _) in enumerate(sent)
    ]
    with counting(engine) as statements:
        await asyncio.gather(*(database.outbox.settle(one, lane) for one, (_, lane) in zip(written, sent, strict=True)))
    assert len(statements) <= 16  # two flushes: the first one does not wait for company
    for n, (head, _) in enumerate(sent):
        assert (await outbox_row(engine, head.id)).state == outcomes[n % 4]
        assert (await message_row(engine, head.id)).wa_message_id == (f"wamid.{n}" if n % 4 == 0 else None)
    open_lanes = await execute(engine, "select key from lanes where ver > done")
    assert {row.key for row in open_lanes} == {lane.key for n, (_, lane) in enumerate(sent) if n % 4 == 3}


async def test_an_outcome_that_cannot_be_stored_fails_alone(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    sent = await on_wire_in(database, engine, account, 4)
    written = [
        settled(head, State.FAILED, error_message="bad \0" if n == 2 else "fine") for n, (head, _) in enumerate(sent)
    ]
    told = await asyncio.gather(
        *(database.outbox.settle(one, lane) for one, (_, lane) in zip(written, sent, strict=True)),
        return_exceptions=True,
    )
    assert [type(one) for one in told] == [type(None), type(None), Unstorable, type(None)]
    assert [(await outbox_row(engine, head.id)).state for head, _ in sent] == ["failed", "failed", "wire", "failed"]


async def test_statuses_that_came_first_are_applied_with_each_of_the_outcomes(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    sent = await on_wire_in(database, engine, account, 5)
    early = [a_status(account.phone_number_id, f"wamid.{n}", "delivered") for n in range(5)]
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(statuses=early))
    await asyncio.gather(
        *(
            database.outbox.settle(settled(head, State.ACCEPTED, wamid=f"wamid.{n}"), lane)
            for n, (head, lane) in enumerate(sent)
        )
    )
    rows = await execute(engine, "select status, count(*) from messages group by status")
    assert [tuple(row) for row in rows] == [("delivered", 5)]


# --- the limit of a pair ----------------------------------------------------------------------------------------------


@pytest.fixture
async def narrow(engine: AsyncEngine, account: Channel) -> None:
    """Two messages at once to one customer, then one every 6 s."""
    await execute(engine, "insert into number_paces (account_id, pair_burst) values (:id, 2)", id=account.account_id)


async def send(database: PostgresDatabase) -> None:
    head, lane = await take_one(database)
    assert await database.outbox.to_wire(head.id, head.token) == 1
    await database.outbox.settle(settled(head, State.ACCEPTED), lane)


@pytest.mark.usefixtures("narrow")
async def test_a_customer_gets_a_burst_and_then_one_message_every_six_seconds(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    for _ in range(3):
        await a_queued_message(engine, account.account_id, conversation)
    await send(database)
    await send(database)
    assert 5 < (await lane_row(engine)).seconds <= 6
    assert await take(database) == []

    other = await a_conversation(engine, account.account_id)
    message = await a_queued_message(engine, account.account_id, other)
    assert (await take_one(database))[0].id == message


@pytest.mark.usefixtures("narrow")
async def test_the_limit_of_a_pair_holds_for_a_lane_that_was_finished_and_for_one_that_is_hurried(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    for _ in range(3):
        async with database.transaction() as tx:
            await tx.messages.queue(a_new_message(account.account_id, conversation))
        if await execute(engine, "select 1 from lanes where due <= now()"):
            await send(database)
    lane = await lane_row(engine)
    assert lane.is_open
    await database.outbox.hurry([lane.key])
    await database.work.hurry(SEND, [lane.key])
    assert 5 < (await lane_row(engine)).seconds <= 6
    await lanes_due(engine)
    await send(database)


@pytest.mark.usefixtures("narrow")
async def test_what_is_queued_while_an_outcome_is_written_waits_for_the_limit_of_its_pair(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    for n in range(2):
        head, lane = await on_wire(database, engine, account, conversation)
        # The statement does not see the message of a moment ago, only that the lane has moved on.
        await execute(engine, "update lanes set ver = ver + :n where key = :key", n=n, key=lane.key)
        with counting(engine) as statements:
            await database.outbox.settle(settled(head, State.ACCEPTED, wamid=f"wamid.{n}"), lane)
        assert len(statements) == 1
    row = await lane_row(engine)
    assert row.is_open
    assert 5 < row.seconds <= 6


async def test_a_lane_has_the_rank_of_the_most_urgent_message_that_waits(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    async def queue(author: Author, *, by_program: bool = False) -> int:
        new = a_new_message(account.account_id, conversation, author=author)
        async with database.transaction() as tx:
            await tx.messages.queue(msgspec.structs.replace(new, by_program=by_program))
        return (await lane_row(engine)).priority

    assert await queue(Author.HUMAN, by_program=True) == 2
    assert await queue(Author.BOT) == 1
    assert await queue(Author.HUMAN) == 0
    assert await queue(Author.HUMAN, by_program=True) == 0
    await execute(engine, "update lanes set done = ver")
    assert await queue(Author.HUMAN, by_program=True) == 2


# --- the end of a pause -----------------------------------------------------------------------------------------------


async def test_after_a_pause_one_message_is_tried_however_many_wait(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    for _ in range(6):
        await a_queued_message(engine, account.account_id, await a_conversation(engine, account.account_id))
    await execute(engine, "update whatsapp_accounts set paused_at = now() - interval '6 minutes'")
    lanes = await database.work.claim(SEND, 10)
    taken = await asyncio.gather(*(database.outbox.take_heads(lanes[n::2]) for n in range(2)))
    heads = [one.head for part in taken for one in part if one.head is not None]
    assert sorted(head.is_paused for head in heads) == [False] + [True] * 5
