"""Reading and writing, as front ends report it, and the switches of accounts that decide what customers see of it."""

import asyncio
from datetime import UTC, datetime

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.adapters.messaging.fake_receipts import FakeReceipts
from inbox.domain.access import Permission
from inbox.services.composing import Composing

MISSING = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.CONVERSATIONS_VIEW)


@pytest.fixture
async def talk(engine, account):
    conversation = await a_conversation(engine, account, unread_count=1)
    await a_message(engine, account, conversation, direction="inbound", wamid="wamid.A", timestamp=datetime.now(UTC))
    return conversation


async def rests(client, container):
    composing = await container.get(Composing)
    async with asyncio.timeout(10):
        while composing.is_busy:
            await client.get("/health/ready")


@pytest.mark.parametrize(
    "body",
    [{}, {"content": b"a=b", "headers": {"content-type": "application/x-www-form-urlencoded"}}, {"json": {"any": 1}}],
)
async def test_whoever_writes_is_answered_and_the_customer_sees_it(client, container, sender, talk, body):
    headers = {**sender, **body.get("headers", {})}
    answer = await client.post(f"/conversations/{talk}/typing", **{**body, "headers": headers})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    await rests(client, container)
    (told,) = (await container.get(FakeReceipts)).told
    assert (told.wamid, told.typing) == ("wamid.A", True)


async def test_an_account_without_indicators_answers_the_same(client, container, engine, sender, talk):
    await execute(engine, "update whatsapp_accounts set typing_indicators = false")
    answer = await client.post(f"/conversations/{talk}/typing", headers=sender)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    await rests(client, container)
    assert list((await container.get(FakeReceipts)).told) == []


@pytest.mark.parametrize("conversation", [MISSING, "x"])
async def test_a_conversation_that_is_missing_is_404(client, sender, conversation):
    answer = await client.post(f"/conversations/{conversation}/typing", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (404, "conversation_not_found")


async def test_reading_leaves_the_telling_to_the_worker(client, container, engine, sender, talk):
    assert (await client.post(f"/conversations/{talk}/read", headers=sender)).json() == {"status": "ok"}
    assert list((await container.get(FakeReceipts)).told) == []
    assert await execute(engine, "select kind, key from lanes") == [("receipt", str(talk))]


async def test_the_switches_are_those_of_an_account_and_count_at_once(client, engine, account, sender, talk):
    manager = await a_caller(engine, None, Permission.ACCOUNTS_MANAGE, Permission.ACCOUNTS_VIEW)
    body = {"read_receipts": False, "typing_indicators": False}
    answer = await client.patch(f"/accounts/{account}", json=body, headers=manager)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in body} == body
    assert [account["read_receipts"] for account in (await client.get("/accounts", headers=manager)).json()] == [False]
    await client.post(f"/conversations/{talk}/read", headers=sender)
    assert await execute(engine, "select kind from lanes") == []
    rows = await execute(engine, "select action, details->>'changed' as changed from audit_entries")
    assert [(row.action, row.changed) for row in rows] == [
        ("account.changed", '["read_receipts", "typing_indicators"]')
    ]


@pytest.mark.parametrize("name", ["read_receipts", "typing_indicators"])
@pytest.mark.parametrize("value", [None, "false", 0])
async def test_a_switch_is_true_or_false(client, engine, account, name, value):
    manager = await a_caller(engine, None, Permission.ACCOUNTS_MANAGE)
    answer = await client.patch(f"/accounts/{account}", json={name: value}, headers=manager)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [f"body.{name}"]


async def test_a_new_account_tells_its_customers_unless_it_says_otherwise(client, engine):
    manager = await a_caller(engine, None, Permission.ACCOUNTS_MANAGE)
    new = {"name": "Atelier", "access_token": "t", "verify_token": "v"}
    shown = []
    for slug, more in (("a", {}), ("b", {"read_receipts": False, "typing_indicators": False})):
        body = {**new, "slug": slug, "phone_number_id": slug, **more}
        answer = (await client.post("/accounts", json=body, headers=manager)).json()
        shown.append((answer["read_receipts"], answer["typing_indicators"]))
    assert shown == [(True, True), (False, False)]
