"""WhatsApp says that the window is closed: so it counts until the customer writes something newer, in any order."""

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text

from builders import (
    LOCK_WAIT,
    NOON,
    a_conversation,
    a_message,
    a_queued_message,
    a_status,
    an_inbound_message,
    execute,
    until,
)
from inbox.domain.conversations import WINDOW
from inbox.domain.inbound import InboundMessage
from inbox.domain.messages import FAILURES
from inbox.domain.outbound import State
from postgres.identity_scene import BSUID, PHONE, happens, link, said, who
from postgres.ingest_scene import apply, hear
from postgres.outbox_scene import message_row, on_wire, outbox_row, settled, soon, take, take_one

MINUTE = timedelta(minutes=1)
CUSTOMER = "33612345678"
OPENED = NOON


@pytest.fixture
def wrote(account):
    """What the customer writes some minutes after noon."""

    def write(minutes, wamid=None):
        at = NOON + minutes * MINUTE
        return an_inbound_message(account.phone_number_id, sender=CUSTOMER, sent_at=at, wamid=wamid)

    return write


@pytest.fixture
def refusal(account):
    def make(minutes=60, code=131047, wamid="wamid.out"):
        at = NOON + minutes * MINUTE
        return a_status(account.phone_number_id, wamid, "failed", occurred_at=at, error_code=code)

    return make


@pytest.fixture
async def ours(engine, account, conversation):
    """A message that WhatsApp took."""
    message = await a_queued_message(engine, account.account_id, conversation, state=State.ACCEPTED, wamid="wamid.out")
    await execute(engine, "update messages set status = 'sent', wa_message_id = 'wamid.out'")
    return message


async def window(engine):
    (row,) = await execute(engine, "select window_expires_at from conversations")
    return row.window_expires_at


async def told(engine):
    """Kind and body of the events, oldest first."""
    rows = await execute(engine, "select kind, body::text as body from event_log order by id")
    return [(row.kind, json.loads(row.body)) for row in rows]


async def open_now(engine):
    """The customer wrote an hour ago. Real time, where our own clock answers."""
    until = datetime.now(UTC) - timedelta(hours=1) + WINDOW
    await execute(engine, "update conversations set window_expires_at = :until", until=until)
    return until


# --- a status that comes later ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [131047, 470])
async def test_a_late_refusal_closes_the_window_and_says_what_to_do(engine, database, ours, wrote, refusal, code):
    await apply(database, wrote(0))
    await hear(database, refusal(code=code))
    assert await window(engine) is None
    shown = await message_row(engine, ours)
    assert (shown.status, shown.error_code, shown.error_message) == ("failed", code, FAILURES[131047])
    assert "modèle" in shown.error_message
    events = await told(engine)
    assert ("message.status", code) in [(kind, body.get("error_code")) for kind, body in events]
    assert events[-1] == ("conversation.updated", {"cause": "window"})


@pytest.mark.parametrize("code", [131026, 131049, None])
async def test_another_failure_says_nothing_about_the_window(engine, database, ours, wrote, refusal, code):
    await apply(database, wrote(0))
    await hear(database, refusal(code=code))
    assert await window(engine) == OPENED + WINDOW


async def test_a_newer_message_of_the_customer_opens_it_again(engine, database, ours, wrote, refusal):
    await apply(database, wrote(0))
    await hear(database, refusal())
    await apply(database, wrote(61))
    assert await window(engine) == NOON + 61 * MINUTE + WINDOW


async def test_an_older_message_that_comes_late_does_not(engine, database, ours, wrote, refusal):
    await apply(database, wrote(0))
    await hear(database, refusal())
    await apply(database, wrote(59))
    await apply(database, wrote(60))
    assert await window(engine) is None


async def test_a_refusal_that_comes_again_after_a_newer_message_changes_nothing(engine, database, ours, wrote, refusal):
    await apply(database, wrote(0))
    await hear(database, refusal())
    await apply(database, wrote(61))
    before = await told(engine)
    await hear(database, refusal())
    assert await window(engine) == NOON + 61 * MINUTE + WINDOW
    assert await told(engine) == before


async def test_a_refusal_from_before_the_newest_message_closes_nothing(engine, database, ours, wrote, refusal):
    await apply(database, wrote(61))
    await hear(database, refusal())
    assert await window(engine) == NOON + 61 * MINUTE + WINDOW


@pytest.mark.parametrize(("newest", "opened"), [(59, None), (61, NOON + 61 * MINUTE + WINDOW)])
async def test_the_order_of_arrival_does_not_matter(engine, database, ours, wrote, refusal, newest, opened):
    items = [[wrote(0, "wamid.1")], [wrote(newest, "wamid.2")], [refusal()], [refusal(), refusal()]]
    for order in itertools.permutations(items):
        await execute(engine, "delete from messages where direction = 'inbound'")
        await execute(engine, "delete from message_statuses")
        await execute(engine, "update conversations set window_expires_at = null, last_inbound_at = null")
        await execute(engine, "update messages set status = 'sent', error_code = null, failed_at = null")
        await execute(engine, "update outbox set state = 'accepted'")
        for item in order:
            await (apply if isinstance(item[0], InboundMessage) else hear)(database, *item)
        assert await window(engine) == opened


async def test_both_in_one_batch_are_the_same(engine, database, ours, wrote, refusal):
    await apply(database, wrote(0), statuses=[refusal()])
    assert await window(engine) is None
    await apply(database, wrote(61), statuses=[refusal(59)])
    assert await window(engine) == NOON + 61 * MINUTE + WINDOW


async def test_a_refusal_that_came_before_its_message_was_known_closes_it_when_it_is(
    engine, database, account, conversation, refusal
):
    opened = await open_now(engine)
    head, lane = await on_wire(database, engine, account, conversation)
    late = msgspec.structs.replace(refusal(wamid="wamid.new"), occurred_at=datetime.now(UTC))
    await hear(database, late)
    assert await window(engine) == opened
    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.new"), lane)
    assert await window(engine) is None


async def test_it_is_closed_even_if_that_collides_with_others(engine, database, account, conversation, refusal):
    await open_now(engine)
    head, lane = await on_wire(database, engine, account, conversation)
    behind = await a_queued_message(engine, account.account_id, conversation)
    await hear(database, msgspec.structs.replace(refusal(wamid="wamid.new"), occurred_at=datetime.now(UTC)))
    async with engine.connect() as other:
        await other.execute(text("set local deadlock_timeout = '1min'"))  # so this one goes on
        await other.execute(text("select from outbox where id = :id for update"), {"id": behind})
        outcome = settled(head, State.ACCEPTED, wamid="wamid.new")
        settling = asyncio.create_task(database.outbox.settle(outcome, lane))
        await until(engine, LOCK_WAIT)
        await other.execute(text("select from conversations for update"))
        await other.commit()
    await settling
    assert await window(engine) is None


async def test_of_two_conversations_that_become_one_the_refusal_counts_for_both(engine, database, account, refusal):
    await happens(database, said(account, who(PHONE), at=NOON), said(account, who(None, BSUID), at=NOON + 59 * MINUTE))
    (row,) = await execute(engine, "select id from conversations where client_number = :number", number=PHONE)
    await a_message(engine, account.account_id, row.id, wamid="wamid.out")
    await hear(database, refusal())
    ends = [row.until for row in await execute(engine, "select window_expires_at as until from conversations")]
    assert set(ends) == {None, NOON + 59 * MINUTE + WINDOW}
    await happens(database, link(account, who(PHONE, BSUID)))
    assert await window(engine) is None


# --- an answer to the send --------------------------------------------------------------------------------------------


async def refused_at_once(database, engine, account, conversation, code=131047):
    head, lane = await on_wire(database, engine, account, conversation)
    refusal = {"reason": "whatsapp_rejected", "error_code": code, "error_message": FAILURES[code]}
    await database.outbox.settle(settled(head, State.FAILED, **refusal), lane)
    return head.id


async def test_a_refusal_in_answer_to_the_send_closes_the_window_in_the_same_commit(
    engine, database, account, conversation
):
    await open_now(engine)
    message = await refused_at_once(database, engine, account, conversation)
    assert await window(engine) is None
    assert (await message_row(engine, message)).error_message == FAILURES[131047]
    events = [(kind, body.get("cause")) for kind, body in await told(engine)]
    assert events == [("message.status", None), ("conversation.updated", "window")]


async def test_any_other_refusal_in_answer_to_the_send_leaves_it_open(engine, database, account, conversation):
    until = await open_now(engine)
    await refused_at_once(database, engine, account, conversation, code=131026)
    assert await window(engine) == until


async def test_after_a_refused_send_only_a_newer_message_opens_it(engine, database, account, conversation, wrote):
    await open_now(engine)
    await refused_at_once(database, engine, account, conversation)
    earlier = msgspec.structs.replace(wrote(0), sent_at=datetime.now(UTC) - MINUTE)
    await apply(database, earlier)
    assert await window(engine) is None
    newer = msgspec.structs.replace(wrote(0), sent_at=datetime.now(UTC) + MINUTE)
    await apply(database, newer)
    assert await window(engine) == newer.sent_at + WINDOW


async def test_what_we_did_not_even_send_says_nothing_about_the_window(engine, database, account, conversation, wrote):
    own = await a_queued_message(engine, account.account_id, conversation, state=State.FAILED)
    await execute(engine, "update outbox set reason = 'window_closed'")
    await execute(engine, "update messages set status = 'failed', failed_at = now(), error_code = 131047")
    await apply(database, wrote(0))
    assert await window(engine) == OPENED + WINDOW
    assert (await outbox_row(engine, own)).state == "failed"


# --- what waits behind it ---------------------------------------------------------------------------------------------


async def test_what_waits_fails_at_once_with_the_reason_and_a_template_does_not(
    engine, database, account, conversation, ours, wrote, refusal
):
    await apply(database, wrote(0))
    free = [await a_queued_message(engine, account.account_id, conversation) for _ in range(3)]
    template = await a_queued_message(engine, account.account_id, conversation)
    await execute(engine, "update messages set message_type = 'template' where id = :id", id=template)
    await hear(database, refusal())
    head, _ = await take_one(database, now=soon(seconds=1))
    assert head.id == template
    for message in free:
        row, shown = await outbox_row(engine, message), await message_row(engine, message)
        assert (row.state, row.reason, row.attempt) == ("expired", "window_closed", 0)
        assert (shown.status, shown.error_code, shown.error_message) == ("failed", 131047, FAILURES[131047])
    failed = {body["message_id"] for _, body in await told(engine) if body.get("error_code") == 131047}
    assert failed == {str(message) for message in [ours, *free]}


async def test_the_reaper_ends_what_waits_even_if_nobody_looks_at_the_lane(
    engine, database, account, conversation, ours, wrote, refusal
):
    await apply(database, wrote(0))
    waiting = await a_queued_message(engine, account.account_id, conversation)
    await hear(database, refusal())
    await database.outbox.reap(soon(seconds=1))
    assert (await outbox_row(engine, waiting)).reason == "window_closed"


async def test_what_waits_in_another_conversation_goes_on(
    engine, database, account, conversation, ours, wrote, refusal
):
    await apply(database, wrote(0))
    other = await a_conversation(engine, account.account_id, window_expires_at=NOON + WINDOW)
    waiting = await a_queued_message(engine, account.account_id, other)
    await hear(database, refusal())
    [head] = [taken.head for taken in await take(database, now=soon(seconds=1)) if taken.head]
    assert head.id == waiting


async def test_what_was_on_its_way_meanwhile_is_not_tried_again(engine, database, account, conversation, wrote):
    await open_now(engine)
    head, lane = await on_wire(database, engine, account, conversation)
    other = await a_message(engine, account.account_id, conversation, wamid="wamid.out")
    late = a_status(account.phone_number_id, "wamid.out", "failed", occurred_at=datetime.now(UTC), error_code=131047)
    await hear(database, late)
    await database.outbox.settle(settled(head, State.QUEUED, reason="whatsapp_unavailable"), lane)
    await database.outbox.reap(soon(seconds=1))
    assert (await outbox_row(engine, head.id)).state == "expired"
    assert (await message_row(engine, other)).status == "failed"
