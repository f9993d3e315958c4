"""What the calls that front ends repeat all day cost in statements, once the caller is known."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from api.conftest import a_caller, bearer
from builders import a_conversation, a_message, an_account, execute
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.access import Permission
from inbox.domain.content import Media, MediaKind
from inbox.ports.monitoring import ProcessKind
from inbox.services.processes import Processes
from inbox.services.rights import Rights
from member_builders import a_user, give_role
from statement_counts import counting


@pytest.fixture(autouse=True)
async def _remembers(client, container):
    """This process counts among the living, and so it remembers."""
    rights, processes = await container.get(Rights), await container.get(Processes)
    async with processes.running(ProcessKind.WEB):
        async with asyncio.timeout(10):
            while not rights.is_sure():
                await client.get("/health/ready")  # it asks the database, so others get their turn
        yield


@pytest.fixture
async def viewer(client, engine, _remembers):
    """Somebody whose rights are remembered."""
    user = await a_user(engine)
    await give_role(engine, user, "viewer")
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
        ("POST", "/conversations/{id}/typing", None),
        ("POST", "/messages/send", {"conversation_id": "{id}", "content": "Bonjour"}),
    ],
)
async def test_what_is_foreign_costs_as_much_as_what_is_missing_however_often_one_asks(
    client, engine, account, method, path, body
):
    """Else the time would tell which one it is, also while somebody else's question is remembered."""
    stranger = await a_caller(engine, (await an_account(engine)).account_id, *Permission)
    foreign = await a_conversation(engine, account)
    owner = await a_caller(engine, account, *Permission)
    await client.post(f"/conversations/{foreign}/bot", headers=owner, json={"enabled": False})
    costs = []
    for conversation in (foreign, uuid4()):
        for _ in range(2):
            with counting() as statements:
                named = body and {k: str(conversation) if v == "{id}" else v for k, v in body.items()}
                answer = await client.request(method, path.format(id=conversation), headers=stranger, json=named)
            assert answer.status_code == 404
            costs.append([text for text in statements if "conversations" in text])
    assert all(statements == costs[0] for statements in costs)


async def test_a_send_that_does_not_wait_does_not_look_at_its_outcome_either(client, engine, account):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    conversation = await a_conversation(engine, account, window_expires_at=datetime.now(UTC) + timedelta(hours=1))
    body = {"conversation_id": str(conversation), "content": "Bonjour"}
    with counting() as statements:
        answer = await client.post("/messages/send", json=body, headers={**sender, "prefer": "respond-async"})
    assert answer.status_code == 202
    assert not any("coalesce(o.state" in statement for statement in statements)


@pytest.mark.parametrize(
    ("hours", "needed"),
    [
        (23, [4, 1]),  # all of the message
        (1, [6, 3]),  # an attempt, the lock of the conversation, the message
    ],
)
async def test_of_a_send_the_caller_the_conversation_and_the_account_are_known_the_second_time(
    client, engine, account, hours, needed
):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    headers = {**sender, "prefer": "respond-async"}
    closes = datetime.now(UTC) + timedelta(hours=hours)
    conversation = await a_conversation(engine, account, window_expires_at=closes)
    costs = []
    for _ in range(2):
        with counting() as statements:
            body = {"conversation_id": str(conversation), "content": "Bonjour"}
            assert (await client.post("/messages/send", json=body, headers=headers)).status_code == 202
        costs.append(len(statements))
    assert costs == needed


async def test_a_file_costs_one_statement_as_soon_as_its_account_is_known(client, engine, container, account, viewer):
    (await container.get(FakeMediaSource)).files["700"] = FakeFile(data=b"hello", mime_type="image/jpeg")
    content = Media(kind=MediaKind.IMAGE, media_id="700")
    message = await a_message(engine, account, await a_conversation(engine, account), content=content)
    await execute(engine, "update messages set media_id = '700' where id = :id", id=message)
    costs = []
    for _ in range(2):
        with counting() as statements:
            answer = await client.get(f"/messages/media/{message}", headers=viewer)
        assert (answer.status_code, answer.content) == (200, b"hello")
        costs.append(len(statements))
    assert costs == [2, 1]


async def test_a_profile_costs_nothing_the_second_time_and_its_change_is_seen_at_once(client, engine, account):
    manager = await a_caller(engine, account, Permission.SETTINGS_MANAGE)
    path = f"/bot/profile/{account}"
    for hours in ("9h-18h", "10h-19h"):
        assert (await client.put(path, headers=manager, json={"hours": hours})).status_code == 200
        await cost(client, path, manager)
        count, profile = await cost(client, path, manager)
        assert (count, profile["hours"]) == (0, hours)


async def test_an_empty_list_of_conversations_costs_one_statement_as_soon_as_its_account_is_known(
    client, account, viewer
):
    costs = [(await cost(client, "/conversations", viewer, account_id=str(account)))[0] for _ in range(2)]
    assert costs == [2, 1]


async def test_what_is_remembered_is_shown_by_family(client, engine, account):
    admin = await a_caller(engine, None, *Permission)
    conversation = await a_conversation(engine, account, window_expires_at=datetime.now(UTC) + timedelta(hours=1))
    await client.get(f"/bot/profile/{account}", headers=admin)
    await client.get("/auth/me", headers=admin)
    body = {"conversation_id": str(conversation), "content": "Bonjour"}
    await client.post("/messages/send", json=body, headers={**admin, "prefer": "respond-async"})
    shown = (await client.get("/admin/cache/stats", headers=admin)).json()
    assert {family["family"] for family in shown["families"]} == {
        "account",
        "actor",
        "bot_profile",
        "conversation",
        "me",
    }
    for named in (f"bot_profile:{account}", f"account:{account}", f"conversation:{conversation}"):
        assert [key for key in shown["keys"] if key.startswith(named)] != []
    assert shown["size"] == len(shown["keys"]) == 5
