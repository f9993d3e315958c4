"""Read, unread, favourite and new conversations, in the shapes of the contract."""

import pytest

from api.conftest import a_caller
from api.test_conversations import CONVERSATION_KEYS
from builders import NOON, a_conversation, an_account, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7

MISSING = "01890000-0000-7000-8000-000000000000"
MARKS = [("read", None), ("unread", None), ("favorite", {"favorite": True})]


async def state(engine, conversation):
    (row,) = await execute(
        engine, "select unread_count, is_favorite, updated_at from conversations where id = :id", id=conversation
    )
    return tuple(row)


def without_request_id(answer):
    return {key: value for key, value in answer.json().items() if key != "request_id"}


@pytest.fixture
async def viewer(engine, account):
    return await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": b"", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"a=b", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"{broken", "headers": {"content-type": "application/json"}},
        {"content": b"\xff", "headers": {"content-type": "application/octet-stream"}},
        {"json": {"anything": 1}},
    ],
)
async def test_read_and_unread_take_any_body_or_none(client, engine, account, viewer, body):
    conversation = await a_conversation(engine, account, unread_count=3, updated_at=NOON)
    headers = {**viewer, **body.get("headers", {})}
    for path, unread in (("read", 0), ("unread", 1)):
        answer = await client.post(f"/conversations/{conversation}/{path}", **{**body, "headers": headers})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert await state(engine, conversation) == (unread, False, NOON)


@pytest.mark.parametrize(("body", "favorite"), [({"favorite": True}, True), ({"favorite": False}, False), ({}, False)])
async def test_the_favourite_mark_is_answered_as_it_was_set(client, engine, account, viewer, body, favorite):
    conversation = await a_conversation(engine, account, unread_count=3, updated_at=NOON)
    answer = await client.post(f"/conversations/{conversation}/favorite", json=body, headers=viewer)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "favorite": favorite})
    assert await state(engine, conversation) == (3, favorite, NOON)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"json": {"favorite": "true"}}, "body.favorite"),
        ({"json": {"favorite": 1}}, "body.favorite"),
        ({"json": {"favorite": None}}, "body.favorite"),
        ({"json": {"favourite": True}}, "body.favourite"),
        ({"json": []}, "body"),
        ({"content": b"", "headers": {"content-type": "application/json"}}, "body"),
        ({}, "body"),
    ],
)
async def test_another_body_for_the_favourite_mark_is_422_and_changes_nothing(
    client, engine, account, viewer, sent, path
):
    conversation = await a_conversation(engine, account, updated_at=NOON)
    headers = {**viewer, **sent.get("headers", {})}
    answer = await client.post(f"/conversations/{conversation}/favorite", **{**sent, "headers": headers})
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await state(engine, conversation) == (0, False, NOON)


@pytest.mark.parametrize(("path", "body"), MARKS)
async def test_a_foreign_a_missing_and_a_malformed_conversation_look_the_same(client, engine, viewer, path, body):
    foreign = await a_conversation(engine, (await an_account(engine)).account_id)
    answers = [
        await client.post(f"/conversations/{one}/{path}", json=body, headers=viewer)
        for one in (foreign, MISSING, "not-an-id")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert [without_request_id(answer) for answer in answers] == [without_request_id(answers[0])] * 3
    assert answers[0].json()["detail"] == "conversation_not_found"


@pytest.mark.parametrize(("path", "body"), MARKS)
async def test_who_knows_the_account_without_the_right_gets_403(client, engine, account, path, body):
    conversation = await a_conversation(engine, account)
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    answer = await client.post(f"/conversations/{conversation}/{path}", json=body, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


# --- the switch -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["gemini", None])
async def test_the_switch_takes_the_one_reply_mode_that_there_is(client, engine, account, mode):
    conversation = await a_conversation(engine, account)
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    body = {"enabled": True, "reply_mode": mode}
    answer = await client.post(f"/conversations/{conversation}/bot", json=body, headers=sender)
    assert (answer.status_code, answer.json()["conversation"]["bot_enabled"]) == (200, True)


@pytest.mark.parametrize(
    ("mode", "status", "detail"),
    [
        ("agent", 400, "invalid_reply_mode"),
        ("playground", 400, "invalid_reply_mode"),
        ("", 400, "invalid_reply_mode"),
        (1, 422, "validation_error"),
        ("x" * 100, 422, "validation_error"),
    ],
)
async def test_another_reply_mode_switches_nothing(client, engine, account, mode, status, detail):
    conversation = await a_conversation(engine, account)
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    body = {"enabled": True, "reply_mode": mode}
    answer = await client.post(f"/conversations/{conversation}/bot", json=body, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    (row,) = await execute(engine, "select bot_enabled from conversations")
    assert row.bot_enabled is False


# --- new conversations ------------------------------------------------------------------------------------------------


async def begin(client, headers, account, number):
    body = {"account_id": str(account), "phone_number": number}
    return await client.post("/conversations/find-or-create", json=body, headers=headers)


async def test_a_number_gives_the_plain_row_of_its_conversation(client, engine, account):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    first, second = [await begin(client, sender, account, number) for number in ("06 12 34 56 78", "+33612345678")]
    assert first.status_code == second.status_code == 200
    row = first.json()
    assert row == second.json()
    assert set(row) >= CONVERSATION_KEYS
    assert "contacts" not in row
    assert (row["account_id"], row["client_number"], row["status"]) == (str(account), "33612345678", "open")


async def test_a_foreign_a_missing_and_a_malformed_account_look_the_same(client, engine, account):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    everywhere = await a_caller(engine, None, Permission.MESSAGES_SEND)
    foreign = (await an_account(engine)).account_id
    answers = [await begin(client, sender, one, "0612345678") for one in (foreign, uuid7(), "nothing")]
    answers.append(await begin(client, everywhere, uuid7(), "0612345678"))
    assert {answer.status_code for answer in answers} == {404}
    assert [without_request_id(answer) for answer in answers] == [without_request_id(answers[0])] * 4
    assert answers[0].json()["detail"] == "account_not_found"
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    assert (await begin(client, viewer, account, "0612345678")).status_code == 403


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"phone_number": "call me"}, "body.phone_number"),
        ({"phone_number": "06"}, "body.phone_number"),
        ({"phone_number": "1" * 65}, "body.phone_number"),
        ({"phone_number": 33612345678}, "body.phone_number"),
        ({"phone_number": None}, "body.phone_number"),
        ({}, "body.phone_number"),
        ({"phone_number": "0612345678", "name": "x"}, "body.name"),
    ],
)
async def test_what_is_no_number_is_422_with_its_path(client, engine, account, body, path):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    body = {"account_id": str(account), **body}
    answer = await client.post("/conversations/find-or-create", json=body, headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await execute(engine, "select 1 from conversations") == []
