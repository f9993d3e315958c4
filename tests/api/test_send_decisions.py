"""Cancelled before it leaves, sent again or given up by a person: each only where it harms nobody."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, a_queued_message, execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Permission
from inbox.domain.failure_texts import UNCONFIRMED
from inbox.domain.outbound import State
from inbox.entrypoints.worker import Worker
from member_builders import an_api_key

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
STATES = "select state, reason, resends, expires_at, epoch from outbox"


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN, epoch=3)


@pytest.fixture
def in_state(engine, account, conversation):
    async def make(state, **members):
        message = await a_queued_message(engine, account, conversation, state=state, **members)
        if state in (State.FAILED, State.EXPIRED):
            await execute(engine, "update messages set status = 'failed', failed_at = now(), error_code = 131026")
        return message

    return make


@pytest.fixture
def working(container):
    @asynccontextmanager
    async def run():
        worker = await container.get(Worker)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            yield
            worker.stop()

    return run


async def shown(client, sender, conversation):
    (message,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    return message["status"], message["delivery_state"], message["error_message"]


# --- cancelling -------------------------------------------------------------------------------------------------------


WAITING = (State.QUEUED, State.CLAIMED)


@pytest.mark.parametrize("state", WAITING)
async def test_what_has_not_left_is_cancelled_and_never_sent(
    client, engine, container, sender, conversation, in_state, working, state
):
    message = await in_state(state)
    answer = await client.delete(f"/messages/{message}", headers=sender)
    assert (answer.status_code, answer.json()["delivery_state"]) == (200, "cancelled")
    assert await shown(client, sender, conversation) == ("failed", "cancelled", "Message annulé avant l'envoi.")
    await a_queued_message(engine, *(await execute(engine, "select account_id, id from conversations"))[0])
    async with working(), asyncio.timeout(20):
        while not await execute(engine, "select 1 from outbox where state = 'accepted'"):
            pass
    assert [sent.op.message_id for sent in (await container.get(FakeSender)).sent] != [message]
    assert len((await container.get(FakeSender)).sent) == 1


@pytest.mark.parametrize("state", [state for state in State if state not in (*WAITING, State.SCHEDULED)])
async def test_what_left_or_is_over_cannot_be_cancelled(client, engine, sender, in_state, state):
    message = await in_state(state)
    answer = await client.delete(f"/messages/{message}", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "message_not_queued")
    assert [row.state for row in await execute(engine, STATES)] == [state]


async def test_who_repeats_a_send_that_was_cancelled_hears_just_that_and_nothing_is_sent(
    client, engine, sender, conversation
):
    body = {"conversation_id": str(conversation), "content": "Bonjour"}
    keyed = {**sender, "idempotency-key": "k-1"}
    accepted = await client.post("/messages/send", json=body, headers={**keyed, "prefer": "respond-async"})
    message = accepted.json()["id"]
    assert (await client.delete(f"/messages/{message}", headers=sender)).status_code == 200
    again = await client.post("/messages/send", json=body, headers=keyed)
    assert (again.status_code, again.json()["detail"], again.json()["id"]) == (409, "message_cancelled", message)
    assert "retry-after" not in again.headers
    assert [row.state for row in await execute(engine, STATES)] == ["cancelled"]


async def test_a_cancelled_message_is_told_to_everybody(client, engine, sender, in_state):
    message = await in_state(State.QUEUED)
    await client.delete(f"/messages/{message}", headers=sender)
    told = await execute(engine, "select body->>'message_id' as id, body->>'delivery_state' as state from event_log")
    assert [(row.id, row.state) for row in told] == [(str(message), "cancelled")]


# --- sending again ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.UNCONFIRMED, State.FAILED, State.EXPIRED])
async def test_a_person_sends_again_what_whatsapp_never_confirmed(
    client, engine, container, sender, conversation, in_state, working, state
):
    message = await in_state(state, attempt=1, epoch=1, expires_at=datetime.now(UTC) - timedelta(hours=1))
    answer = await client.post(f"/messages/{message}/resend", headers=sender)
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "id": str(message), "delivery_state": "queued"},
    )
    (row,) = await execute(engine, STATES)
    assert (row.state, row.resends, row.reason, row.epoch) == ("queued", 1, None, None)
    assert await shown(client, sender, conversation) == ("pending", "queued", None)
    async with working(), asyncio.timeout(20):
        while not await execute(engine, "select 1 from outbox where state = 'accepted'"):
            pass
    assert [str(sent.op) for sent in (await container.get(FakeSender)).sent] == [f"1:{message}:2"]
    ((line,),) = (await execute(engine, "select action from audit_entries where target = :id", id=str(message)),)
    assert line.action == "message.resent"


DECIDED_UPON = (State.UNCONFIRMED, State.FAILED, State.EXPIRED)


@pytest.mark.parametrize("word", ["resend", "discard"])
@pytest.mark.parametrize("state", [state for state in State if state not in DECIDED_UPON])
async def test_what_waits_or_was_taken_is_neither_sent_again_nor_given_up(
    client, engine, sender, in_state, word, state
):
    message = await in_state(state)
    answer = await client.post(f"/messages/{message}/{word}", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "message_not_undecided")
    (row,) = await execute(engine, STATES)
    assert (row.state, row.resends) == (state, 0)
    assert await execute(engine, "select 1 from audit_entries") == []


async def test_what_whatsapp_took_and_failed_later_is_said_again_by_a_message_of_its_own(
    client, engine, container, sender, conversation, in_state, working
):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    await execute(engine, "update messages set wa_message_id = 'wamid.taken', reply_to_wamid = 'wamid.question'")
    answer = await client.post(f"/messages/{message}/resend", headers=sender)
    assert (answer.status_code, answer.json()["delivery_state"]) == (200, "queued")
    again = answer.json()["id"]
    assert again != str(message)
    async with working(), asyncio.timeout(20):
        while not await execute(engine, "select 1 from outbox where state = 'accepted'"):
            pass
    failed, sent = await execute(
        engine,
        "select m.id::text, o.state, m.wa_message_id, m.content::text as content, m.author, m.reply_to_wamid "
        "from messages m join outbox o on o.id = m.id order by m.created_at",
    )
    assert (failed.id, failed.state, failed.wa_message_id) == (str(message), "failed", "wamid.taken")
    assert (sent.id, sent.content, sent.author) == (again, failed.content, "human")
    assert sent.reply_to_wamid == failed.reply_to_wamid == "wamid.question"
    assert [str(one.op) for one in (await container.get(FakeSender)).sent] == [f"1:{again}:1"]
    ((line,),) = (await execute(engine, "select action from audit_entries where target = :id", id=str(message)),)
    assert line.action == "message.resent"


async def test_that_happens_once_however_many_people_ask(client, engine, sender, in_state):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    answers = await asyncio.gather(*(client.post(f"/messages/{message}/resend", headers=sender) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert sorted(row.state for row in await execute(engine, STATES)) == ["failed", "queued"]


@pytest.mark.parametrize("word", ["resend", "discard"])
async def test_everybody_is_told_what_was_decided_about_it(client, engine, sender, in_state, word):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    await client.post(f"/messages/{message}/{word}", headers=sender)
    told = await execute(
        engine, "select body->>'reason' as reason from event_log where body->>'message_id' = :id", id=str(message)
    )
    assert [row.reason for row in told] == [{"resend": "resent_by_human", "discard": "discarded_by_human"}[word]]


async def test_without_a_token_that_is_not_said_again_and_nothing_changes(client, engine, sender, in_state):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    await execute(engine, "update whatsapp_accounts set access_token_sealed = null")
    answer = await client.post(f"/messages/{message}/resend", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (400, "whatsapp_not_configured")
    assert [(row.state, row.reason) for row in await execute(engine, STATES)] == [("failed", None)]


async def test_outside_the_window_that_is_not_said_again_and_nothing_changes(client, engine, sender, in_state):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    await execute(engine, "update conversations set window_expires_at = now() - interval '1 minute'")
    answer = await client.post(f"/messages/{message}/resend", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
    assert [(row.state, row.reason) for row in await execute(engine, STATES)] == [("failed", None)]
    await execute(engine, "update conversations set window_expires_at = :open", open=OPEN)
    assert (await client.post(f"/messages/{message}/resend", headers=sender)).status_code == 200


async def test_what_failed_later_and_was_given_up_stays_failed_and_is_not_said_again(
    client, engine, sender, conversation, in_state
):
    message = await in_state(State.FAILED, wamid="wamid.taken")
    answer = await client.post(f"/messages/{message}/discard", headers=sender)
    assert (answer.status_code, answer.json()["delivery_state"]) == (200, "failed")
    for word in ("resend", "discard"):
        answer = await client.post(f"/messages/{message}/{word}", headers=sender)
        assert (answer.status_code, answer.json()["detail"]) == (409, "message_not_undecided")
    assert [row.state for row in await execute(engine, STATES)] == ["failed"]
    assert (await shown(client, sender, conversation))[:2] == ("failed", "failed")
    ((line,),) = (await execute(engine, "select action from audit_entries where target = :id", id=str(message)),)
    assert line.action == "message.discarded"


async def test_two_persons_who_send_again_at_once_send_once(client, engine, sender, in_state):
    message = await in_state(State.UNCONFIRMED, attempt=1)
    answers = await asyncio.gather(*(client.post(f"/messages/{message}/resend", headers=sender) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert [row.resends for row in await execute(engine, STATES)] == [1]


async def test_outside_the_window_nothing_is_sent_again(client, engine, sender, conversation, in_state):
    message = await in_state(State.UNCONFIRMED)
    await execute(engine, "update conversations set window_expires_at = now() - interval '1 minute'")
    answer = await client.post(f"/messages/{message}/resend", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
    (row,) = await execute(engine, STATES)
    assert (row.state, row.resends) == ("unconfirmed", 0)
    status, state, said = await shown(client, sender, conversation)
    assert (status, state, said) == ("pending", "unconfirmed", UNCONFIRMED.sentence())


async def test_a_person_gives_up_what_may_have_been_sent(client, engine, sender, conversation, in_state):
    message = await in_state(State.UNCONFIRMED)
    answer = await client.post(f"/messages/{message}/discard", headers=sender)
    assert (answer.status_code, answer.json()["delivery_state"]) == (200, "cancelled")
    status, state, sentence = await shown(client, sender, conversation)
    assert (status, state) == ("failed", "cancelled")
    assert sentence
    (line,) = await execute(engine, "select action from audit_entries where target = :id", id=str(message))
    assert line.action == "message.discarded"


@pytest.mark.parametrize("word", ["resend", "discard"])
async def test_a_program_decides_about_nothing(client, engine, account, in_state, word):
    message = await in_state(State.UNCONFIRMED)
    _, key = await an_api_key(engine, (Permission.MESSAGES_SEND, account))
    answer = await client.post(f"/messages/{message}/{word}", headers={"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")
    assert [row.state for row in await execute(engine, STATES)] == ["unconfirmed"]


@pytest.mark.parametrize("call", ["", "/resend", "/discard"])
async def test_a_message_of_the_customer_is_nothing_to_decide_about(
    client, engine, account, sender, conversation, call
):
    message = await a_message(engine, account, conversation, direction="inbound", author=None)
    method = client.post if call else client.delete
    assert (await method(f"/messages/{message}{call}", headers=sender)).status_code == 409
