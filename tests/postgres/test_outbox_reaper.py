"""What the reaper ends or gives back, and how long the bot counts as talking."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_queued_message, execute
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.domain.messages import Author
from inbox.domain.outbound import NOT_SENT, State
from inbox.domain.signals import MessageSettled
from postgres.outbox_scene import message_row, on_wire, outbox_row, settled, soon, take_one

# --- the reaper -------------------------------------------------------------------------------------------------------


async def test_the_reaper_never_puts_back_what_was_on_the_wire(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    head, _ = await on_wire(database, engine, account, conversation)

    assert await database.outbox.reap(soon(seconds=19)) == 0
    assert await database.outbox.reap(soon(seconds=21)) == 1
    assert (await outbox_row(engine, head.id)).state == "unknown"
    assert await database.outbox.reap(soon(minutes=10)) == 0
    assert await database.outbox.reap(soon(minutes=11)) == 1
    row = await outbox_row(engine, head.id)
    assert (row.state, row.token) == ("unconfirmed", head.token)
    assert (await message_row(engine, head.id)).status == "pending"
    assert [event.delivery_state for event in await the_log(engine)] == ["unknown", "unconfirmed"]


async def test_the_reaper_gives_back_claims_of_dead_workers(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await a_queued_message(engine, account.account_id, conversation)
    head, _ = await take_one(database)
    assert await database.outbox.reap(soon(seconds=25)) == 0
    assert await database.outbox.reap(soon(seconds=31)) == 1
    assert (await outbox_row(engine, head.id)).state == "queued"
    assert await database.outbox.to_wire(head.id, head.token) is None


async def test_the_reaper_ends_what_is_queued_beyond_its_time_though_nobody_claims_its_lane(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    signals: RecordedSignals,
) -> None:
    late = [
        await a_queued_message(engine, account.account_id, conversation, expires_at=soon(seconds=60)) for _ in range(2)
    ]
    early = await a_queued_message(engine, account.account_id, conversation, expires_at=soon(seconds=120))

    assert await database.outbox.reap(soon(seconds=59)) == 0
    assert await database.outbox.reap(soon(seconds=61)) == 2
    assert await database.outbox.reap(soon(seconds=61)) == 0
    for message in late:
        row = await outbox_row(engine, message)
        assert (row.state, row.reason) == ("expired", "expired")
        shown = await message_row(engine, message)
        assert (shown.status, shown.error_message) == ("failed", NOT_SENT[State.EXPIRED])
    assert (await outbox_row(engine, early)).state == "queued"
    assert (await message_row(engine, early)).status == "pending"
    assert [event.delivery_state for event in await the_log(engine)] == ["expired", "expired"]
    assert {MessageSettled(message) for message in late} <= set(signals.published)


@pytest.mark.parametrize("minutes", [1, 15])
async def test_a_late_acceptance_closes_what_the_reaper_opened_and_a_late_refusal_does_not(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, minutes: int
) -> None:
    head, lane = await on_wire(database, engine, account, conversation)
    await database.outbox.reap(soon(seconds=21))
    await database.outbox.reap(soon(minutes=minutes))
    before = (await outbox_row(engine, head.id)).state

    await database.outbox.settle(settled(head, State.FAILED, error_code=1), lane)
    assert (await outbox_row(engine, head.id)).state == before
    await database.outbox.settle(settled(head, State.QUEUED, wait=timedelta()), lane)
    assert (await outbox_row(engine, head.id)).state == before
    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)
    assert (await outbox_row(engine, head.id)).state == "accepted"
    assert (await message_row(engine, head.id)).status == "sent"


# --- the bot's silence ------------------------------------------------------------------------------------------------


async def test_the_bot_counts_as_talking_while_its_message_is_on_the_wire(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    async def talks() -> bool:
        return await database.outbox.is_bot_on_wire(account.account_id, conversation, timedelta(seconds=2))

    await on_wire(database, engine, account, conversation)
    assert not await talks()
    await a_queued_message(
        engine, account.account_id, conversation, state=State.WIRE, author=Author.BOT, epoch=0, wire_at=soon()
    )
    assert await talks()
    await execute(engine, "update outbox set wire_at = wire_at - interval '3 s'")
    assert not await talks()
