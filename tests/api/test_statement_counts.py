"""What the calls that front ends repeat all day cost in statements, once the caller is known."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from api.conftest import a_caller, bearer
from builders import a_conversation, a_message, an_account
from inbox.domain.access import Permission
from inbox.services.rights import Rights
from member_builders import a_user, give_role
from statement_counts import counting


@pytest.fixture
async def viewer(client, engine, container):
    """Somebody whose rights are remembered."""
    user = await a_user(engine)
    await give_role(engine, user, "viewer")
    rights = await container.get(Rights)
    async with asyncio.timeout(10):
        while not rights.is_sure():
            await client.get("/health/ready")  # it asks the database, so others get their turn
    headers = bearer(user)
    await client.get("/auth/me", headers=headers)
    return headers


async def cost(client, path, headers, **query):
    with counting() as statements:
        answer = await client.get(path, headers=headers, params=query)
    assert answer.status_code == 200
    return len(statements), answer.json()


async def test_who_am_i_costs_nothing(client, viewer):
    assert (await cost(client, "/auth/me", viewer))[0] == 0


async def test_the_list_of_conversations_costs_one_statement(client, engine, account, viewer):
    await a_conversation(engine, account)
    count, rows = await cost(client, "/conversations", viewer, account_id=str(account))
    assert (count, len(rows)) == (1, 1)


@pytest.mark.parametrize("messages", [0, 3])
async def test_a_thread_costs_one_statement_also_the_first_time(client, engine, account, viewer, messages):
    conversation = await a_conversation(engine, account)
    for _ in range(messages):
        await a_message(engine, account, conversation)
    count, rows = await cost(client, f"/messages/{conversation}", viewer)
    assert (count, len(rows)) == (1, messages)


async def test_accounts_and_contacts_cost_one_statement(client, viewer):
    assert (await cost(client, "/accounts", viewer))[0] == 1
    assert (await cost(client, "/contacts", viewer))[0] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/messages/{id}", None),
        ("POST", "/conversations/{id}/read", None),
        ("POST", "/conversations/{id}/bot", {"enabled": True}),
    ],
)
async def test_what_is_foreign_costs_as_much_as_what_is_missing_however_often_one_asks(
    client, engine, account, method, path, body
):
    """Else the time would tell which one it is."""
    stranger = await a_caller(engine, (await an_account(engine)).account_id, *Permission)
    foreign = await a_conversation(engine, account)
    costs = []
    for conversation in (foreign, uuid4()):
        for _ in range(2):
            with counting() as statements:
                answer = await client.request(method, path.format(id=conversation), headers=stranger, json=body)
            assert answer.status_code == 404
            costs.append([text for text in statements if "conversations" in text])
    assert all(statements == costs[0] for statements in costs)


async def test_a_send_that_does_not_wait_looks_at_its_outcome_once(client, engine, account):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    conversation = await a_conversation(engine, account, window_expires_at=datetime.now(UTC) + timedelta(hours=1))
    body = {"conversation_id": str(conversation), "content": "Bonjour"}
    with counting() as statements:
        answer = await client.post("/messages/send", json=body, headers={**sender, "prefer": "respond-async"})
    assert answer.status_code == 202
    assert sum("coalesce(o.state" in statement for statement in statements) == 1
