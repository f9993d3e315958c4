"""`/events/ws`: one subscription at a time, presence, and an end that says why."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, until
from feed.conftest import OURS, SEES, House, Person, a_person
from feed.test_page import favor
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, ConversationId
from inbox.ports.cache import Cache

PATH = "/events/ws"


async def heard(socket: ClientWebSocketResponse, kind: str | None = None) -> Any:  # noqa: ANN401 - JSON
    """The next message of this kind."""
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT, message
            found = json.loads(message.data)
            if kind is None or found["type"] == kind:
                return found


async def subscribed(socket: ClientWebSocketResponse, **wanted: object) -> str:
    await socket.send_json({"type": "subscribe", **wanted})
    return str((await heard(socket, "subscribed"))["cursor"])


async def closed(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    """How it ended: the code of the close frame, and the reason that was said before.

    The frame's own code: that of the socket is another one if the server had gone before the answer to its frame.
    """
    said = await heard(socket, "closing")
    async with asyncio.timeout(10):
        message = await socket.receive()
    assert message.type is WSMsgType.CLOSE
    assert message.data == said["code"]
    return message.data, said["reason"]


async def test_changes_come_as_they_happen_and_again_from_a_cursor(
    sockets: aiohttp.ClientSession, client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        begin = await subscribed(socket)
        await favor(client, talk, agent)
        told = await heard(socket, "event")
        assert told["event"]["kind"] == "conversation.favorite"
        assert told["conversation"]["is_favorite"] is True
        assert await subscribed(socket, after=begin)
        assert (await heard(socket, "event"))["cursor"] == told["cursor"]


async def test_a_subscription_names_accounts_and_conversations(
    sockets: aiohttp.ClientSession,
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    agent: Person,
    talk: ConversationId,
    account: AccountId,
) -> None:
    other = await a_conversation(engine, account)
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await subscribed(socket, conversations=[str(other)], accounts=[str(account)])
        await favor(client, talk, agent)
        await favor(client, other, agent)
        assert (await heard(socket, "event"))["event"]["conversation_id"] == str(other)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"accounts": [str(uuid4())]}, "account_not_found"),
        ({"conversations": [str(uuid4())]}, "conversation_not_found"),
    ],
)
async def test_what_nobody_may_know_of_cannot_be_subscribed(
    sockets: aiohttp.ClientSession, engine: AsyncEngine, agent: Person, wanted: dict[str, list[str]], reason: str
) -> None:
    for person in (agent, await a_person(engine, None, *SEES)):
        async with sockets.ws_connect(PATH, headers=person.headers) as socket:
            await socket.send_json({"type": "subscribe", **wanted})
            assert await closed(socket) == (4404, reason)


async def test_a_cursor_that_is_no_good_is_a_reset(
    sockets: aiohttp.ClientSession, client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await subscribed(socket, after="ffffffffffff-1")
        reset = await heard(socket)
        assert (reset["type"], reset["reason"]) == ("reset", "cursor_expired")
        await favor(client, talk, agent)
        assert (await heard(socket, "event"))["event"]["kind"] == "conversation.favorite"
        assert await subscribed(socket, after=reset["cursor"])
        assert (await heard(socket, "event"))["event"]["kind"] == "conversation.favorite"


async def test_a_ping_is_answered_and_nonsense_is_an_error_that_ends_nothing(
    sockets: aiohttp.ClientSession, agent: Person
) -> None:
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        for nonsense in ("{", "[]", '{"type":"dance"}', '{"type":"ping","more":1}', "[" * 5_000):
            await socket.send_str(nonsense)
            assert await heard(socket) == {"type": "error", "detail": "validation_error"}
        await socket.send_json({"type": "ping"})
        assert await heard(socket) == {"type": "pong"}


async def test_too_much_is_the_end(sockets: aiohttp.ClientSession, agent: Person) -> None:
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await socket.send_str("x" * 70_000)
        assert await closed(socket) == (1009, "message_too_long")
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        for _ in range(101):
            await socket.send_json({"type": "ping"})
        assert await closed(socket) == (4429, "too_many_messages")


async def test_without_a_good_token_it_ends_at_once(sockets: aiohttp.ClientSession) -> None:
    async with sockets.ws_connect(PATH) as socket:
        assert await closed(socket) == (4401, "missing_token")
    async with sockets.ws_connect(f"{PATH}?ticket=nonsense") as socket:
        assert await closed(socket) == (4401, "invalid_token")


async def test_a_ticket_opens_it_once(sockets: aiohttp.ClientSession, client: httpx.AsyncClient, agent: Person) -> None:
    ticket = (await client.post("/events/tickets", headers=agent.headers)).json()["ticket"]
    async with sockets.ws_connect(f"{PATH}?ticket={ticket}", headers={"origin": OURS}) as socket:
        assert await subscribed(socket)
    async with sockets.ws_connect(f"{PATH}?ticket={ticket}") as socket:
        assert await closed(socket) == (4401, "invalid_token")


async def test_a_page_of_another_site_cannot_connect(
    sockets: aiohttp.ClientSession, agent: Person, house: House
) -> None:
    with pytest.raises(WSServerHandshakeError):
        await sockets.ws_connect(PATH, headers={**agent.headers, "origin": "https://evil.example"})
    async with sockets.ws_connect(PATH, headers={**agent.headers, "origin": house.url}) as socket:
        assert await subscribed(socket)


async def test_a_right_that_is_taken_away_ends_it(
    sockets: aiohttp.ClientSession, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person
) -> None:
    admin = await a_person(engine, None, Permission.USERS_MANAGE, Permission.ROLES_MANAGE, *SEES)
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await subscribed(socket)
        answer = await client.post(f"/admin/users/{agent.id}/status", json={"is_active": False}, headers=admin.headers)
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(5):
            assert await closed(socket) == (4403, "rights_changed")


async def test_who_lost_a_right_since_they_connected_cannot_subscribe_with_it(
    sockets: aiohttp.ClientSession, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person
) -> None:
    admin = await a_person(engine, None, Permission.USERS_MANAGE, Permission.ROLES_MANAGE, *SEES)
    begin = (await client.get("/events", headers=agent.headers)).json()["cursor"]
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await socket.send_json({"type": "ping"})
        await heard(socket, "pong")
        answer = await client.post(f"/admin/users/{agent.id}/status", json={"is_active": False}, headers=admin.headers)
        assert answer.status_code == 200, answer.text
        await socket.send_json({"type": "subscribe", "after": begin})
        assert await heard(socket) == {"type": "closing", "reason": "rights_changed", "code": 4403}  # nothing before


async def test_colleagues_see_who_is_there_until_the_connection_ends(
    sockets: aiohttp.ClientSession,
    engine: AsyncEngine,
    agent: Person,
    talk: ConversationId,
    account: AccountId,
) -> None:
    other = await a_person(engine, account, *SEES)
    async with sockets.ws_connect(PATH, headers=agent.headers) as ours:
        await subscribed(ours, presence=True)
        async with sockets.ws_connect(PATH, headers=other.headers) as theirs:
            await theirs.send_json({"type": "presence", "conversation_id": str(talk), "state": "typing"})
            assert (await heard(theirs))["colleagues"] == []
            seen = await heard(ours, "presence")
            assert (seen["user_id"], seen["state"]) == (str(other.id), "typing")
        assert (await heard(ours, "presence"))["state"] == "left"


async def test_who_could_not_say_again_that_they_are_there_is_shown_until_the_connection_ends(
    sockets: aiohttp.ClientSession,
    house: House,
    engine: AsyncEngine,
    agent: Person,
    talk: ConversationId,
    account: AccountId,
) -> None:
    other = await a_person(engine, account, *SEES)
    there = {"type": "presence", "conversation_id": str(talk), "state": "viewing"}
    async with sockets.ws_connect(PATH, headers=agent.headers) as ours:
        await subscribed(ours, presence=True)
        async with sockets.ws_connect(PATH, headers=other.headers) as theirs:
            await theirs.send_json(there)
            assert (await heard(ours, "presence"))["state"] == "viewing"
            assert (await heard(theirs))["type"] == "colleagues"
            await (await house.container.get(Cache)).clear()
            async with engine.begin() as busy:
                await busy.execute(text("lock table conversations"))
                await theirs.send_json(there)
                await until(engine, LOCK_WAIT.replace("select 1", "select pg_cancel_backend(pid)"))
                assert await heard(theirs) == {"type": "error", "detail": "database_timeout"}
        assert (await heard(ours, "presence"))["state"] == "left"


async def test_presence_is_refused_where_nothing_may_be_seen(sockets: aiohttp.ClientSession, agent: Person) -> None:
    async with sockets.ws_connect(PATH, headers=agent.headers) as socket:
        await socket.send_json({"type": "presence", "conversation_id": str(uuid4()), "state": "viewing"})
        assert await heard(socket) == {"type": "error", "detail": "conversation_not_found"}
