"""`GET /events`: catching up, page by page."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account, execute
from feed.conftest import SEES, House, Person, a_person
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, ConversationId


async def favor(client: httpx.AsyncClient, talk: ConversationId, person: Person, *, favorite: bool = True) -> None:
    answer = await client.post(f"/conversations/{talk}/favorite", json={"favorite": favorite}, headers=person.headers)
    assert answer.status_code == 200, answer.text


async def events(client: httpx.AsyncClient, person: Person, **query: str | int) -> httpx.Response:
    return await client.get("/events", params=query, headers=person.headers)


async def caught_up(
    client: httpx.AsyncClient, person: Person, cursor: str, count: int = 1, **query: str | int
) -> list[dict[str, Any]]:
    """All pages after `cursor`, until `count` events came: what was just written takes another look."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while True:
            page = (await events(client, person, after=cursor, **query)).json()
            found += page["events"]
            if len(found) >= count and not page["has_more"]:
                return found
            cursor = page["cursor"]


async def test_who_begins_gets_a_cursor_and_then_what_changed_with_its_row(
    client: httpx.AsyncClient, agent: Person, talk: ConversationId, account: AccountId
) -> None:
    begin = (await events(client, agent)).json()
    assert begin["events"] == []
    assert begin["has_more"] is False
    await favor(client, talk, agent)
    (told,) = await caught_up(client, agent, begin["cursor"])
    assert told["event"] == {
        "kind": "conversation.favorite",
        "account_id": str(account),
        "conversation_id": str(talk),
        "is_favorite": True,
        "by": {"kind": "person", "id": str(agent.id)},
    }
    assert told["conversation"]["contacts"]["display_name"] == "Marc"
    assert told["conversation"]["unread_count"] == 2
    assert told["message"] is None
    assert (await events(client, agent, after=told["cursor"])).json()["events"] == []


async def test_pages_are_in_order_and_lose_nothing(
    client: httpx.AsyncClient, agent: Person, talk: ConversationId
) -> None:
    cursor = (await events(client, agent)).json()["cursor"]
    for n in range(7):
        await favor(client, talk, agent, favorite=n % 2 == 0)
    found: list[dict[str, Any]] = []
    while len(found) < 7:
        page = (await events(client, agent, after=cursor, limit=2)).json()
        assert len(page["events"]) <= 2
        found += page["events"]
        cursor = page["cursor"]
    assert [one["event"]["is_favorite"] for one in found] == [True, False] * 3 + [True]
    assert len({one["cursor"] for one in found}) == 7


async def test_nobody_is_told_of_what_they_may_not_see(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId, account: AccountId
) -> None:
    elsewhere = (await an_account(engine)).account_id
    foreign = await a_person(engine, elsewhere, *SEES)
    talk_elsewhere = await a_conversation(engine, elsewhere)
    only_messages = await a_person(engine, account, Permission.MESSAGES_VIEW)
    cursor = (await events(client, agent)).json()["cursor"]
    await favor(client, talk, agent)
    await favor(client, talk_elsewhere, foreign)
    assert [one["event"]["conversation_id"] for one in await caught_up(client, agent, cursor)] == [str(talk)]
    assert [one["event"]["conversation_id"] for one in await caught_up(client, foreign, cursor)] == [
        str(talk_elsewhere)
    ]
    assert (await events(client, only_messages, after=cursor)).json()["events"] == []


async def test_filters_leave_one_account_or_one_conversation(
    client: httpx.AsyncClient, engine: AsyncEngine, talk: ConversationId, account: AccountId
) -> None:
    elsewhere = (await an_account(engine)).account_id
    other = await a_conversation(engine, account)
    third = await a_conversation(engine, elsewhere)
    admin = await a_person(engine, None, *SEES)
    cursor = (await events(client, admin)).json()["cursor"]
    for one in (talk, other, third):
        await favor(client, one, admin)
    assert len(await caught_up(client, admin, cursor, 3)) == 3
    assert [
        one["event"]["conversation_id"] for one in await caught_up(client, admin, cursor, 2, account_id=str(account))
    ] == [
        str(talk),
        str(other),
    ]
    (told,) = await caught_up(client, admin, cursor, conversation_id=str(other))
    assert told["event"]["conversation_id"] == str(other)


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({"after": "ffffffffffff-0"}, 410, "cursor_expired"),
        ({"after": "no cursor"}, 410, "cursor_expired"),
        ({"limit": "0"}, 422, "validation_error"),
        ({"limit": "501"}, 422, "validation_error"),
        ({"presence": "yes"}, 422, "validation_error"),
        ({"account_id": str(uuid4())}, 404, "account_not_found"),
        ({"account_id": "x"}, 404, "account_not_found"),
        ({"conversation_id": str(uuid4())}, 404, "conversation_not_found"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    client: httpx.AsyncClient, agent: Person, query: dict[str, str], status: int, detail: str
) -> None:
    answer = await events(client, agent, **query)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_who_may_see_nothing_is_refused(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    nobody = await a_person(engine, None, Permission.USERS_MANAGE)
    assert (await events(client, nobody)).status_code == 403


async def test_a_cursor_older_than_the_log_has_expired(
    client: httpx.AsyncClient, engine: AsyncEngine, house: House, agent: Person, talk: ConversationId
) -> None:
    cursor = (await events(client, agent)).json()["cursor"]
    await favor(client, talk, agent)
    (told,) = await caught_up(client, agent, cursor)
    await execute(
        engine, "update event_log set created_at = created_at - cast(:age as interval)", age=timedelta(days=8)
    )
    gone = int(told["cursor"].rpartition("-")[2])
    await execute(engine, "delete from event_log where id <= :id", id=gone)
    await execute(engine, "update event_log_state set floor = :id", id=gone)
    assert (await events(client, agent, after=cursor)).status_code == 410
    assert (await events(client, agent, after=told["cursor"])).status_code == 200


async def test_a_message_comes_as_threads_show_it(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, talk: ConversationId
) -> None:
    await execute(engine, "update conversations set window_expires_at = now() + interval '1 hour'")
    cursor = (await events(client, agent)).json()["cursor"]
    sent = await client.post(
        "/messages/send",
        json={"conversation_id": str(talk), "content": "Bonjour"},
        headers={**agent.headers, "prefer": "respond-async"},
    )
    assert sent.status_code in (200, 202), sent.text
    told = await caught_up(client, agent, cursor, 2)
    created = next(one for one in told if one["event"]["kind"] == "message.created")
    (bubble,) = (await client.get(f"/messages/{talk}", headers=agent.headers)).json()
    assert created["message"] == bubble
    assert created["event"]["message_id"] == bubble["id"]
    assert created["conversation"] is None
