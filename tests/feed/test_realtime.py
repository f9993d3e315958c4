"""The part of Supabase Realtime that existing front ends use: supabase-js itself, and the frames one by one."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account, execute
from feed.conftest import SEES, House, Person, a_person
from feed.test_page import favor
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, ConversationId
from supabase_js import HERE

PATH = "/realtime/v1/websocket?apikey=any"


def token(person: Person) -> str:
    return person.headers["authorization"].removeprefix("Bearer ")


async def write(client: httpx.AsyncClient, talk: ConversationId, person: Person, text: str) -> None:
    answer = await client.post(
        "/messages/send",
        json={"conversation_id": str(talk), "content": text},
        headers={**person.headers, "prefer": "respond-async"},
    )
    assert answer.status_code in (200, 202), answer.text


@asynccontextmanager
async def supabase_js(node: Path, plan: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        node, HERE / "realtime.mjs", json.dumps(plan), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout
    finally:
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()


async def test_supabase_js_receives_live_messages_and_conversations(
    node: Path,
    house: House,
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    agent: Person,
    account: AccountId,
    talk: ConversationId,
) -> None:
    await execute(engine, "update conversations set window_expires_at = now() + interval '1 hour'")
    foreign = await a_conversation(engine, (await an_account(engine)).account_id)
    plan = {
        "url": house.url,
        "token": token(agent),
        "conversation": str(talk),
        "account": str(account),
        "foreign": str(foreign),
    }
    async with asyncio.timeout(60), supabase_js(node, plan) as lines:

        async def until(what: str, channel: str) -> Any:  # noqa: ANN401 - JSON
            while True:
                said = json.loads(await lines.readline())
                if (said["what"], said["channel"]) == (what, channel):
                    return said

        messages, conversations = f"messages:{talk}", f"conversations:{account}"
        joined: dict[str, tuple[str, str | None]] = {}
        while len(joined) < 3:
            said = json.loads(await lines.readline())
            joined[said["channel"]] = (said["what"], said.get("error"))
        assert joined[messages][0] == joined[conversations][0] == "SUBSCRIBED"
        assert joined["messages:foreign"] == ("CHANNEL_ERROR", "conversation_not_found")
        await write(client, talk, agent, "Bonjour")
        insert = await until("change", messages)
        (bubble,) = (await client.get(f"/messages/{talk}", headers=agent.headers)).json()
        assert (insert["event"], insert["table"], insert["row"]) == ("INSERT", "messages", bubble)
        await client.delete(f"/messages/{bubble['id']}", headers=agent.headers)
        update = await until("change", messages)
        assert (update["event"], update["row"]["id"], update["row"]["status"]) == ("UPDATE", bubble["id"], "failed")
        await favor(client, talk, agent)
        while not (change := await until("change", conversations))["row"]["is_favorite"]:
            pass
        row = (await client.get(f"/conversations?account_id={account}", headers=agent.headers)).json()[0]
        row.pop("contacts")
        assert change["row"] == row


class Phoenix:
    """One connection, frame by frame, in serializer 1.0.0."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.refs = 0

    async def say(self, topic: str, event: str, payload: object) -> str:
        self.refs += 1
        ref = str(self.refs)
        await self.socket.send_json({"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": ref})
        return ref

    async def heard(self, event: str) -> Any:  # noqa: ANN401 - JSON
        async with asyncio.timeout(10):
            while True:
                message = await self.socket.receive()
                assert message.type is WSMsgType.TEXT, message
                frame = json.loads(message.data)
                if frame["event"] == event:
                    return frame

    async def join(self, person: Person | None, *changes: dict[str, str], topic: str = "realtime:x") -> Any:  # noqa: ANN401
        payload: dict[str, object] = {"config": {"postgres_changes": list(changes)}}
        if person is not None:
            payload["access_token"] = token(person)
        ref = await self.say(topic, "phx_join", payload)
        frame = await self.heard("phx_reply")
        assert frame["ref"] == ref
        return frame["payload"]


@pytest.fixture
async def phoenix(sockets: aiohttp.ClientSession) -> AsyncIterator[Phoenix]:
    async with sockets.ws_connect(f"{PATH}&vsn=1.0.0") as socket:
        yield Phoenix(socket)


MESSAGES = {"event": "*", "schema": "public", "table": "messages"}


async def test_a_join_echoes_what_was_asked_with_an_id(phoenix: Phoenix, agent: Person, talk: ConversationId) -> None:
    wanted = {**MESSAGES, "filter": f"conversation_id=eq.{talk}"}
    reply = await phoenix.join(agent, wanted)
    assert reply == {"status": "ok", "response": {"postgres_changes": [{**wanted, "id": 1}]}}
    system = await phoenix.heard("system")
    assert (system["payload"]["status"], system["payload"]["channel"]) == ("ok", "x")


async def test_heartbeat_and_leave_are_answered_and_nothing_comes_after_it(
    phoenix: Phoenix, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId
) -> None:
    await phoenix.say("phoenix", "heartbeat", {})
    assert (await phoenix.heard("phx_reply"))["payload"] == {"status": "ok", "response": {}}
    await phoenix.join(agent, {"event": "UPDATE", "schema": "public", "table": "conversations"})
    await favor(client, talk, agent)
    assert (await phoenix.heard("postgres_changes"))["payload"]["data"]["record"]["is_favorite"] is True
    await phoenix.say("realtime:x", "phx_leave", {})
    assert (await phoenix.heard("phx_reply"))["payload"] == {"status": "ok", "response": {}}
    await favor(client, talk, agent)
    await phoenix.say("realtime:x", "anything", {})
    assert (await phoenix.heard("phx_reply"))["payload"]["status"] == "error"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({**MESSAGES, "filter": f"conversation_id=eq.{uuid4()}"}, "conversation_not_found"),
        ({**MESSAGES, "filter": "conversation_id=eq.x"}, "conversation_not_found"),
        ({**MESSAGES, "table": "conversations", "filter": f"account_id=eq.{uuid4()}"}, "account_not_found"),
        ({**MESSAGES, "table": "local_users"}, "postgres_changes: "),
        ({**MESSAGES, "schema": "auth"}, "postgres_changes: "),
        ({**MESSAGES, "filter": "unread_count=gt.1"}, "postgres_changes.filter: "),
    ],
)
async def test_what_cannot_be_joined_says_why(
    phoenix: Phoenix, agent: Person, wanted: dict[str, str], reason: str
) -> None:
    reply = await phoenix.join(agent, wanted)
    assert reply["status"] == "error"
    assert reply["response"]["reason"].startswith(reason)


async def test_nobody_joins_without_a_token_or_a_right(phoenix: Phoenix, engine: AsyncEngine) -> None:
    assert await phoenix.join(None, MESSAGES) == {"status": "error", "response": {"reason": "invalid_token"}}
    nobody = await a_person(engine, None, Permission.USERS_MANAGE)
    assert (await phoenix.join(nobody, MESSAGES))["response"]["reason"] == "permission_denied"


async def test_rows_of_others_never_come(
    phoenix: Phoenix, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId
) -> None:
    elsewhere = (await an_account(engine)).account_id
    foreign, theirs = await a_person(engine, elsewhere, *SEES), await a_conversation(engine, elsewhere)
    await phoenix.join(agent, {**MESSAGES, "table": "*"})
    await favor(client, theirs, foreign)
    await favor(client, talk, agent)
    assert (await phoenix.heard("postgres_changes"))["payload"]["data"]["record"]["id"] == str(talk)


async def test_a_right_that_is_taken_away_ends_the_channel(
    phoenix: Phoenix, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person
) -> None:
    admin = await a_person(engine, None, Permission.USERS_MANAGE, Permission.ROLES_MANAGE, *SEES)
    await phoenix.join(agent, MESSAGES)
    await client.put(f"/admin/users/{agent.id}/roles", json={"assignments": []}, headers=admin.headers)
    await phoenix.heard("phx_error")
    assert (await phoenix.join(agent, MESSAGES))["status"] == "error"


async def test_a_new_token_goes_on_and_that_of_somebody_else_does_not(
    phoenix: Phoenix, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId
) -> None:
    await phoenix.join(agent, {"event": "UPDATE", "schema": "public", "table": "conversations"})
    await phoenix.say("realtime:x", "access_token", {"access_token": token(agent)})
    await favor(client, talk, agent)
    assert (await phoenix.heard("postgres_changes"))["payload"]["data"]["table"] == "conversations"
    other = await a_person(engine, None, *SEES)
    await phoenix.say("realtime:x", "access_token", {"access_token": token(other)})
    await phoenix.heard("phx_error")
