"""The outbox after the wire: what each outcome does to message, lane and account."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_queued_message, a_status, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.domain.outbound import PUBLIC, State, Step, after
from inbox.domain.signals import LogGrew, MessageSettled, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.records import InboundBatch, Settlement
from postgres.outbox_scene import (
    SEND,
    lane_row,
    lanes_due,
    message_row,
    on_wire,
    outbox_row,
    settled,
    soon,
    take,
    take_one,
)
from statement_counts import counting


async def test_an_accepted_message_shows_as_sent_under_its_wamid(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    signals: RecordedSignals,
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)

    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)

    row, shown = await outbox_row(engine, head.id), await message_row(engine, head.id)
    assert (row.state, row.wamid) == ("accepted", "wamid.A")
    assert (shown.status, shown.wa_message_id, shown.sent_at) == ("sent", "wamid.A", None)
    assert shown.timestamp == NOON
    assert MessageSettled(head.id, "wamid.A") in signals.published
    [event] = await the_log(engine, "message.status")
    assert (event.conversation_id, event.delivery_state) == (conversation, "accepted")
    assert LogGrew() in signals.published
    assert not (await lane_row(engine)).is_open


async def test_a_status_that_came_before_the_answer_is_applied_with_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(statuses=[a_status(account.phone_number_id, "wamid.A", "delivered")]))

    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)

    assert (await outbox_row(engine, head.id)).state == "delivered"
    shown = await message_row(engine, head.id)
    assert (shown.status, shown.delivered_at) == ("delivered", NOON)


async def test_an_answer_after_its_echo_still_teaches_the_wamid_and_gives_the_lane_back(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await execute(engine, "update outbox set state = 'sent'")
    await execute(engine, "update messages set status = 'sent'")

    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)

    assert (await outbox_row(engine, head.id)).state == "sent"
    assert (await outbox_row(engine, head.id)).wamid == "wamid.A"
    assert (await message_row(engine, head.id)).wa_message_id == "wamid.A"
    assert not (await lane_row(engine)).is_open


async def test_a_wamid_that_another_message_has_does_not_stop_the_outcome(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await a_queued_message(engine, account.account_id, conversation, state=State.SENT, wamid="wamid.A")
    head, lane = await on_wire(database, engine, account, conversation)
    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)
    shown = await message_row(engine, head.id)
    assert (shown.status, shown.wa_message_id) == ("sent", None)


async def test_a_refused_message_fails_with_its_reason_and_the_next_one_is_due(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    follower = await a_queued_message(engine, account.account_id, conversation)

    await database.outbox.settle(
        settled(head, State.FAILED, error_code=131026, error_message="Non distribuable", reason="refused"), lane
    )

    row, shown = await outbox_row(engine, head.id), await message_row(engine, head.id)
    assert (row.state, row.reason) == ("failed", "refused")
    assert (shown.status, shown.error_code, shown.error_message) == ("failed", 131026, "Non distribuable")
    assert shown.failed_at is not None
    assert (await take_one(database))[0].id == follower


async def test_a_message_that_has_to_wait_is_queued_again_and_keeps_its_place(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await a_queued_message(engine, account.account_id, conversation)

    await database.outbox.settle(settled(head, State.QUEUED, wait=timedelta(seconds=40), reason="pair"), lane)

    row = await outbox_row(engine, head.id)
    assert (row.state, row.token, row.attempt) == ("queued", None, 1)
    lane_now = await lane_row(engine)
    assert (lane_now.is_open, lane_now.attempts) == (True, 0)
    assert 35 < lane_now.seconds <= 40
    assert await take(database) == []
    await lanes_due(engine)
    assert (await take(database))[0].head is None
    await execute(engine, "update lanes set attempts = 0, due = now()")
    again, _ = await take_one(database, now=soon(seconds=41))
    assert again.id == head.id
    assert await database.outbox.to_wire(again.id, again.token) == 2
    assert [event.delivery_state for event in await the_log(engine)] == ["queued"]


async def test_a_problem_of_the_account_pauses_it_once_and_burns_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)

    await database.outbox.settle(settled(head, State.QUEUED, wait=timedelta(), pause="token_invalid"), lane)
    [paused] = await execute(engine, "select paused_at, paused_reason from whatsapp_accounts")
    assert paused.paused_reason == "token_invalid"

    again, lane = await take_one(database)
    assert again.is_paused
    await database.outbox.to_wire(again.id, again.token)
    await database.outbox.settle(settled(again, State.QUEUED, wait=timedelta(), pause="other"), lane)
    [renewed] = await execute(engine, "select paused_at, paused_reason from whatsapp_accounts")
    assert renewed.paused_at > paused.paused_at
    told = await execute(engine, "select kind from event_log where kind like 'account.%'")
    assert [row.kind for row in told] == ["account.paused"]


async def test_what_was_under_way_when_the_pause_began_does_not_lift_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    early, its_lane = await on_wire(database, engine, account, conversation)
    head, lane = await on_wire(database, engine, account, await a_conversation(engine, account.account_id))
    refused = settled(head, State.FAILED, reason="whatsapp_rejected", error_code=131048, pause="spam limit")
    await database.outbox.settle(refused, lane)
    await database.outbox.settle(settled(early, State.ACCEPTED, wamid="wamid.early"), its_lane)
    [paused] = await execute(engine, "select paused_reason from whatsapp_accounts")
    assert paused.paused_reason == "spam limit"


async def test_after_some_minutes_one_message_is_tried_and_its_success_lifts_the_pause(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await database.outbox.settle(settled(head, State.QUEUED, wait=timedelta(), pause="token_invalid"), lane)
    await execute(engine, "update whatsapp_accounts set paused_at = paused_at - interval '6 minutes'")

    again, lane = await take_one(database)
    assert not again.is_paused
    await database.outbox.to_wire(again.id, again.token)
    await database.outbox.settle(settled(again, State.ACCEPTED, wamid="wamid.resumed"), lane)
    [account_row] = await execute(engine, "select paused_at, paused_reason from whatsapp_accounts")
    assert (account_row.paused_at, account_row.paused_reason) == (None, None)
    told = await execute(engine, "select kind from event_log where kind like 'account.%' order by id")
    assert [row.kind for row in told] == ["account.paused", "account.resumed"]


async def test_an_unknown_outcome_is_never_sent_again_and_its_follower_waits(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    follower = await a_queued_message(engine, account.account_id, conversation)

    await database.outbox.settle(settled(head, State.UNKNOWN, unknown_for=timedelta(minutes=2)), lane)

    row = await outbox_row(engine, head.id)
    assert row.state == "unknown"
    assert timedelta(seconds=110) < row.unknown_until - soon() <= timedelta(minutes=2)
    assert (await message_row(engine, head.id)).status == "pending"
    assert 10 < (await lane_row(engine)).seconds <= 15
    await lanes_due(engine)
    assert (await take_one(database, now=soon(seconds=16)))[0].id == follower


async def test_an_unknown_outcome_without_followers_leaves_the_lane_finished(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await database.outbox.settle(settled(head, State.UNKNOWN), lane)
    assert not (await lane_row(engine)).is_open


@pytest.mark.parametrize("source", list(State))
@pytest.mark.parametrize("target", [State.QUEUED, State.FAILED, State.ACCEPTED, State.UNKNOWN, State.CANCELLED])
async def test_an_outcome_moves_a_message_exactly_where_the_domain_allows(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    source: State,
    target: State,
) -> None:
    token = uuid4()
    message = await a_queued_message(engine, account.account_id, conversation, state=source, token=token, attempt=1)
    await execute(engine, "update messages set status = :status", status=PUBLIC[source])
    outcomes = [
        step
        for step in (Step.NOTHING_SENT, Step.TRY_LATER, Step.REFUSED, Step.ACCEPTED, Step.UNKNOWN, Step.CANCELLED)
        if after(source, step) is target
    ]
    [lane] = await database.work.claim(SEND, 1)

    await database.outbox.settle(
        Settlement(message_id=message, account_id=account.account_id, token=token, state=target), lane
    )

    end = target if outcomes else source
    assert (await outbox_row(engine, message)).state == end
    assert (await message_row(engine, message)).status == PUBLIC[end]
    assert (await lane_row(engine)).is_open is (end in {State.QUEUED, State.CLAIMED})


@pytest.mark.parametrize("stale", ["token", "account"])
async def test_a_stale_outcome_writes_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, stale: str
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    stranger = await an_account(engine)
    before = await outbox_row(engine, head.id), await message_row(engine, head.id)

    await database.outbox.settle(
        Settlement(
            message_id=head.id,
            account_id=stranger.account_id if stale == "account" else head.account_id,
            token=uuid4() if stale == "token" else head.token,
            state=State.ACCEPTED,
            wamid="wamid.A",
            pause="x",
        ),
        lane,
    )

    assert (await outbox_row(engine, head.id), await message_row(engine, head.id)) == before
    assert await execute(engine, "select 1 from whatsapp_accounts where paused_at is not null") == []


async def test_an_outcome_whose_lane_was_lost_is_written_and_wakes_the_lane_if_nobody_holds_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    follower = await a_queued_message(engine, account.account_id, conversation)
    await execute(engine, "update lanes set due = now() - interval '1 s'")
    [taken] = await take(database)
    assert taken.wait is not None
    await database.work.retry(taken.lane, taken.wait)

    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)

    assert (await outbox_row(engine, head.id)).state == "accepted"
    assert (await take_one(database))[0].id == follower


async def test_a_claimed_message_that_never_left_is_given_back(
    database: PostgresDatabase,
    engine: AsyncEngine,
    signals: RecordedSignals,
    account: Channel,
    conversation: ConversationId,
) -> None:
    await a_queued_message(engine, account.account_id, conversation)
    head, lane = await take_one(database)

    signals.published.clear()
    await database.outbox.release(head.id, head.token, lane, timedelta(seconds=7))

    row = await outbox_row(engine, head.id)
    assert (row.state, row.token, row.attempt) == ("queued", None, 0)
    lane_now = await lane_row(engine)
    assert (lane_now.is_open, lane_now.attempts) == (True, 0)
    assert 5 < lane_now.seconds <= 7
    assert MessageSettled(head.id) in signals.published  # who waits for it hears that it has to wait
    assert WorkWaiting(WorkKind.SEND) not in signals.published


async def test_a_message_whose_fence_was_unclear_is_given_back_from_the_wire(
    database: PostgresDatabase,
    engine: AsyncEngine,
    signals: RecordedSignals,
    account: Channel,
    conversation: ConversationId,
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    signals.published.clear()
    await database.outbox.release(head.id, head.token, lane, timedelta())
    row = await outbox_row(engine, head.id)
    assert (row.state, row.attempt) == ("queued", 0)
    assert WorkWaiting(WorkKind.SEND) in signals.published


@pytest.mark.parametrize("state", [State.ACCEPTED, State.UNKNOWN, State.DELIVERED, State.UNCONFIRMED])
async def test_what_may_have_been_sent_cannot_be_given_back(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, state: State
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await execute(engine, "update outbox set state = :state", state=state)
    await database.outbox.release(head.id, head.token, lane, timedelta())
    assert (await outbox_row(engine, head.id)).state == state


async def test_an_outcome_costs_few_statements(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    with counting(engine) as statements:
        await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)
    assert len(statements) <= 3
    assert isinstance(head.token, UUID)
