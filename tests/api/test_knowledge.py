"""The knowledge base over HTTP: written, approved, found, paged; and what a message of the assistant used."""

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message
from inbox.domain.access import Permission
from inbox.domain.messages import Author
from knowledge_builders import a_text, articles
from member_builders import an_api_key

SAID = {
    "kind": "qa",
    "title": " Combien coûte une crevaison ? ",
    "body": "15 €, sans rendez-vous.",
    "language": "fr",
}


@pytest.fixture
async def manager(engine, account):
    return await a_caller(engine, account, Permission.SETTINGS_MANAGE)


@pytest.fixture
def path(account):
    return f"/bot/knowledge/{account}"


def problem(answer):
    return answer.status_code, answer.json()["detail"]


async def test_an_article_is_written_approved_found_changed_and_deleted(client, account, manager, path):
    draft = (await client.post(path, json=SAID, headers=manager)).json()
    assert {name: draft[name] for name in ("title", "state", "version", "approved_by", "account_id")} == {
        "title": "Combien coûte une crevaison ?",
        "state": "draft",
        "version": 1,
        "approved_by": None,
        "account_id": str(account),
    }
    one, asking = f"{path}/{draft['id']}", f"{path}/search?q=REPARER%20MES%20CREVAISONS"
    assert (await client.get(asking, headers=manager)).json() == []
    approved = (await client.post(f"{one}/approve", json={"version": 1}, headers=manager)).json()
    assert approved["state"] == "approved"
    assert approved["approved_at"].endswith("Z")
    assert (await client.get(one, headers=manager)).json() == approved
    (found,) = (await client.get(asking, headers=manager)).json()
    assert found == {
        "article_id": draft["id"],
        "version": 1,
        "place": 0,
        "title": draft["title"],
        "text": SAID["body"],
        "score": found["score"],
        "text_rank": 1,
        "vector_rank": None,
    }
    changed = await client.put(one, json={**SAID, "body": "18 €.", "version": 1}, headers=manager)
    assert (changed.status_code, changed.json()["state"], changed.json()["version"]) == (200, "draft", 2)
    stale = await client.put(one, json={**SAID, "version": 1, "approve": True}, headers=manager)
    assert problem(stale) == (409, "article_changed")
    assert problem(await client.post(f"{one}/approve", json={"version": 1}, headers=manager)) == (
        409,
        "article_changed",
    )
    assert (await client.get(asking, headers=manager)).json() == []
    assert (await client.post(f"{one}/archive", headers=manager)).json()["state"] == "archived"
    gone = await client.delete(one, headers=manager)
    assert (gone.status_code, gone.json()) == (200, {"article_id": draft["id"], "status": "deleted"})
    assert problem(await client.get(one, headers=manager)) == (404, "article_not_found")


async def test_many_are_imported_at_once_or_none(client, manager, path):
    many = [{**SAID, "title": f"Question {n}"} for n in range(200)]
    answer = await client.post(f"{path}/import", json={"articles": many, "approve": True}, headers=manager)
    assert answer.status_code == 200
    assert len(set(answer.json()["article_ids"])) == 200
    broken = {"articles": [SAID, {**SAID, "title": " \n"}]}
    answer = await client.post(f"{path}/import", json=broken, headers=manager)
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"path": "body.articles[1].title", "message": "required"}],
    )
    for articles_ in ([], [SAID] * 201):
        answer = await client.post(f"{path}/import", json={"articles": articles_}, headers=manager)
        assert answer.status_code == 422
    listed, cursor = [], None
    while cursor != "":
        query = {"limit": "90", "state": "approved", **({"cursor": cursor} if cursor else {})}
        page = await client.get(path, params=query, headers=manager)
        listed += [row["title"] for row in page.json()]
        cursor = page.headers.get("x-next-cursor", "")
    assert sorted(listed) == sorted(article["title"] for article in many)


async def test_a_list_is_narrowed_by_what_is_asked_for(client, engine, account, manager, path):
    await articles(engine, account, [a_text("Horaires d'été"), a_text("Crevaison")])
    for query, expected in (
        ({"q": "ete hor"}, ["Horaires d'été"]),
        ({"q": "'; drop"}, []),
        ({"q": "!?"}, ["Crevaison", "Horaires d'été"]),
        ({"kind": "article"}, []),
        ({"language": "fr", "state": "approved", "kind": "qa", "q": "crev"}, ["Crevaison"]),
    ):
        answer = await client.get(path, params=query, headers=manager)
        assert sorted(row["title"] for row in answer.json()) == expected, query
    for query in ({"state": "gone"}, {"language": "es"}, {"kind": "x"}, {"q": "x" * 2001}, {"limit": "201"}):
        answer = await client.get(path, params=query, headers=manager)
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["path"] == f"query.{next(iter(query))}"


async def test_a_key_that_may_write_cannot_approve(client, engine, account, path):
    _, key = await an_api_key(engine, (Permission.SETTINGS_MANAGE, account))
    program = {"authorization": f"Bearer {key}"}
    assert (await client.post(path, json=SAID, headers=program)).json()["state"] == "draft"
    assert problem(await client.post(path, json={**SAID, "approve": True}, headers=program)) == (
        403,
        "permission_denied",
    )


async def test_messages_of_people_were_made_from_nothing(client, engine, account):
    reader = await a_caller(engine, account, Permission.MESSAGES_VIEW)
    message = await a_message(engine, account, await a_conversation(engine, account), author=Author.HUMAN)
    answer = await client.get(f"/messages/{message}/sources", headers=reader)
    assert (answer.status_code, answer.json()) == (200, [])
