"""What a connection may cost: places for the idle ones, what is understood, and who is told nothing any more."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import WSMsgType
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation
from feed.conftest import PER_USER, SEES, House, Person, a_person, served
from feed.streams import stream
from feed.test_page import favor
from feed.test_realtime import MESSAGES, PATH, Phoenix, token
from feed.test_socket import closed, heard, subscribed
from inbox.adapters.identity.fake import FakeIdentity
from inbox.domain.access import Permission
from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.ids import AccountId, ConversationId
from inbox.entrypoints.connections import ConnectionLimits, Connections, Room
from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.people import PeopleIdentity

EVENTS = "/events/ws"
REALTIME = f"{PATH}&vsn=1.0.0"


async def code_of(socket: aiohttp.ClientWebSocketResponse) -> int:
    """With which code the connection ends, whatever is said before."""
    async with asyncio.timeout(10):
        while (message := await socket.receive()).type is not WSMsgType.CLOSE:
            pass
    return int(message.data)


# --- idle ones --------------------------------------------------------------------------------------------------------


def test_there_are_so_many_places_for_all_and_so_many_for_one_address() -> None:
    room = Room(ConnectionLimits(idle=3, idle_of_address=2))
    with room.place("a") as first, room.place("a") as second, room.place("a") as third, room.place("b") as other:
        assert first.take()
        assert first.take()
        assert second.take()
        assert not third.take()
        assert other.take()
        first.leave()
        first.leave()
        assert third.take()
        with room.place("c") as late:
            assert not late.take()
    with room.place("a") as again:
        assert again.take()


@pytest.mark.parametrize("path", [REALTIME, EVENTS])
async def test_an_address_has_ten_idle_connections_and_a_subscribed_one_is_not_idle(
    house: House, sockets: aiohttp.ClientSession, agent: Person, path: str
) -> None:
    connections = await house.container.get(Connections)
    async with asyncio.timeout(10):
        assert await connections.over(5)  # those of the tests before
    async with AsyncExitStack() as stack:

        async def another() -> aiohttp.ClientWebSocketResponse:
            return await stack.enter_async_context(sockets.ws_connect(path, headers=agent.headers))

        idle = [await another() for _ in range(connections.limits.idle_of_address)]
        assert await code_of(await another()) == 1013
        if path == EVENTS:
            await subscribed(idle[0])
        else:
            assert (await Phoenix(idle[0]).join(agent, MESSAGES))["status"] == "ok"
        more = await another()
        await more.send_json({"type": "ping"} if path == EVENTS else {"topic": "phoenix", "event": "heartbeat"})
        assert (await more.receive()).type is WSMsgType.TEXT


async def test_an_idle_connection_ends_and_so_does_one_that_left_its_last_channel(
    database_url: str, engine: AsyncEngine, tmp_path: Path, agent: Person
) -> None:
    limits = ConnectionLimits(idle_for=0.3)
    async with (
        served(database_url, tmp_path, limits) as house,
        aiohttp.ClientSession(house.url) as session,
        session.ws_connect(REALTIME) as silent,
        session.ws_connect(REALTIME) as joined,
        session.ws_connect(EVENTS, headers=agent.headers) as unsubscribed,
        session.ws_connect(EVENTS, headers=agent.headers) as hasty,
    ):
        link = Phoenix(joined)
        await link.join(agent, MESSAGES)
        await subscribed(hasty)
        await hasty.send_json({"type": "subscribe"})
        assert await heard(hasty, "error") == {"type": "error", "detail": "too_many_messages"}
        assert await closed(unsubscribed) == (4408, "subscribe_first")
        assert await code_of(silent) == 4408
        await link.say("phoenix", "heartbeat", {})  # the other one lives, it has a channel
        await link.heard("phx_reply")
        await link.say("realtime:x", "phx_leave", {})
        assert await code_of(joined) == 4408


async def test_who_subscribes_again_and_again_has_to_show_a_token_all_the_same(
    database_url: str, engine: AsyncEngine, tmp_path: Path, agent: Person
) -> None:
    async with (
        served(database_url, tmp_path, ConnectionLimits(subscribe_every=0.0), lifetime=0.6) as house,
        aiohttp.ClientSession(house.url) as session,
        session.ws_connect(EVENTS, headers=agent.headers) as socket,
        asyncio.timeout(10),
    ):
        said: list[str] = []
        while "closing" not in said:
            await socket.send_json({"type": "subscribe"})
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    while said[-1:] != ["closing"]:
                        said.append(json.loads((await socket.receive()).data)["type"])
        assert said.count("subscribed") > 1
        assert await code_of(socket) == 4401


async def test_channels_that_ended_by_themselves_do_not_count(sockets: aiohttp.ClientSession, agent: Person) -> None:
    async with sockets.ws_connect(REALTIME) as socket:
        link = Phoenix(socket)
        replies = [await link.join(agent, topic=f"realtime:{number}") for number in range(22)]
    assert [reply["status"] for reply in replies[:PER_USER]] == ["ok"] * PER_USER
    assert {reply["response"]["reason"] for reply in replies[PER_USER:]} == {"too_many_connections"}


@pytest.mark.parametrize("path", [REALTIME, EVENTS])
async def test_bytes_are_not_understood(sockets: aiohttp.ClientSession, agent: Person, path: str) -> None:
    async with sockets.ws_connect(path, headers=agent.headers) as socket:
        await socket.send_bytes(b"x")
        assert await code_of(socket) == 1003


async def test_a_channel_goes_on_while_nobody_can_look_at_its_new_token(
    house: House, sockets: aiohttp.ClientSession, client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    identity = await house.container.get(PeopleIdentity)
    assert isinstance(identity, FakeIdentity)
    async with sockets.ws_connect(REALTIME) as socket:
        link = Phoenix(socket)
        await link.join(agent, {"event": "UPDATE", "schema": "public", "table": "conversations"})
        identity.fail(DatabaseUnavailable())
        try:
            await link.say("realtime:x", "access_token", {"access_token": token(agent)})
            await link.say("phoenix", "heartbeat", {})
            assert (await link.heard("phx_reply"))["payload"]["status"] == "ok"
        finally:
            identity.fail(None)
        await favor(client, talk, agent)
        assert (await link.heard("postgres_changes"))["payload"]["data"]["record"]["id"] == str(talk)


# --- slow readers -----------------------------------------------------------------------------------------------------


class Slow:
    """A client below the server: it says what it is told to, and takes one thing at a time."""

    def __init__(self, *says: object, kind: str, path: str, query: str = "", headers: dict[str, str]) -> None:
        self.scope = {
            "type": kind,
            "scheme": "ws" if kind == "websocket" else kind,
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 1),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "extensions": {},
        } | ({"method": "GET"} if kind == "http" else {})
        self._first: list[dict[str, Any]] = [{"type": "websocket.connect"}] if kind == "websocket" else []
        self._first += [{"type": "websocket.receive", "text": json.dumps(one)} for one in says]
        self._sent: asyncio.Queue[str] = asyncio.Queue()
        self.reads = asyncio.Semaphore(0)

    async def receive(self) -> dict[str, Any]:
        if self._first:
            return self._first.pop(0)
        forever: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        return await forever

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] in ("websocket.send", "http.response.body"):
            self._sent.put_nowait(message.get("text") or message.get("body", b"").decode())
            await self.reads.acquire()
        elif message["type"] == "websocket.close":
            self._sent.put_nowait(f"closed {message['code']}")

    async def until(self, piece: str) -> list[str]:
        """Takes what comes until something with `piece` in it is on its way, which it does not take."""
        taken = []
        async with asyncio.timeout(10):
            while piece not in (sent := await self._sent.get()):
                taken.append(sent)
                self.reads.release()
        return taken


@pytest.fixture
async def wide(engine: AsyncEngine, account: AccountId) -> ConversationId:
    """Two events about it are more than one piece of a stream."""
    return await a_conversation(engine, account, display_name="x" * 40_000)


async def test_slow_readers_hear_nothing_more_of_a_batch_once_a_right_is_lost(
    house: House, client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, wide: ConversationId
) -> None:
    admin = await a_person(engine, None, Permission.USERS_MANAGE, Permission.ROLES_MANAGE, *SEES)
    begin = (await client.get("/events", headers=agent.headers)).json()["cursor"]
    wanted = {"config": {"postgres_changes": [{"table": "conversations"}]}, "access_token": token(agent)}
    join = {"topic": "realtime:x", "event": "phx_join", "payload": wanted, "ref": "1", "join_ref": "1"}
    subscribe = {"type": "subscribe", "after": begin}
    asks = {**agent.headers, "accept": "text/event-stream"}
    read = Slow(kind="http", path="/events", query=f"after={begin}", headers=asks)
    listening = Slow(subscribe, kind="websocket", path=EVENTS, headers=agent.headers)
    joined = Slow(join, kind="websocket", path="/realtime/v1/websocket", headers={})
    slow = (read, listening, joined)
    app = create_app(house.runtime.settings, house.container, await house.container.get(Metrics))
    async with stream(client, "/events", **agent.headers) as quick:
        await quick.placed()
        tasks = [asyncio.create_task(app(one.scope, one.receive, one.send)) for one in slow]  # type: ignore[arg-type]
        try:
            await joined.until("Subscribed to PostgreSQL")
            for _ in range(6):
                await favor(client, wide, agent)
                await quick.next()
            joined.reads.release()
            for one in slow:
                await one.until('"kind":"conversation.favorite"' if one is not joined else '"ids":[1]')
            answer = await client.put(f"/admin/users/{agent.id}/roles", json={"assignments": []}, headers=admin.headers)
            assert answer.status_code == 200, answer.text
            async with asyncio.timeout(10):
                while (await quick.next()).name != "closing":
                    pass
            for one in slow:
                one.reads.release()
                more = await one.until("rights_changed")
                assert [piece for piece in more if "favorite" in piece] == []
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
