"""Conditional requests: who polls gets 304 as long as nothing has changed, and never an old answer."""

import asyncio
from datetime import timedelta

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from feed.conftest import SEES, House, Person, a_person
from feed.test_page import favor
from inbox.adapters.database.postgres.retention import PostgresRetention
from inbox.domain.ids import AccountId, ConversationId
from inbox.ports.deliveries import Sweep


def lines(account: AccountId) -> str:
    return f"/conversations?account_id={account}"


async def asked(client: httpx.AsyncClient, path: str, person: Person, tag: str | None = None) -> httpx.Response:
    return await client.get(path, headers={**person.headers, **({} if tag is None else {"if-none-match": tag})})


async def quiet(client: httpx.AsyncClient, path: str, person: Person) -> httpx.Response:
    """An answer whose tag holds: what was just written is in the log that the process has read.

    A process that has just begun has read nothing yet, and gives no tags.
    """
    async with asyncio.timeout(10):
        while True:
            answer = await asked(client, path, person)
            tag = answer.headers.get("etag")
            if tag is not None and (await asked(client, path, person, tag)).status_code == 304:
                return answer


async def test_an_unchanged_list_and_thread_are_304_without_a_body(
    client: httpx.AsyncClient, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    for path in (lines(account), f"/messages/{talk}"):
        answer = await quiet(client, path, agent)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, no-cache"
        same = await asked(client, path, agent, answer.headers["etag"])
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", answer.headers["etag"])


async def test_after_a_write_the_old_tag_is_no_good_at_once(
    client: httpx.AsyncClient, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    tag = (await quiet(client, lines(account), agent)).headers["etag"]
    for n in range(20):
        await favor(client, talk, agent, favorite=n % 2 == 0)
        answer = await asked(client, lines(account), agent, tag)
        assert answer.status_code == 200
        assert answer.json()[0]["is_favorite"] is (n % 2 == 0)
        tag = answer.headers["etag"]


async def test_what_changes_one_thread_or_account_leaves_the_others_alone(
    client: httpx.AsyncClient, engine: AsyncEngine, talk: ConversationId, account: AccountId
) -> None:
    elsewhere = (await an_account(engine)).account_id
    other = await a_conversation(engine, account)
    admin = await a_person(engine, None, *SEES)
    tags = {
        path: (await quiet(client, path, admin)).headers["etag"]
        for path in (f"/messages/{talk}", f"/messages/{other}", lines(account), lines(elsewhere))
    }
    await favor(client, other, admin)
    for path in (f"/messages/{other}", lines(account)):
        assert (await asked(client, path, admin, tags[path])).status_code == 200
    async with asyncio.timeout(10):  # a process that cannot read the log at the moment says 200
        for path in (f"/messages/{talk}", lines(elsewhere)):
            while (await asked(client, path, admin, tags[path])).status_code != 304:
                pass


async def test_a_tag_is_good_for_one_person_and_one_question(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    other = await a_person(engine, account, *SEES)
    tag = (await quiet(client, lines(account), agent)).headers["etag"]
    assert (await asked(client, lines(account), other, tag)).status_code == 200
    assert (await asked(client, f"{lines(account)}&limit=7", agent, tag)).status_code == 200
    for nonsense in ("*", '""', "W/", f"{tag}, {tag}", tag.replace("-", "", 1), "x" * 5_000):
        assert (await asked(client, lines(account), agent, nonsense)).status_code == 200


async def test_who_lost_their_rights_is_told_so_and_not_304(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    tags = {path: (await quiet(client, path, agent)).headers["etag"] for path in (lines(account), f"/messages/{talk}")}
    await execute(engine, "delete from app_user_roles where user_id = :id", id=agent.id)
    await execute(engine, "update rights_version set version = version + 1")
    async with asyncio.timeout(5):
        while any([(await asked(client, path, agent, tag)).status_code == 304 for path, tag in tags.items()]):
            pass
    assert [(await asked(client, path, agent, tag)).status_code for path, tag in tags.items()] == [403, 404]


async def test_a_tag_that_is_older_than_the_log_is_no_good(
    client: httpx.AsyncClient, engine: AsyncEngine, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    had = await quiet(client, lines(account), agent)
    await favor(client, talk, agent)
    await execute(engine, "update event_log set created_at = created_at - interval '8 days'")
    async with PostgresRetention(engine).alone() as sweeper:
        assert sweeper is not None
        await sweeper.remove(Sweep.EVENTS, timedelta(days=7), 1_000)
    answer = await asked(client, lines(account), agent, had.headers["etag"])
    assert answer.status_code == 200
    assert answer.json()[0]["is_favorite"] is True
    assert had.json()[0]["is_favorite"] is False


async def test_a_tag_that_is_ahead_of_the_log_is_no_good(
    client: httpx.AsyncClient, agent: Person, account: AccountId, talk: ConversationId
) -> None:
    tag = (await quiet(client, lines(account), agent)).headers["etag"]
    generation, number, rest = tag.split("-")
    ahead = f"{generation}-{int(number) + 1_000}-{rest}"  # it was given before a backup was put back
    assert (await asked(client, lines(account), agent, ahead)).status_code == 200


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["favor", "read", "unread", "send", "look"]), min_size=4, max_size=14))
async def test_a_304_is_never_given_for_something_else_than_the_client_has(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    house: House,
    agent: Person,
    account: AccountId,
    talk: ConversationId,
    steps: list[str],
) -> None:
    await execute(engine, "update conversations set window_expires_at = now() + interval '1 hour'")
    await a_message(engine, account, talk)
    kept: dict[str, httpx.Response] = {}
    for step in [*steps, "look"]:
        match step:
            case "favor":
                await favor(client, talk, agent, favorite=len(kept) % 2 == 0)
            case "read" | "unread":
                await client.post(f"/conversations/{talk}/{step}", headers=agent.headers)
            case "send":
                body = {"conversation_id": str(talk), "content": "Bonjour"}
                await client.post("/messages/send", json=body, headers={**agent.headers, "prefer": "respond-async"})
            case _:
                for path in (lines(account), f"/messages/{talk}"):
                    had = kept.get(path)
                    answer = await asked(client, path, agent, had.headers.get("etag") if had else None)
                    truth = (await asked(client, path, agent)).json()
                    if answer.status_code == 304:
                        assert had is not None
                        assert had.json() == truth
                    else:
                        assert answer.json() == truth
                        kept[path] = answer
