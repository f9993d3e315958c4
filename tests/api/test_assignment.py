"""Who looks after a conversation: given by a call, shown in its row, and a filter of the list."""

import pytest

from api.conftest import a_caller, bearer
from builders import NOON, a_conversation, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7
from member_builders import a_role, a_user, give_role

VIEW = Permission.CONVERSATIONS_VIEW


@pytest.fixture
async def bea(engine, account):
    user = await a_user(engine)
    await give_role(engine, user, await a_role(engine, VIEW, Permission.MESSAGES_VIEW), account)
    return user


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND)


async def test_it_is_given_and_taken_away_and_the_row_says_so(client, engine, account, sender, bea):
    conversation = await a_conversation(engine, account, updated_at=NOON)
    for user in (str(bea), None):
        answer = await client.post(f"/conversations/{conversation}/assign", headers=sender, json={"user_id": user})
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.json()["conversation"]["assignee_id"] == user
        (line,) = (await client.get(f"/conversations?account_id={account}", headers=bearer(bea))).json()
        assert {**line, "contacts": None} == {**answer.json()["conversation"], "contacts": None}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.user_id"),
        ({"user_id": "bea"}, "body.user_id"),
        ({"user_id": str(uuid7())}, "body.user_id"),
        ({"user_id": None, "team": "a"}, "body.team"),
    ],
)
async def test_what_names_nobody_who_could_look_after_it_is_refused_with_the_field(
    client, engine, account, sender, body, path
):
    conversation = await a_conversation(engine, account)
    answer = await client.post(f"/conversations/{conversation}/assign", headers=sender, json=body)
    assert (answer.status_code, [error["path"] for error in answer.json()["errors"]]) == (422, [path])


async def test_the_list_leaves_those_of_one_person_or_of_nobody_page_by_page(client, engine, account, bea):
    ids = [str(await a_conversation(engine, account)) for _ in range(9)]
    mine, theirs, nobodys, other = ids[:3], ids[3:6], ids[6:], uuid7()
    given = "update conversations set assignee_id = :user where id = any(cast(:ids as uuid[]))"
    await execute(engine, given, user=bea, ids=mine)
    await execute(engine, given, user=other, ids=theirs)
    for assignee, expected in (("me", mine), (str(other), theirs), ("nobody", nobodys), (str(uuid7()), [])):
        query, found = {"account_id": str(account), "assignee": assignee, "limit": "2"}, []
        answer = await client.get("/conversations", params=query, headers=bearer(bea))
        found += answer.json()
        if "link" in answer.headers:
            link = answer.headers["link"].partition(">")[0].removeprefix("<")
            found += (await client.get(f"/conversations{link}", headers=bearer(bea))).json()
        assert sorted(row["id"] for row in found) == sorted(expected)
    everything = await client.get(f"/conversations?account_id={account}", headers=bearer(bea))
    assert len(everything.json()) == len(ids)


async def test_an_assignee_that_is_no_id_is_refused(client, account, bea):
    answer = await client.get(f"/conversations?account_id={account}&assignee=bea", headers=bearer(bea))
    assert (answer.status_code, [error["path"] for error in answer.json()["errors"]]) == (422, ["query.assignee"])
