"""Contacts over HTTP: pages, searches, and what writing answers."""

from urllib.parse import parse_qs

import pytest

from api.conftest import a_caller
from api.test_conversations import pages
from builders import NOON, a_contact, a_conversation, execute
from inbox.domain.access import Permission

MISSING = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def viewer(engine, account):
    return await a_caller(engine, None, Permission.CONTACTS_VIEW)


@pytest.fixture
async def writer(engine, account):
    return await a_caller(engine, None, Permission.CONTACTS_VIEW, Permission.MESSAGES_SEND)


def problem(answer):
    return answer.status_code, answer.json()["detail"]


async def test_the_list_is_a_bare_array_with_the_keys_of_the_contract(client, engine, viewer):
    contact = await a_contact(engine, "33639980142", display_name="Marc D.")
    await execute(engine, "update contacts set created_at = :at", at=NOON)
    answer = await client.get("/contacts", headers=viewer)
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "id": str(contact),
            "whatsapp_number": "33639980142",
            "display_name": "Marc D.",
            "created_at": "2026-11-21T12:00:00.000000Z",
            "preferences": [],
        }
    ]
    assert "x-next-cursor" not in answer.headers


async def test_without_a_limit_everything_comes(client, engine, viewer):
    await execute(
        engine,
        "insert into contacts (id, whatsapp_number) select gen_random_uuid(), n::text from generate_series(1, 600) n",
    )
    assert len((await client.get("/contacts", headers=viewer)).json()) == 600


async def test_pages_with_equal_and_missing_times_neither_skip_nor_repeat(client, engine, viewer):
    ids = [str(await a_contact(engine)) for _ in range(7)]
    await execute(engine, "update contacts set created_at = :at", at=NOON)
    await execute(engine, "update contacts set created_at = null where id = any(cast(:ids as uuid[]))", ids=ids[:3])
    found = await pages(client, "/contacts", viewer, "cursor", limit="2")
    assert [len(page) for page in found] == [2, 2, 2, 1]
    read = [row["id"] for page in found for row in page]
    assert sorted(read) == sorted(ids)
    assert set(read[4:]) == set(ids[:3])


async def test_the_way_to_the_next_page_keeps_search_and_limit(client, engine, viewer):
    for name in ("Éva & co", "éva & CO", "Marc"):
        await a_contact(engine, display_name=name)
    answer = await client.get("/contacts", params={"q": "éva & co", "limit": "1"}, headers=viewer)
    link = answer.headers["link"]
    assert link.startswith("<?")
    assert link.endswith('>; rel="next"')
    query = parse_qs(link[2 : link.index(">")])
    assert query == {"q": ["éva & co"], "limit": ["1"], "cursor": [answer.headers["x-next-cursor"]]}
    rest = await client.get(f"/contacts{link[1 : link.index('>')]}", headers=viewer)
    assert [row["display_name"] for row in answer.json() + rest.json()] == ["éva & CO", "Éva & co"]
    assert "link" not in rest.headers


async def test_an_empty_search_finds_everybody(client, engine, viewer):
    await a_contact(engine)
    for search in ("", "  "):
        assert len((await client.get("/contacts", params={"q": search}, headers=viewer)).json()) == 1


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "20001"}, {"limit": "x"}, {"q": "x" * 101}, {"cursor": "garbage"}, {"q": "a\x00b"}],
)
async def test_a_query_out_of_range_is_422(client, viewer, query):
    answer = await client.get("/contacts", params=query, headers=viewer)
    assert problem(answer) == (422, "validation_error")
    assert [error["path"] for error in answer.json()["errors"]] == [f"query.{next(iter(query))}"]


async def test_the_largest_limit_and_search_are_taken(client, viewer):
    answer = await client.get("/contacts", params={"limit": "20000", "q": "x" * 100}, headers=viewer)
    assert (answer.status_code, answer.json()) == (200, [])


# --- writing ----------------------------------------------------------------------------------------------------------


async def test_a_contact_is_made_changed_and_deleted(client, engine, writer):
    made = await client.post(
        "/contacts", json={"whatsapp_number": "06 39 98 01 42", "display_name": "Marc"}, headers=writer
    )
    assert made.status_code == 200
    row = made.json()
    assert set(row) == {"id", "whatsapp_number", "display_name", "created_at", "preferences"}
    assert (row["whatsapp_number"], row["display_name"]) == ("33639980142", "Marc")
    path = f"/contacts/{row['id']}"
    moved = await client.put(path, json={"whatsapp_number": "+33639980143"}, headers=writer)
    assert (moved.status_code, moved.json()) == (200, {**row, "whatsapp_number": "33639980143"})
    unnamed = await client.put(path, json={"display_name": None}, headers=writer)
    assert unnamed.json() == {**moved.json(), "display_name": None}
    assert (await client.put(path, json={}, headers=writer)).json() == unnamed.json()
    gone = await client.delete(path, headers=writer)
    assert (gone.status_code, gone.json()) == (200, {"status": "deleted", "contact_id": row["id"]})
    assert problem(await client.delete(path, headers=writer)) == (404, "contact_not_found")
    assert await execute(engine, "select 1 from contacts") == []


async def test_conflicts_have_words_of_their_own(client, engine, account, writer):
    await a_conversation(engine, account, client_number="33639980142")
    (used,) = await execute(engine, "select id from contacts")
    free = await a_contact(engine, "33639980143")
    number = {"whatsapp_number": "33639980142"}
    assert problem(await client.post("/contacts", json=number, headers=writer)) == (409, "whatsapp_number_taken")
    assert problem(await client.put(f"/contacts/{free}", json=number, headers=writer)) == (409, "whatsapp_number_taken")
    other = {"whatsapp_number": "33639980144"}
    assert problem(await client.put(f"/contacts/{used.id}", json=other, headers=writer)) == (409, "contact_in_use")
    assert problem(await client.delete(f"/contacts/{used.id}", headers=writer)) == (409, "contact_in_use")


async def test_viewers_are_refused_before_anything_is_looked_at(client, engine, viewer):
    contact = await a_contact(engine)
    for one in (contact, MISSING, "not-an-id"):
        assert problem(await client.put(f"/contacts/{one}", json={}, headers=viewer)) == (403, "permission_denied")
        assert problem(await client.delete(f"/contacts/{one}", headers=viewer)) == (403, "permission_denied")
    body = {"whatsapp_number": "no number"}
    assert problem(await client.post("/contacts", json=body, headers=viewer)) == (403, "permission_denied")


async def test_without_the_global_right_the_list_is_refused(client, engine, account):
    scoped = await a_caller(engine, account, *Permission)
    assert problem(await client.get("/contacts", headers=scoped)) == (403, "permission_denied")


@pytest.mark.parametrize("one", [MISSING, "not-an-id"])
async def test_a_contact_that_is_not_there_is_404(client, writer, one):
    assert problem(await client.put(f"/contacts/{one}", json={}, headers=writer)) == (404, "contact_not_found")
    assert problem(await client.delete(f"/contacts/{one}", headers=writer)) == (404, "contact_not_found")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"whatsapp_number": "Marc"}, "body.whatsapp_number"),
        ({"whatsapp_number": None}, "body.whatsapp_number"),
        ({"whatsapp_number": 33639980142}, "body.whatsapp_number"),
        ({"whatsapp_number": "1" * 65}, "body.whatsapp_number"),
        ({"whatsapp_number": "33639980142", "display_name": "x" * 201}, "body.display_name"),
        ({"whatsapp_number": "33639980142", "display_name": 7}, "body.display_name"),
        ({"whatsapp_number": "33639980142", "id": MISSING}, "body.id"),
    ],
)
async def test_a_body_of_another_shape_is_422_with_its_path(client, engine, writer, body, path):
    contact = await a_contact(engine)
    for answer in (
        await client.post("/contacts", json=body, headers=writer),
        await client.put(f"/contacts/{contact}", json=body, headers=writer),
    ):
        assert problem(answer) == (422, "validation_error")
        assert [error["path"] for error in answer.json()["errors"]] == [path]
