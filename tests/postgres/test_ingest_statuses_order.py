"""Statuses: kept once, the same whatever the order in which they come, and told to those who wait."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_queued_message, a_status, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.events import StatusChanged
from inbox.domain.ids import ConversationId
from inbox.domain.messages import Status
from inbox.domain.outbound import State
from inbox.domain.signals import MessageSettled, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.ports.records import Settlement
from postgres.ingest_scene import SECOND, hear, message_row, op
from statement_counts import counting

# --- repetition and order ---------------------------------------------------------------------------------------------


async def test_repeated_statuses_change_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, attempt=1)
    batch = [
        a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(message)),
        a_status(account.phone_number_id, "wamid.A", "failed", error_code=1),
        a_status(account.phone_number_id, "wamid.A", "failed", error_code=2),
    ]
    first = await hear(database, *batch, batch[0])
    tables = ("messages", "outbox", "message_statuses", "event_log", "lanes")
    before = [await execute(engine, f"select * from {table} order by 1, 2") for table in tables]  # noqa: S608

    second = await hear(database, *reversed(batch))

    assert (first.new_statuses, second.new_statuses) == (3, 0)
    assert [await execute(engine, f"select * from {table} order by 1, 2") for table in tables] == before  # noqa: S608


WORDS = st.sampled_from(["sent", "delivered", "read", "played", "failed", "warning"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[Any]], list[Any]]:
    """Statuses of one message in some order and grouping, with the answer of WhatsApp and the reaper among them.

    And the same happenings in another order.
    """
    words = draw(st.lists(WORDS, min_size=1, max_size=5))
    statuses = [
        (
            word,
            draw(st.booleans()),
            draw(st.integers(0, 3)),
            draw(st.sampled_from([1, 2])) if word == "failed" else None,
        )
        for word in words
    ]
    # What Meta says twice it says with the same time.
    first = {(word, code): (word, by_op, second, code) for word, by_op, second, code in reversed(statuses)}
    happenings: list[Any] = [first[word, code] for word, _, _, code in statuses] + ["answer", "reaper"]
    shuffled = draw(st.permutations(happenings))
    groups: list[list[Any]] = [[]]
    for happening in shuffled:
        if draw(st.booleans()):
            groups.append([])
        groups[-1].append(happening)
    return [group for group in groups if group], draw(st.permutations(happenings))


@given(history=histories())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_any_order_and_grouping_leads_to_the_same_rows(
    database: PostgresDatabase, engine: AsyncEngine, history: tuple[list[list[Any]], list[Any]]
) -> None:
    one, other = history

    first = await play(database, engine, one)
    second = await play(database, engine, [[happening] for happening in other])
    third = await play(database, engine, [*one, other])

    assert first == second == third


async def play(database: PostgresDatabase, engine: AsyncEngine, groups: list[list[Any]]) -> tuple[Any, ...]:
    """What is left of one message after all of it happened, without its names."""
    account = await an_account(engine)
    conversation = await a_conversation(engine, account.account_id)
    token, wamid = uuid4(), f"wamid.{uuid4()}"
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.WIRE, attempt=1, token=token, wire_at=datetime.now(UTC)
    )
    for group in groups:
        statuses = []
        for happening in group:
            if happening == "answer":
                accepted = Settlement(
                    message_id=message, account_id=account.account_id, token=token, state=State.ACCEPTED, wamid=wamid
                )
                await database.outbox.settle(accepted, a_lane(conversation))
            elif happening == "reaper":
                await database.outbox.reap(datetime.now(UTC) + timedelta(seconds=30))
            else:
                word, by_op, second, code = happening
                statuses.append(
                    a_status(
                        account.phone_number_id,
                        wamid,
                        word,
                        op_id=op(message) if by_op else None,
                        occurred_at=NOON + second * SECOND,
                        error_code=code,
                    )
                )
        await hear(database, *statuses)
    row = await message_row(engine, message)
    [out] = await execute(engine, "select state, wamid, attempt from outbox where id = :id", id=message)
    kept = await execute(
        engine,
        """select status, coalesce(error_code, 0) as code, message_id is not null as is_matched, occurred_at
           from message_statuses where wamid = :wamid order by 1, 2""",
        wamid=wamid,
    )
    shown = {key: value for key, value in row.items() if key not in {"id", "wa_message_id"}}
    return shown, row["wa_message_id"] == wamid, out.state, out.wamid == wamid, out.attempt, kept


def a_lane(conversation: ConversationId) -> Lane:
    return Lane(kind=WorkKind.SEND, key=str(conversation), ver=1, fence=0, attempts=1)


# --- who is told ------------------------------------------------------------------------------------------------------


async def test_a_follower_that_waited_for_the_echo_is_due_at_once(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    signals: RecordedSignals,
) -> None:
    first = await a_queued_message(engine, account.account_id, conversation, state=State.UNKNOWN, attempt=1)
    await a_queued_message(engine, account.account_id, conversation)
    await execute(engine, "update lanes set due = now() + interval '15 s'")

    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(first)))

    assert [lane.key for lane in await database.work.claim(WorkKind.SEND, 1)] == [str(conversation)]
    assert {MessageSettled(first), WorkWaiting(WorkKind.SEND)} <= set(signals.published)


async def test_a_lane_in_the_hands_of_a_worker_is_not_touched_by_an_echo(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, attempt=1)
    await database.work.claim(WorkKind.SEND, 1)
    before = await execute(engine, "select * from lanes")

    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(message)))

    assert await execute(engine, "select * from lanes") == before


async def test_a_change_of_status_is_an_event_of_its_conversation(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, attempt=1)

    await hear(database, a_status(account.phone_number_id, "wamid.A", "delivered", op_id=op(message)))

    assert await the_log(engine) == [
        StatusChanged(
            account_id=account.account_id,
            conversation_id=conversation,
            message_id=message,
            status=Status.DELIVERED,
            delivery_state=State.DELIVERED,
            wa_message_id="wamid.A",
        )
    ]


async def test_the_number_of_statements_does_not_grow_with_the_statuses(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async def cost(size: int) -> int:
        statuses = []
        for _ in range(size):
            conversation = await a_conversation(engine, account.account_id)
            message = await a_queued_message(engine, account.account_id, conversation, state=State.UNKNOWN, attempt=1)
            statuses.append(a_status(account.phone_number_id, f"wamid.{message}", "sent", op_id=op(message)))
        with counting(engine) as statements:
            await hear(database, *statuses)
        return len(statements)

    await cost(1)  # the account is marked as alive, once in ten seconds
    assert await cost(1) == await cost(40) <= 10
