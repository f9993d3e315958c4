"""Stored webhooks over REST: found without being read, read with a trace of it, replayed, given up, compared."""

import json
from urllib.parse import quote

import pytest

from adapters.webhook_bodies import a_body, a_message
from api.conftest import a_caller
from builders import a_delivery, a_quarantined_delivery, execute
from inbox.domain.access import Permission

SAID = "Avez-vous encore des cerises ?"


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, Permission.SETTINGS_MANAGE)


async def set_aside(engine, body, raw=b'{"type":"text"}'):
    delivery = await a_delivery(engine, body)
    await execute(engine, "update deliveries set state = 'done', done_at = now() where id = :id", id=delivery)
    await execute(
        engine,
        "insert into quarantined_items (delivery_id, position, reason, raw) values (:id, 2, 'unknown_number', :raw)",
        id=delivery,
        raw=raw,
    )
    return delivery


async def actions(engine):
    return [tuple(row) for row in await execute(engine, "select action, target from audit_entries order by at, id")]


async def test_the_list_says_what_became_of_webhooks_and_nothing_of_what_they_say(client, engine, admin):
    delivery = await set_aside(engine, a_body(a_message()))
    answer = await client.get("/admin/deliveries?state=set_aside", headers=admin)
    (shown,) = answer.json()
    assert (shown["id"], shown["state"], shown["set_aside"], shown["replays"]) == (delivery, "done", 1, 0)
    assert shown["size"] == len(a_body(a_message()))
    assert "cerises" not in answer.text
    assert "body" not in shown
    assert await actions(engine) == []


async def test_a_list_leads_on_to_its_next_page_until_there_is_none(client, engine, admin):
    made = [await a_quarantined_delivery(engine, "odd") for _ in range(5)]
    found, link = [], "?state=quarantined&reason=odd&limit=2"
    while link:
        answer = await client.get(f"/admin/deliveries{link}", headers=admin)
        found += [row["id"] for row in answer.json()]
        link = answer.links.get("next", {}).get("url")
    assert found == made[::-1]


@pytest.mark.parametrize(
    "query", ["state=lost", "limit=0", "limit=201", "cursor=x", "cursor=-1", "cursor=1" + "0" * 18, "reason=%00"]
)
async def test_a_question_that_makes_no_sense_is_422(client, admin, query):
    answer = await client.get(f"/admin/deliveries?{query}", headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")


async def test_reading_shows_all_of_a_webhook_and_leaves_a_trace(client, engine, admin):
    body = a_body(a_message())
    delivery = await set_aside(engine, body)
    shown = (await client.get(f"/admin/deliveries/{delivery}", headers=admin)).json()
    assert shown["body"] == json.loads(body)
    assert [(item["position"], item["reason"], item["raw"]) for item in shown["items"]] == [
        (2, "unknown_number", {"type": "text"})
    ]
    assert await actions(engine) == [("delivery.read", str(delivery))]


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b"no json \xff", "no json �"),
        (b'{"text":"\\ud800"}', '{"text":"\\ud800"}'),
        (b"[" * 5_000, "[" * 5_000),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
    ids=["text", "lone surrogate", "deep", "twice"],
)
async def test_what_is_no_json_is_shown_as_text(client, engine, admin, body, seen):
    delivery = await set_aside(engine, body, raw=body)
    answer = await client.get(f"/admin/deliveries/{delivery}", headers=admin)
    assert answer.status_code == 200
    assert (answer.json()["body"], answer.json()["items"][0]["raw"]) == (seen, seen)


async def test_one_is_replayed_and_given_up(client, engine, admin):
    delivery = await a_quarantined_delivery(engine)
    discarded = await client.post(f"/admin/deliveries/{delivery}/discard", headers=admin)
    assert (discarded.status_code, discarded.json()) == (200, {"id": delivery, "status": "discarded"})
    again = await client.post(f"/admin/deliveries/{delivery}/discard", headers=admin)
    assert (again.status_code, again.json()["detail"]) == (409, "delivery_not_set_aside")
    replayed = await client.post(f"/admin/deliveries/{delivery}/replay", headers=admin)
    assert (replayed.status_code, replayed.json()) == (200, {"id": delivery, "replayed": 1, "status": "open"})
    assert [action for action, _ in await actions(engine)] == ["delivery.discarded", "delivery.replayed"]


async def test_all_of_a_reason_are_replayed(client, engine, admin):
    for reason in ("odd", "odd", "other"):
        await a_quarantined_delivery(engine, reason)
    answer = await client.post("/admin/deliveries/replay", headers=admin, json={"reason": "odd"})
    assert (answer.status_code, answer.json()) == (200, {"replayed": 2, "next": None})
    rows = await execute(engine, "select state from deliveries order by id")
    assert [row.state for row in rows] == ["open", "open", "quarantined"]


@pytest.mark.parametrize("body", [{"state": "lost"}, {"before": -1}, {"reason": ""}, {"more": 1}])
async def test_a_replay_that_makes_no_sense_is_422(client, admin, body):
    answer = await client.post("/admin/deliveries/replay", headers=admin, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")


async def test_what_was_received_is_compared_with_what_is_stored(client, engine, admin):
    lost = await a_delivery(engine, a_body(a_message(), number="10677000003"))
    await execute(engine, "update deliveries set state = 'done' where id = :id", id=lost)
    await a_quarantined_delivery(engine)
    shown = (await client.get("/admin/reconciliation", headers=admin)).json()
    assert shown["items"] == {
        "received": 2,
        "applied": 0,
        "quarantined": 1,
        "parked": 0,
        "expired": 0,
        "waiting": 0,
        "missing": 1,
    }
    assert shown["missing"] == [{"delivery_id": lost, "position": 0, "kind": "InboundMessage"}]
    assert (shown["deliveries"], shown["next_cursor"]) == (2, None)
    before = f"/admin/reconciliation?since=2020-01-01&until={quote('2020-01-02T00:00:00+00:00')}"
    answer = await client.get(before.replace("2020-01-01", "2020-01-01T00:00:00Z"), headers=admin)
    assert (answer.json()["deliveries"], answer.json()["since"]) == (0, "2020-01-01T00:00:00.000000Z")


@pytest.mark.parametrize("query", ["since=yesterday", "until=0", "cursor=a"])
async def test_a_range_that_makes_no_sense_is_422(client, admin, query):
    answer = await client.get(f"/admin/reconciliation?{query}", headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
