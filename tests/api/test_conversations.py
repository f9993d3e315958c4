"""Lists, pages and the bot's switch, in the shapes of the contract."""

from datetime import timedelta

import httpx

from api.conftest import a_caller
from builders import NOON, a_conversation, a_message, an_account
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Permission

CONVERSATION_KEYS = {
    "id",
    "contact_id",
    "account_id",
    "client_number",
    "is_group",
    "is_favorite",
    "unread_count",
    "status",
    "updated_at",
    "bot_enabled",
    "bot_last_reply_at",
}
MESSAGE_KEYS = {
    "id",
    "conversation_id",
    "direction",
    "content_text",
    "timestamp",
    "wa_message_id",
    "message_type",
    "status",
    "media_id",
    "media_mime_type",
    "media_filename",
    "error_message",
}


async def pages(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], name: str, **query: str
) -> list[list[dict[str, str]]]:
    found = []
    while True:
        answer = await client.get(path, params=query, headers=headers)
        assert answer.status_code == 200
        found.append(answer.json())
        cursor = answer.headers.get("x-next-cursor")
        assert ("link" in answer.headers) == (cursor is not None)
        if cursor is None:
            return found
        query[name] = cursor


async def test_accounts_are_listed_without_tokens_and_only_those_that_one_may_view(client, engine):
    mine = await an_account(engine, name="B")
    await an_account(engine, name="A")
    viewer = await a_caller(engine, mine.account_id, Permission.ACCOUNTS_VIEW)
    rows = (await client.get("/accounts", headers=viewer)).json()
    assert [row["id"] for row in rows] == [str(mine.account_id)]
    known = {"id", "name", "slug", "phone_number", "phone_number_id", "read_receipts", "typing_indicators"}
    assert set(rows[0]) == known


async def test_who_may_view_no_account_gets_403(client, engine, account):
    answer = await client.get("/accounts", headers=await a_caller(engine, account, Permission.MESSAGES_SEND))
    assert (answer.status_code, answer.json()["detail"]) == (403, "no_account_access")


async def test_a_conversation_has_the_keys_of_the_contract_and_six_digits_in_its_times(client, engine, account):
    await a_conversation(engine, account, display_name="Marc", updated_at=NOON)
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    (row,) = (await client.get("/conversations", params={"account_id": str(account)}, headers=viewer)).json()
    assert set(row) >= CONVERSATION_KEYS | {"contacts"}
    assert row["updated_at"] == "2026-11-21T12:00:00.000000Z"
    assert row["contacts"] == {"display_name": "Marc", "whatsapp_number": row["client_number"]}


async def test_pages_of_conversations_with_equal_times_neither_skip_nor_repeat(client, engine, account):
    ids = {str(await a_conversation(engine, account, updated_at=NOON)) for _ in range(7)}
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    found = await pages(client, "/conversations", viewer, "cursor", account_id=str(account), limit="3")
    assert [len(page) for page in found] == [3, 3, 1]
    assert {row["id"] for page in found for row in page} == ids


async def test_a_bare_timestamp_works_as_a_cursor(client, engine, account):
    for minutes in range(3):
        await a_conversation(engine, account, updated_at=NOON + timedelta(minutes=minutes))
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    query = {"account_id": str(account), "cursor": "2026-11-21T12:01:00.000000Z"}
    rows = (await client.get("/conversations", params=query, headers=viewer)).json()
    assert [row["updated_at"] for row in rows] == ["2026-11-21T12:00:00.000000Z"]


async def test_messages_come_oldest_to_newest_and_older_pages_follow(client, engine, account):
    conversation = await a_conversation(engine, account)
    for second in range(5):
        await a_message(engine, account, conversation, timestamp=NOON + timedelta(seconds=second))
    reader = await a_caller(engine, account, Permission.MESSAGES_VIEW)
    newest, middle, oldest = await pages(client, f"/messages/{conversation}", reader, "before", limit="2")
    times = [row["timestamp"] for row in [*oldest, *middle, *newest]]
    assert times == sorted(times)
    assert len(times) == 5
    assert set(newest[0]) >= MESSAGE_KEYS


async def test_the_switch_answers_the_plain_row(client, engine, account):
    conversation = await a_conversation(engine, account, display_name="Marc")
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    answer = await client.post(f"/conversations/{conversation}/bot", json={"enabled": True}, headers=sender)
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert body["conversation"]["bot_enabled"] is True
    assert set(body["conversation"]) >= CONVERSATION_KEYS
    assert "contacts" not in body["conversation"]


async def test_every_success_is_200_below_the_prefix_too(client, engine, account):
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    for prefix in ("", "/api"):
        answer = await client.get(f"{prefix}/conversations", params={"account_id": str(account)}, headers=viewer)
        assert (answer.status_code, answer.json()) == (200, [])


async def test_nothing_is_sent_by_reading(client, engine, account, container):
    sender = await container.get(FakeSender)
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    await client.get("/conversations", params={"account_id": str(account)}, headers=viewer)
    assert not sender.sent
