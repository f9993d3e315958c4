"""`GET /events` as Server-Sent Events: live, resumed, authorised, ended."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account, execute
from feed.conftest import OURS, PER_USER, SEES, House, Person, a_person
from feed.streams import Stream, stream
from feed.test_page import favor
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, ConversationId

pytestmark = pytest.mark.timeout(30)


async def next_of(opened: Stream) -> Any:  # noqa: ANN401 - JSON
    async with asyncio.timeout(10):
        return await opened.next()


async def test_changes_come_as_they_happen_with_their_cursor(
    client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    async with stream(client, "/events", **agent.headers) as opened:
        await opened.placed()
        await favor(client, talk, agent)
        sent = await next_of(opened)
        assert sent.name == "message"
        assert sent.data["event"]["kind"] == "conversation.favorite"
        assert sent.data["conversation"]["is_favorite"] is True
        assert sent.last_id == sent.data["cursor"]


async def test_who_comes_back_gets_what_they_missed_once_and_in_order(
    client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    async with stream(client, "/events", **agent.headers) as opened:
        await opened.placed()
        await favor(client, talk, agent)
        last = (await next_of(opened)).last_id
    for n in range(3):
        await favor(client, talk, agent, favorite=n % 2 == 1)
    async with stream(client, "/events", **agent.headers, **{"last-event-id": last}) as opened:
        assert [(await next_of(opened)).data["event"]["is_favorite"] for _ in range(3)] == [False, True, False]
        await favor(client, talk, agent)
        assert (await next_of(opened)).data["event"]["is_favorite"] is True


async def test_a_cursor_that_is_no_good_makes_a_reset_and_then_goes_on(
    client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    async with stream(client, "/events?after=ffffffffffff-1", **agent.headers) as opened:
        sent = await next_of(opened)
        assert (sent.name, sent.data) == ("reset", {"reason": "cursor_expired"})
        await favor(client, talk, agent)
        assert (await next_of(opened)).data["event"]["kind"] == "conversation.favorite"


async def test_who_fell_behind_what_is_in_memory_reads_the_log(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId, account: AccountId
) -> None:
    async with stream(client, "/events", **agent.headers) as opened:
        begin = await opened.placed()
    await execute(
        engine,
        """insert into event_log (account_id, conversation_id, kind, body)
           select :account, :talk, 'conversation.favorite',
                  jsonb_build_object('is_favorite', n % 2 = 0, 'by', jsonb_build_object('kind', 'system', 'id', null))
           from generate_series(1, 4500) n""",
        account=account,
        talk=talk,
    )
    async with stream(client, f"/events?after={begin}", **agent.headers) as opened:
        cursors = [(await next_of(opened)).data["cursor"] for _ in range(4500)]
        numbers = [int(cursor.rpartition("-")[2]) for cursor in cursors]
        assert numbers == list(range(numbers[0], numbers[0] + 4500))


async def test_two_people_are_told_only_what_is_theirs(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId
) -> None:
    elsewhere = (await an_account(engine)).account_id
    foreign, theirs = await a_person(engine, elsewhere, *SEES), await a_conversation(engine, elsewhere)
    async with (
        stream(client, "/events", **agent.headers) as ours,
        stream(client, "/events", **foreign.headers) as others,
    ):
        await ours.placed()
        await others.placed()
        for _ in range(2):
            await favor(client, talk, agent)
            await favor(client, theirs, foreign)
        told = [(await next_of(ours)).data["event"]["conversation_id"] for _ in range(2)]
        assert told == [str(talk)] * 2
        assert [(await next_of(others)).data["event"]["conversation_id"] for _ in range(2)] == [str(theirs)] * 2


async def test_a_right_that_is_taken_away_closes_the_tap(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, account: AccountId
) -> None:
    admin = await a_person(engine, None, Permission.USERS_MANAGE, Permission.ROLES_MANAGE, *SEES)
    async with stream(client, "/events", **agent.headers) as opened:
        await opened.placed()
        answer = await client.put(f"/admin/users/{agent.id}/roles", json={"assignments": []}, headers=admin.headers)
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(5):
            sent = await opened.next()
        assert (sent.name, sent.data) == ("closing", {"reason": "rights_changed"})
        with pytest.raises(EOFError):
            await next_of(opened)
    refused = await client.get("/events", headers=agent.headers)
    assert refused.status_code == 403


async def test_a_person_holds_only_so_many_connections(client: httpx.AsyncClient, agent: Person, house: House) -> None:
    async def hold(ready: asyncio.Semaphore, go_on: asyncio.Event) -> None:
        async with stream(client, "/events", **agent.headers) as opened:
            await opened.placed()
            ready.release()
            await go_on.wait()

    ready, go_on = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(PER_USER):
            group.create_task(hold(ready, go_on))
        for _ in range(PER_USER):
            await ready.acquire()
        refused = await client.get("/events", headers={**agent.headers, "accept": "text/event-stream"})
        assert (refused.status_code, refused.json()["detail"]) == (429, "too_many_connections")
        go_on.set()
    async with asyncio.timeout(10):
        while house.feed.state.listeners:  # the server has yet to notice that they are gone
            await client.get("/health/live")
    async with stream(client, "/events", **agent.headers) as opened:
        await opened.placed()


async def test_a_ticket_opens_one_connection_once(client: httpx.AsyncClient, agent: Person) -> None:
    ticket = (await client.post("/events/tickets", headers=agent.headers)).json()["ticket"]
    async with stream(client, f"/events?ticket={ticket}", origin=OURS) as opened:
        await opened.placed()
    used = await client.get(f"/events?ticket={ticket}")
    assert (used.status_code, used.json()["detail"]) == (401, "invalid_token")


async def test_a_ticket_is_no_good_for_a_page_of_another_site_nor_elsewhere(
    client: httpx.AsyncClient, agent: Person
) -> None:
    ticket = (await client.post("/events/tickets", headers=agent.headers)).json()["ticket"]
    foreign = await client.get(f"/events?ticket={ticket}", headers={"origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["detail"]) == (403, "origin_not_allowed")
    elsewhere = await client.get(f"/accounts?ticket={ticket}")
    assert (elsewhere.status_code, elsewhere.json()["detail"]) == (401, "missing_token")


async def test_an_old_ticket_is_no_good(client: httpx.AsyncClient, engine: AsyncEngine, agent: Person) -> None:
    ticket = (await client.post("/events/tickets", headers=agent.headers)).json()["ticket"]
    await execute(engine, "update event_tickets set expires_at = now() - interval '1 second'")
    assert (await client.get(f"/events?ticket={ticket}")).status_code == 401
    assert await execute(engine, "select 1 from event_tickets") == []
    assert ticket.encode() not in b"".join(row[0] for row in await execute(engine, "select digest from event_tickets"))


async def test_colleagues_are_told_who_is_there(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId, account: AccountId
) -> None:
    other = await a_person(engine, account, *SEES)
    async with stream(client, "/events?presence=true", **agent.headers) as opened:
        await opened.placed()
        said = await client.post(f"/conversations/{talk}/presence", json={"state": "typing"}, headers=other.headers)
        assert said.json() == {"colleagues": []}
        sent = await next_of(opened)
        assert sent.name == "presence"
        assert sent.data["conversation_id"] == str(talk)
        assert (sent.data["user_id"], sent.data["display_name"], sent.data["state"]) == (str(other.id), "Ada", "typing")
    mine = await client.post(f"/conversations/{talk}/presence", json={"state": "viewing"}, headers=agent.headers)
    (there,) = mine.json()["colleagues"]
    assert (there["user_id"], there["state"]) == (str(other.id), "typing")
