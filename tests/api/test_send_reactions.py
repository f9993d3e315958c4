"""Reactions of ours: sent like messages, shown on the message that they are about."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Permission
from inbox.domain.outgoing import Reaction, ReactionRemoval
from inbox.domain.upstream_errors import Refused
from inbox.entrypoints.worker import Worker

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
QUESTION = "wamid.question"


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
async def question(engine, account, conversation):
    return await asked(engine, account, conversation, datetime.now(UTC))


async def asked(engine, account, conversation, at, *, wamid=QUESTION):
    return await a_message(
        engine, account, conversation, direction="inbound", author=None, status=None, wamid=wamid, timestamp=at
    )


@pytest.fixture
async def whatsapp(container):
    return await container.get(FakeSender)


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


async def settled(engine, most=20):
    async with asyncio.timeout(most):
        while await execute(engine, "select 1 from outbox where state in ('queued', 'claimed', 'wire')"):
            pass


async def bubbles(client, sender, conversation):
    return (await client.get(f"/messages/{conversation}", headers=sender)).json()


async def test_a_reaction_is_on_its_message_once_whatsapp_took_it_and_has_no_bubble(
    client, engine, sender, conversation, question, whatsapp, working
):
    answer = await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=sender)
    assert answer.status_code == 202
    (shown,) = await bubbles(client, sender, conversation)
    assert shown["reactions"] == []
    async with working():
        await settled(engine)
    (shown,) = await bubbles(client, sender, conversation)
    assert [(one["emoji"], one["from"]) for one in shown["reactions"]] == [("👍", "business")]
    assert [sent.content for sent in whatsapp.sent] == [Reaction(wamid=QUESTION, emoji="👍")]
    told = await execute(
        engine, "select kind, body::text from event_log where kind in ('message.created', 'message.reaction')"
    )
    assert [row.kind for row in told] == ["message.reaction"]
    assert (json.loads(told[0].body)["message_id"], json.loads(told[0].body)["emoji"]) == (str(question), "👍")


async def test_the_newest_reaction_counts_and_a_removal_takes_it_away(
    client, engine, sender, conversation, question, whatsapp, working
):
    of_v2 = {"message_id": str(question), "emoji": "❤️", "from_number": "+33 6 39 98 01 42"}
    async with working():
        await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=sender)
        await client.post("/messages/reactions/add", json=of_v2, headers=sender)
        await settled(engine)
        (shown,) = await bubbles(client, sender, conversation)
        assert [one["emoji"] for one in shown["reactions"]] == ["❤️"]
        await client.post("/messages/reactions/remove", json=of_v2, headers=sender)
        await settled(engine)
        (shown,) = await bubbles(client, sender, conversation)
        assert shown["reactions"] == []
        await client.delete(f"/messages/{question}/reactions", headers=sender)
        await settled(engine)
    assert [type(sent.content) for sent in whatsapp.sent] == [Reaction, Reaction, ReactionRemoval, ReactionRemoval]


async def test_a_refused_reaction_is_not_shown_and_its_caller_is_told(
    client, engine, sender, conversation, question, whatsapp, working
):
    whatsapp.fail_next(Refused(graph_code=131009))
    async with working():
        answer = await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=sender)
        await settled(engine)
    assert answer.status_code in (202, 400)
    (shown,) = await bubbles(client, sender, conversation)
    assert shown["reactions"] == []
    assert [row.state for row in await execute(engine, "select state from outbox")] == ["failed"]


async def test_a_reaction_neither_takes_the_conversation_over_nor_moves_it_up(
    client, engine, sender, conversation, question
):
    read = "select epoch, updated_at from conversations"
    before = await execute(engine, read)
    await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=sender)
    assert await execute(engine, read) == before


async def test_a_reaction_by_wamid_is_the_same(client, engine, sender, conversation, question):
    body = {"conversation_id": str(conversation)}
    content = {"type": "reaction", "wamid": QUESTION, "emoji": "👍"}
    answer = await client.post("/messages/send", json={**body, "content": content}, headers=sender)
    assert answer.status_code == 202
    unknown = await client.post(
        "/messages/send", json={**body, "content": {**content, "wamid": "wamid.unknown"}}, headers=sender
    )
    assert (unknown.status_code, [one["path"] for one in unknown.json()["errors"]]) == (422, ["body.content.wamid"])
    assert len(await bubbles(client, sender, conversation)) == 1


async def test_a_message_older_than_thirty_days_cannot_be_reacted_to_but_a_reaction_can_be_taken_back(
    client, engine, account, sender, conversation
):
    old = await asked(engine, account, conversation, datetime.now(UTC) - timedelta(days=30, minutes=1))
    answer = await client.post(f"/messages/{old}/reactions", json={"emoji": "👍"}, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "reaction_not_possible")
    assert await execute(engine, "select 1 from outbox") == []
    assert (await client.delete(f"/messages/{old}/reactions", headers=sender)).status_code == 202
    young = await asked(
        engine, account, conversation, datetime.now(UTC) - timedelta(days=29, hours=23), wamid="wamid.young"
    )
    answer = await client.post(f"/messages/{young}/reactions", json={"emoji": "👍"}, headers=sender)
    assert answer.status_code == 202


async def test_what_whatsapp_does_not_have_cannot_be_reacted_to(client, engine, account, sender, conversation):
    failed = await a_message(engine, account, conversation, status="failed")
    answer = await client.post(f"/messages/{failed}/reactions", json={"emoji": "👍"}, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "reaction_not_possible")


@pytest.mark.parametrize("emoji", ["", "ok", "👍👍"])
async def test_what_is_no_emoji_is_named(client, engine, sender, question, emoji):
    answer = await client.post(f"/messages/{question}/reactions", json={"emoji": emoji}, headers=sender)
    assert (answer.status_code, [one["path"] for one in answer.json()["errors"]]) == (422, ["body.emoji"])


async def test_outside_the_window_no_reaction_is_taken(client, engine, account, sender):
    closed = await a_conversation(engine, account, window_expires_at=datetime.now(UTC) - timedelta(hours=1))
    question = await asked(engine, account, closed, datetime.now(UTC) - timedelta(hours=25))
    answer = await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
    assert len(await bubbles(client, sender, closed)) == 1


async def test_one_key_is_one_reaction(client, engine, sender, question):
    headers = {**sender, "idempotency-key": "tap-1"}
    answers = [
        await client.post(f"/messages/{question}/reactions", json={"emoji": "👍"}, headers=headers) for _ in range(2)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await execute(engine, "select 1 from outbox")) == 1
