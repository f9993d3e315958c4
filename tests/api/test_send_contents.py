"""`POST /messages/send` with every content, what it quotes, and what it is refused for."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Permission
from inbox.domain.outgoing import Reaction, ReactionRemoval, message_type
from inbox.entrypoints.worker import Worker
from payloads.sends import examples

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
EXAMPLES = examples()
TEMPLATE = {"type": "template", "name": "order_ready", "language": "fr"}
LOCATION = {"type": "location", "latitude": 45.76, "longitude": 4.83, "name": "Atelier"}
LINES = [name for name, one in EXAMPLES.items() if not isinstance(one.content, Reaction | ReactionRemoval)]


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
def say(client, sender, conversation):
    async def post(content, **members):
        headers = {**sender, "prefer": "respond-async", **members.pop("headers", {})}
        body = {"conversation_id": str(conversation), "content": content, **members}
        return await client.post("/messages/send", json=body, headers=headers)

    return post


async def count(engine) -> int:
    return len(await execute(engine, "select 1 from messages"))


@pytest.mark.parametrize("name", LINES)
async def test_every_content_is_stored_as_it_was_asked_for_and_shown(client, sender, conversation, say, name):
    content = EXAMPLES[name].content
    answer = await say(json.loads(msgspec.json.encode(content)))
    assert answer.status_code == 202, answer.text
    (shown,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert shown["content"] == json.loads(msgspec.json.encode(content))
    assert (shown["message_type"], shown["status"]) == (message_type(content), "pending")
    assert shown["media_id"] == getattr(content, "media_id", None)
    assert shown["content_text"]


async def test_the_content_that_was_asked_for_is_what_is_sent(engine, container, say):
    worker, whatsapp = await container.get(Worker), await container.get(FakeSender)
    wanted = [EXAMPLES[name].content for name in LINES if name in ("image_id", "interactive_list", "location")]
    for content in wanted:
        await say(json.loads(msgspec.json.encode(content)))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        async with asyncio.timeout(20):
            while len(whatsapp.sent) < len(wanted):
                await execute(engine, "select 1")
        worker.stop()
    assert [sent.content for sent in whatsapp.sent] == wanted


async def test_all_faults_are_named_with_their_paths(engine, say):
    buttons = [{"id": "a", "title": "x" * 21}, {"id": "a", "title": ""}]
    answer = await say({"type": "buttons", "body": "", "buttons": buttons})
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    paths = {error["path"] for error in answer.json()["errors"]}
    assert {"body.content.body", "body.content.buttons[0].title", "body.content.buttons[1].title"} <= paths
    assert await count(engine) == 0


@pytest.mark.parametrize(
    "content",
    [
        {"type": "poll", "body": "?"},
        {"body": "Bonjour"},
        {"type": "text", "body": "Bonjour", "bold": True},
        {"type": "location", "latitude": "north", "longitude": 4},
        ["Bonjour"],
        7,
    ],
    ids=str,
)
async def test_what_is_no_content_is_a_validation_error(engine, say, content):
    answer = await say(content)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert await count(engine) == 0


async def test_an_upload_that_is_not_there_is_refused(engine, say):
    answer = await say({"type": "image", "upload_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"})
    assert (answer.status_code, [one["path"] for one in answer.json()["errors"]]) == (422, ["body.content.upload_id"])
    assert await count(engine) == 0


# --- quoting ----------------------------------------------------------------------------------------------------------


async def test_a_message_quotes_one_of_its_conversation(client, engine, account, container, sender, conversation, say):
    quoted = await a_message(engine, account, conversation, direction="inbound", author=None, wamid="wamid.question")
    answer = await say("Oui", reply_to_message_id=str(quoted))
    assert answer.status_code == 202
    shown = (await client.get(f"/messages/{conversation}", headers=sender)).json()[-1]
    assert (shown["reply_to_wamid"], shown["reply_to_message_id"]) == ("wamid.question", str(quoted))
    worker, whatsapp = await container.get(Worker), await container.get(FakeSender)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        async with asyncio.timeout(20):
            while not whatsapp.sent:
                await execute(engine, "select 1")
        worker.stop()
    assert [sent.reply_to for sent in whatsapp.sent] == ["wamid.question"]


@pytest.mark.parametrize("case", ["malformed", "missing", "of another conversation", "unknown to WhatsApp"])
async def test_what_cannot_be_quoted_is_named(engine, account, conversation, say, case):
    elsewhere = await a_conversation(engine, account, window_expires_at=OPEN)
    ids = {
        "malformed": "x",
        "missing": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "of another conversation": await a_message(engine, account, elsewhere, wamid="wamid.elsewhere"),
        "unknown to WhatsApp": await a_message(engine, account, conversation, status="failed"),
    }
    before = await count(engine)
    answer = await say("Oui", reply_to_message_id=str(ids[case]))
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["errors"]] == ["body.reply_to_message_id"]
    assert await count(engine) == before


# --- one key, one message ---------------------------------------------------------------------------------------------


async def test_a_key_stands_for_the_whole_body(engine, account, conversation, say):
    quoted = await a_message(engine, account, conversation, wamid="wamid.quoted")
    key = {"idempotency-key": "k-1"}
    first = await say(LOCATION, headers=key)
    again = await say(LOCATION, headers=key)
    others = [
        await say({**LOCATION, "name": "Ailleurs"}, headers=key),
        await say(LOCATION, headers=key, reply_to_message_id=str(quoted)),
    ]
    assert first.json()["id"] == again.json()["id"]
    assert [other.json()["detail"] for other in others] == ["idempotency_key_reused"] * 2
    assert await count(engine) == 2


# --- the window -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def closed(engine, account):
    return await a_conversation(engine, account, window_expires_at=datetime.now(UTC) - timedelta(minutes=1))


@pytest.mark.parametrize("name", ["text", "image_id", "interactive_buttons", "location"])
async def test_outside_the_window_nothing_but_templates_is_taken(engine, closed, say, name):
    content = json.loads(msgspec.json.encode(EXAMPLES[name].content))
    answer = await say(content, conversation_id=str(closed))
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
    (row,) = await execute(engine, "select status, error_message from messages")
    assert row.status == "failed"
    assert "modèle" in row.error_message


@pytest.mark.parametrize("window", ["closed", "never opened"])
async def test_a_template_passes_without_a_window_and_waits_a_day(engine, account, closed, say, window):
    conversation = closed if window == "closed" else await a_conversation(engine, account)
    answer = await say(TEMPLATE, conversation_id=str(conversation))
    assert answer.status_code == 202
    (row,) = await execute(engine, "select state, expires_at - now() as lasts from outbox")
    assert row.state == "queued"
    assert timedelta(hours=23) < row.lasts <= timedelta(hours=24)
