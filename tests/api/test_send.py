"""`POST /messages/send`: what the caller is told, and what is stored."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, an_account, execute
from inbox.domain.access import Permission
from inbox.entrypoints.worker import Worker

OPEN = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


async def rows(engine) -> list[tuple[str, str | None]]:
    found = await execute(engine, 'select status, error_message from messages order by "timestamp"')
    return [(row.status, row.error_message) for row in found]


async def test_without_a_worker_the_message_is_queued_after_the_wait(client, engine, account, sender):
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    answer = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": "Bonjour"}, headers=sender
    )
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.json()["message_id"] is None
    assert await rows(engine) == [("pending", None)]


@pytest.mark.parametrize("preferred", ["respond-async", "Respond-Async, wait=10"])
async def test_who_asks_not_to_wait_is_answered_at_once(client, engine, account, sender, preferred):
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    answer = await client.post(
        "/messages/send",
        json={"conversation_id": str(conversation), "content": "Bonjour"},
        headers={**sender, "prefer": preferred},
    )
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"


async def test_the_same_key_gives_the_same_message_and_another_body_is_refused(client, engine, account, sender):
    conversation = str(await a_conversation(engine, account, window_expires_at=OPEN))
    body = {"conversation_id": conversation, "content": "Bonjour", "client_id": "c-1"}
    first = await client.post("/messages/send", json=body, headers=sender)
    again = await client.post("/messages/send", json=body, headers=sender)
    other = await client.post("/messages/send", json={**body, "content": "Autre"}, headers=sender)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["detail"]) == (422, "idempotency_key_reused")
    assert len(await rows(engine)) == 1


async def test_a_key_is_known_in_all_accounts_of_its_caller(client, engine, account):
    elsewhere = (await an_account(engine)).account_id
    both = await a_caller(engine, None, Permission.MESSAGES_SEND)
    talks = [await a_conversation(engine, one, window_expires_at=OPEN) for one in (account, elsewhere)]
    answers = [
        await client.post(
            "/messages/send",
            json={"conversation_id": str(talk), "content": "Bonjour"},
            headers={**both, "idempotency-key": "k-1", "prefer": "respond-async"},
        )
        for talk in talks
    ]
    assert [answer.status_code for answer in answers] == [202, 422]
    assert answers[1].json()["detail"] == "idempotency_key_reused"
    assert len(await rows(engine)) == 1


@pytest.mark.parametrize(
    ("header", "client_id", "path"),
    [("k" * 201, None, "header.idempotency-key"), (None, "k" * 201, "body.client_id"), (None, "a\n", "body.client_id")],
)
async def test_a_key_that_is_none_is_named_where_it_stands(client, sender, header, client_id, path):
    body = {"conversation_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "content": "Bonjour", "client_id": client_id}
    headers = sender | ({"idempotency-key": header} if header else {})
    answer = await client.post("/messages/send", json=body, headers=headers)
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_outside_the_window_the_message_is_stored_as_failed_with_its_reason(client, engine, account, sender):
    past = datetime.now(UTC) - timedelta(minutes=1)
    conversation = await a_conversation(engine, account, window_expires_at=past)
    answer = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": "Bonjour"}, headers=sender
    )
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
    ((status, reason),) = await rows(engine)
    assert status == "failed"
    assert reason
    listed = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert (listed[0]["id"], listed[0]["status"]) == (answer.json()["id"], "failed")


async def test_an_account_without_a_token_is_named(client, engine):
    account = (await an_account(engine, access_token=None)).account_id
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    answer = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": "Bonjour"}, headers=sender
    )
    assert (answer.status_code, answer.json()["detail"]) == (400, "whatsapp_not_configured")


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "conversation_id_required"),
        ({"conversation_id": ""}, 400, "conversation_id_required"),
        ({"conversation_id": "x"}, 400, "invalid_payload"),
        ({"conversation_id": "x", "content": "   "}, 400, "invalid_payload"),
        ({"conversation_id": "x", "content": "y" * 4097}, 400, "invalid_payload"),
        ({"conversation_id": "x", "content": "nul \x00"}, 422, "validation_error"),
        ({"conversation_id": "x", "content": "Bonjour"}, 404, "conversation_not_found"),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_not_stored(client, engine, sender, body, status, detail):
    answer = await client.post("/messages/send", json=body, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert await rows(engine) == []


async def test_with_a_worker_the_answer_is_sent_with_the_wamid(client, engine, account, sender, container):
    worker = await container.get(Worker)
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)

    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        answer = None
        for _ in range(20):
            answer = await client.post(
                "/messages/send",
                json={"conversation_id": str(conversation), "content": "Bonjour", "client_id": "c-1"},
                headers=sender,
            )
            if answer.status_code == 200:
                break
        worker.stop()
    assert answer is not None
    assert (answer.status_code, answer.json()["status"]) == (200, "sent")
    assert answer.json()["message_id"].startswith("wamid.")


async def test_an_empty_client_id_is_no_key(client, engine, account, sender):
    conversation = str(await a_conversation(engine, account, window_expires_at=OPEN))
    for content in ("Bonjour", "Autre chose"):
        answer = await client.post(
            "/messages/send",
            json={"conversation_id": conversation, "content": content, "client_id": ""},
            headers={**sender, "prefer": "respond-async"},
        )
        assert answer.status_code == 202
    assert len(await rows(engine)) == 2


@pytest.mark.parametrize("key", ["k" * 201, "nul\x00"])
async def test_a_key_that_cannot_be_kept_is_a_validation_error(client, engine, account, sender, key):
    conversation = str(await a_conversation(engine, account, window_expires_at=OPEN))
    answer = await client.post(
        "/messages/send", json={"conversation_id": conversation, "content": "Bonjour", "client_id": key}, headers=sender
    )
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")


async def test_who_does_not_wait_is_told_of_a_refusal_that_is_known_already(client, engine, account, sender):
    past = datetime.now(UTC) - timedelta(minutes=1)
    conversation = await a_conversation(engine, account, window_expires_at=past)
    answer = await client.post(
        "/messages/send",
        json={"conversation_id": str(conversation), "content": "Bonjour"},
        headers={**sender, "prefer": "respond-async"},
    )
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")
