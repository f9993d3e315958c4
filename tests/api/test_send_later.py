"""Messages for later: accepted at once, sent at their time, seen and cancelled until then."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from api.conftest import a_caller
from builders import a_conversation, execute, until
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Permission
from inbox.entrypoints.worker import Worker
from inbox.kit.paging import format_time

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
TEMPLATE = {"type": "template", "name": "rappel", "language": "fr"}


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
def plan(client, sender, conversation):
    async def post(send_at, *, content="À demain", key=None):
        body = {"conversation_id": str(conversation), "content": content, "send_at": send_at}
        headers = sender | ({"Idempotency-Key": key} if key else {})
        return await client.post("/messages/send", json=body, headers=headers)

    return post


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


def ahead(**span):
    return format_time(datetime.now(UTC) + timedelta(**span))


async def its_time_comes(engine):
    await execute(engine, "update outbox set send_at = now() - interval '1 s' where send_at is not null")


async def waiting(client, sender, conversation):
    return (await client.get(f"/conversations/{conversation}/scheduled", headers=sender)).json()


# --- accepting --------------------------------------------------------------------------------------------------------


async def test_a_message_for_later_is_answered_at_once_and_shown_with_its_time(
    client, engine, sender, conversation, plan
):
    at = ahead(days=1)
    async with asyncio.timeout(5):
        answer = await plan(at)
    assert (answer.status_code, answer.json()["status"], answer.json()["message_id"]) == (202, "queued", None)
    assert "Preference-Applied" not in answer.headers
    (shown,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert (shown["id"], shown["status"], shown["delivery_state"]) == (answer.json()["id"], "pending", "scheduled")
    assert (shown["scheduled_at"], shown["client_id"]) == (at, None)
    assert await execute(engine, "select 1 from lanes") == []
    told = await execute(engine, "select body from event_log where kind = 'message.created'")
    assert [msgspec.json.decode(row.body)["message_id"] for row in told] == [answer.json()["id"]]


async def test_a_time_with_an_offset_is_the_same_moment(client, sender, conversation, plan):
    at = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    paris = at.astimezone(timezone(timedelta(hours=1))).isoformat()
    assert (await plan(paris)).status_code == 202
    assert [one["scheduled_at"] for one in await waiting(client, sender, conversation)] == [format_time(at)]


@pytest.mark.parametrize(
    ("send_at", "message"),
    [
        (lambda: ahead(seconds=-1), "in the future"),
        (lambda: ahead(days=28, minutes=1), "at most 28 days ahead"),
        (lambda: "9999-12-31T23:59:59-23:00", "a time that exists in UTC"),
        (lambda: "0001-01-01T00:00:00Z", "in the future"),
        (lambda: "2026-03-01T09:00:00", None),
        (lambda: "tomorrow", None),
        (lambda: 1_800_000_000, None),
    ],
)
async def test_what_is_no_time_to_come_names_the_field_and_stores_nothing(engine, plan, send_at, message):
    answer = await plan(send_at())
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    (error,) = answer.json()["errors"]
    assert error["path"] == "body.send_at"
    assert message is None or error["message"] == message
    assert await execute(engine, "select 1 from messages") == []


async def test_a_reaction_is_not_for_later(engine, plan):
    answer = await plan(ahead(days=1), content={"type": "reaction", "wamid": "wamid.1", "emoji": "👍"})
    assert [error["path"] for error in answer.json()["errors"]] == ["body.send_at"]


async def test_a_closed_window_is_no_reason_to_refuse_yet(engine, sender, plan):
    await execute(engine, "update conversations set window_expires_at = null")
    assert (await plan(ahead(days=1))).status_code == 202


async def test_an_account_that_cannot_send_is_told_at_once(engine, plan):
    await execute(engine, "update whatsapp_accounts set phone_number_id = ''")
    answer = await plan(ahead(days=1))
    assert (answer.status_code, answer.json()["detail"]) == (400, "whatsapp_not_configured")
    assert [row.state for row in await execute(engine, "select state from outbox")] == ["failed"]


async def test_one_key_is_one_message_and_its_time_is_part_of_the_request(engine, plan):
    at = ahead(days=1)
    first, again = await plan(at, key="k-1"), await plan(at, key="k-1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = await plan(ahead(days=2), key="k-1")
    assert (other.status_code, other.json()["detail"]) == (422, "idempotency_key_reused")
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_a_request_that_comes_again_after_its_time_gets_its_answer(engine, container, plan, working):
    at = ahead(seconds=3)
    first = await plan(at, key="k-1")
    async with working():
        await until(engine, "select 1 from outbox where state = 'accepted'")
    again = await plan(at, key="k-1")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert len((await container.get(FakeSender)).sent) == 1


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("send-media", {"media_type": "image", "media_id": "1013859600285441"}),
        (
            "send-interactive",
            {"interactive_type": "button", "body_text": "Quand ?", "buttons": [{"id": "a", "title": "Lundi"}]},
        ),
    ],
)
async def test_the_narrower_calls_schedule_as_well(client, sender, conversation, call, body):
    at = ahead(days=1)
    said = {**body, "conversation_id": str(conversation), "send_at": at}
    answer = await client.post(f"/messages/{call}", json=said, headers=sender)
    assert answer.status_code == 202
    assert [one["scheduled_at"] for one in await waiting(client, sender, conversation)] == [at]


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_what_waits_is_listed_by_its_time(client, sender, conversation, plan):
    late, early = (await plan(ahead(days=2))).json()["id"], (await plan(ahead(days=1), content=TEMPLATE)).json()["id"]
    listed = await waiting(client, sender, conversation)
    assert [one["id"] for one in listed] == [early, late]
    assert [one["content"]["type"] for one in listed] == ["template", "text"]


async def test_nothing_waits_in_a_conversation_without_such_messages(client, sender, conversation):
    assert await waiting(client, sender, conversation) == []


async def test_it_is_cancelled_like_any_other_and_never_sent(
    client, engine, container, sender, conversation, plan, working
):
    message = (await plan(ahead(days=1))).json()["id"]
    answer = await client.delete(f"/messages/{message}", headers=sender)
    assert (answer.status_code, answer.json()["delivery_state"]) == (200, "cancelled")
    assert await waiting(client, sender, conversation) == []
    await its_time_comes(engine)
    present = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": "Maintenant"}, headers=sender
    )
    async with working():
        await until(engine, "select 1 from outbox where state = 'accepted'")
    (sent,) = (await container.get(FakeSender)).sent
    assert str(sent.op.message_id) == present.json()["id"]


# --- its time ---------------------------------------------------------------------------------------------------------


async def test_it_is_sent_at_its_time_and_stands_where_it_was_sent(client, engine, sender, conversation, plan, working):
    planned = (await plan(ahead(days=1))).json()["id"]
    async with working():
        present = await client.post(
            "/messages/send", json={"conversation_id": str(conversation), "content": "Maintenant"}, headers=sender
        )
        await until(engine, "select 1 from outbox where send_at is null and state = 'accepted'")
        await its_time_comes(engine)
        await until(engine, "select 1 from outbox where send_at is not null and state = 'accepted'")
    shown = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert [one["id"] for one in shown] == [present.json()["id"], planned]
    assert shown[1]["status"] == "sent"
    assert shown[1]["scheduled_at"] is not None


async def test_without_a_window_at_its_time_it_fails_and_a_person_reads_why(
    client, engine, sender, conversation, plan, working
):
    message = (await plan(ahead(days=1))).json()["id"]
    await execute(engine, "update conversations set window_expires_at = now() - interval '1 h'")
    async with working():
        await its_time_comes(engine)
        await until(engine, "select 1 from outbox where state = 'failed'")
    (shown,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert (shown["id"], shown["status"]) == (message, "failed")
    assert "24 h" in shown["error_message"]
