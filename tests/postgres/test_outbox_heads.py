"""The outbox before the wire: which message is next, and what the fence lets through."""

from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_queued_message, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Text
from inbox.domain.ids import ConversationId
from inbox.domain.messages import Author
from inbox.domain.outbound import NOT_SENT, State
from inbox.domain.signals import MessageSettled
from inbox.ports.records import Outgoing
from postgres.outbox_scene import SEND, lane_row, message_row, outbox_row, settled, soon, take, take_one
from statement_counts import counting

# --- heads ------------------------------------------------------------------------------------------------------------


async def test_a_head_carries_everything_that_a_send_needs(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, content=Text(body="Bien sûr"))
    await execute(engine, "update messages set reply_to_wamid = 'wamid.q'")

    head, lane = await take_one(database)

    assert lane.key == str(conversation)
    assert head == Outgoing(
        id=message,
        account_id=account.account_id,
        conversation_id=conversation,
        channel=account,
        is_paused=False,
        to=Address(wa_id="33612345678"),
        content=Text(body="Bien sûr"),
        attempt=0,
        token=head.token,
        author=Author.HUMAN,
        reply_to_wamid="wamid.q",
    )
    row = await outbox_row(engine, message)
    assert (row.state, row.token) == ("claimed", head.token)


async def test_the_messages_of_a_conversation_go_out_one_by_one_in_their_order(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    queued = [await a_queued_message(engine, account.account_id, conversation) for _ in range(3)]
    sent = []
    for number in range(3):
        head, lane = await take_one(database)
        assert await database.outbox.to_wire(head.id, head.token) == 1
        await database.outbox.settle(settled(head, State.ACCEPTED, wamid=f"wamid.{number}"), lane)
        sent.append(head.id)

    assert sent == queued
    assert not (await lane_row(engine)).is_open


async def test_heads_of_many_conversations_come_in_one_round_in_the_order_of_their_lanes(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    other = await an_account(engine)
    for n in range(6):
        owner = (account, other)[n % 2].account_id
        await a_queued_message(engine, owner, await a_conversation(engine, owner))
    lanes = await database.work.claim(SEND, 10)

    with counting(engine) as statements:
        taken = await database.outbox.take_heads(lanes, soon())

    assert [item.lane for item in taken] == lanes
    assert [str(item.head.conversation_id) for item in taken if item.head] == [lane.key for lane in lanes]
    assert len(statements) == 1


async def test_a_lane_without_open_messages_holds_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await a_queued_message(engine, account.account_id, conversation, state=State.DELIVERED)
    [taken] = await take(database)
    assert (taken.head, taken.wait) == (None, None)
    assert await database.outbox.take_heads([], soon()) == []


@pytest.mark.parametrize(
    ("state", "aged", "waits"),
    [
        (State.WIRE, "wire_at = now() - interval '5 s'", (10, 16)),
        (State.UNKNOWN, "updated_at = now() - interval '5 s'", (5, 11)),
        (State.CLAIMED, "lease_until = now() + interval '9 s'", (5, 10)),
        (State.QUEUED, "not_before = now() + interval '9 s'", (5, 10)),
    ],
)
async def test_a_follower_waits_for_the_head_before_it(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    state: State,
    aged: str,
    waits: tuple[float, float],
) -> None:
    await a_queued_message(engine, account.account_id, conversation, state=state)
    await execute(engine, f"update outbox set {aged}")  # noqa: S608 - text of this test
    follower = await a_queued_message(engine, account.account_id, conversation)

    [taken] = await take(database)

    assert taken.head is None
    assert taken.wait is not None
    assert waits[0] < taken.wait.total_seconds() <= waits[1]
    assert (await outbox_row(engine, follower)).state == "queued"


async def test_after_fifteen_seconds_nobody_waits_for_an_unknown_outcome(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    unknown = await a_queued_message(engine, account.account_id, conversation, state=State.UNKNOWN)
    follower = await a_queued_message(engine, account.account_id, conversation)

    head, _ = await take_one(database, now=soon(seconds=16))

    assert head.id == follower
    assert (await outbox_row(engine, unknown)).state == "unknown"


async def test_a_claim_whose_lease_is_over_is_taken_with_a_new_token(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    old = uuid4()
    message = await a_queued_message(engine, account.account_id, conversation, state=State.CLAIMED, token=old)

    head, _ = await take_one(database, now=soon(seconds=31))

    assert head.id == message
    assert head.token != old
    assert await database.outbox.to_wire(message, old) is None


async def test_expired_messages_are_ended_visibly_and_the_next_one_is_taken(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    signals: RecordedSignals,
) -> None:
    late = [
        await a_queued_message(engine, account.account_id, conversation, expires_at=soon(seconds=-1)) for _ in range(4)
    ]
    good = await a_queued_message(engine, account.account_id, conversation)

    head, _ = await take_one(database)

    assert head.id == good
    for message in late:
        row = await outbox_row(engine, message)
        shown = await message_row(engine, message)
        assert (row.state, row.reason) == ("expired", "expired")
        assert (shown.status, shown.error_message) == ("failed", NOT_SENT[State.EXPIRED])
        assert MessageSettled(message) in signals.published
    assert {(event.delivery_state, event.reason) for event in await the_log(engine)} == {("expired", "expired")}


async def test_an_answer_of_the_bot_from_before_a_take_over_is_cancelled(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, epoch=4)
    stale = await a_queued_message(engine, account.account_id, conversation, author=Author.BOT, epoch=3)
    human = await a_queued_message(engine, account.account_id, conversation)

    head, _ = await take_one(database)

    assert head.id == human
    assert (await outbox_row(engine, stale)).state == "cancelled"
    shown = await message_row(engine, stale)
    assert (shown.status, shown.error_message) == ("failed", NOT_SENT[State.CANCELLED])


async def test_an_answer_of_the_bot_of_the_present_epoch_is_sent(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, epoch=4)
    await a_queued_message(engine, account.account_id, conversation, author=Author.BOT, epoch=4)
    head, _ = await take_one(database)
    assert await database.outbox.to_wire(head.id, head.token) == 1


@pytest.mark.parametrize("column", ["paused_at = now()", "is_active = false"])
async def test_a_head_says_that_its_account_may_not_send(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, column: str
) -> None:
    await a_queued_message(engine, account.account_id, conversation)
    await execute(engine, f"update whatsapp_accounts set {column}")  # noqa: S608 - text of this test
    head, _ = await take_one(database)
    assert head.is_paused


async def test_an_account_whose_token_cannot_be_opened_does_not_stop_the_others(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    broken = await an_account(engine)
    await execute(
        engine, "update whatsapp_accounts set access_token_sealed = '\\x0102' where id = :id", id=broken.account_id
    )
    await a_queued_message(engine, broken.account_id, await a_conversation(engine, broken.account_id))
    await a_queued_message(engine, account.account_id, conversation)

    heads = [taken.head for taken in await take(database)]

    assert {head.account_id: head.channel.is_usable for head in heads if head} == {
        broken.account_id: False,
        account.account_id: True,
    }


async def test_a_row_of_the_existing_system_without_content_is_sent_as_its_text(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await a_queued_message(engine, account.account_id, conversation)
    await execute(engine, "update messages set content = null, content_text = 'Bonjour'")
    head, _ = await take_one(database)
    assert head.content == Text(body="Bonjour")


# --- the fence --------------------------------------------------------------------------------------------------------


async def test_the_fence_counts_attempts_and_lets_each_claim_through_once(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, attempt=2)
    head, _ = await take_one(database)

    assert await database.outbox.to_wire(message, head.token) == 3
    assert await database.outbox.to_wire(message, head.token) is None
    row = await outbox_row(engine, message)
    assert (row.state, row.attempt) == ("wire", 3)
    assert row.wire_at is not None


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLAIMED])
async def test_only_a_claimed_message_may_pass_the_fence(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, state: State
) -> None:
    token = uuid4()
    message = await a_queued_message(engine, account.account_id, conversation, state=state, token=token)
    assert await database.outbox.to_wire(message, token) is None
    assert (await outbox_row(engine, message)).state == state


async def test_nothing_passes_the_fence_after_its_lease_or_with_another_token(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation)
    head, _ = await take_one(database)
    assert await database.outbox.to_wire(message, uuid4()) is None
    await execute(engine, "update outbox set lease_until = now() - interval '1 ms'")
    assert await database.outbox.to_wire(message, head.token) is None


async def test_an_answer_of_the_bot_does_not_pass_the_fence_after_a_take_over(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await a_queued_message(engine, account.account_id, conversation, author=Author.BOT, epoch=0)
    head, _ = await take_one(database)
    await execute(engine, "update conversations set epoch = 1")
    assert await database.outbox.to_wire(head.id, head.token) is None
