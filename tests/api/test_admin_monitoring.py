"""Breakers, caches and queues for administrators, in the shapes of the contract."""

from typing import Any

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_queued_message, an_account, execute
from inbox.domain.access import Permission
from inbox.domain.outbound import State
from inbox.kit.breaker import Breakers
from inbox.ports.cache import Cache

CALLS = [
    ("GET", "/admin/circuit-breakers"),
    ("POST", "/admin/circuit-breakers/gemini/reset"),
    ("POST", "/admin/circuit-breakers/nonsense/reset"),
    ("GET", "/admin/cache/stats"),
    ("POST", "/admin/cache/clear"),
    ("GET", "/admin/queues"),
]


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, Permission.ROLES_MANAGE)


async def actions(engine):
    return [tuple(row) for row in await execute(engine, "select action, target from audit_entries order by at, id")]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_without_the_right_nothing_is_told_or_done(client, engine, method, path):
    others = [code for code in Permission if code is not Permission.ROLES_MANAGE]
    caller = await a_caller(engine, None, *others)
    assert (await client.request(method, path)).status_code == 401
    answer = await client.request(method, path, headers=caller)
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")
    assert await actions(engine) == []


async def test_the_breakers_are_those_of_health(client, admin):
    shown = (await client.get("/admin/circuit-breakers", headers=admin)).json()
    assert shown == (await client.get("/health")).json()["circuit_breakers"]
    assert list(shown)[:3] == ["gemini", "whatsapp", "supabase"]


@pytest.mark.parametrize("name", ["gemini", "whatsapp", "supabase", "media"])
async def test_a_breaker_is_reset(client, engine, container, admin, name):
    breakers = await container.get(Breakers)
    breakers.trip(name)
    answer = await client.post(f"/admin/circuit-breakers/{name}/reset", headers=admin)
    assert (answer.status_code, answer.json()) == (200, {"status": "reset", "name": name})
    assert breakers.inspect()[name].state == "closed"
    assert ("circuit_breaker.reset", name) in await actions(engine)


async def test_a_breaker_that_does_not_exist_is_missing(client, admin):
    answer = await client.post("/admin/circuit-breakers/database/reset", headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (404, "circuit_breaker_not_found")


async def test_the_cache_counts_what_it_held_and_forgets_it(client, container, admin):
    cache = await container.get(Cache)

    async def load():
        return "value"

    asked = 0
    shown: dict[str, Any] = {"keys": []}
    while "bot_profile:1" not in shown["keys"]:  # whatever was kept before the bus stood is dropped
        for _ in range(4):
            await cache.fetch("bot_profile:1", load, tags=["x"], ttl=60)
        asked += 4
        shown = (await client.get("/admin/cache/stats", headers=admin)).json()
    assert set(shown) == {
        *("size", "keys", "hits", "misses", "ratio", "families", "processes"),
        *("shared_hits", "shared_misses", "shared"),
    }
    assert shown["shared"] is None
    assert "bot_profile:1" in shown["keys"]
    assert shown["size"] == len(shown["keys"])
    assert shown["processes"] == 1
    (family,) = [one for one in shown["families"] if one["family"] == "bot_profile"]
    assert family["size"] == 1
    assert family["hits"] + family["misses"] == asked
    assert family["ratio"] == round(family["hits"] / asked, 4) >= 0.5
    answer = await client.post("/admin/cache/clear", headers=admin)
    assert (answer.status_code, answer.json()) == (200, {"status": "cleared"})
    assert "bot_profile:1" not in (await client.get("/admin/cache/stats", headers=admin)).json()["keys"]


async def test_empty_queues_are_shown_with_all_their_keys(client, admin):
    shown = (await client.get("/admin/queues", headers=admin)).json()
    assert shown == {
        "work": {
            kind: {"waiting": 0, "oldest_seconds": 0.0} for kind in ("ingest", "send", "turn", "media", "receipt")
        },
        "deliveries": {
            "waiting": 0,
            "oldest_seconds": 0.0,
            "quarantined": 0,
            "unrouted": 0,
            "quarantined_items": 0,
        },
        "sends": {
            "waiting": 0,
            "oldest_seconds": 0.0,
            "on_wire": 0,
            "unknown": 0,
            "unconfirmed": 0,
            "paused_accounts": 0,
        },
        "silent_numbers": [],
    }


async def test_what_waits_and_what_was_set_aside_is_counted(client, engine, account, admin):
    conversation = await a_conversation(engine, account)
    for state in (State.QUEUED, State.QUEUED, State.WIRE, State.UNKNOWN, State.UNCONFIRMED, State.ACCEPTED):
        await a_queued_message(engine, account, conversation, state=state)
    await execute(engine, "update outbox set created_at = now() - interval '90 s' where state <> 'accepted'")
    await execute(
        engine,
        "insert into deliveries (lane, body, sha256, state, received_at) select l, 'x', sha256(l::bytea), s, "
        "now() - interval '60 s' from (values ('1', 'open'), ('2', 'open'), ('3', 'quarantined'), ('4', 'unrouted'), "
        "('5', 'unrouted'), ('6', 'done')) v(l, s)",
    )
    await execute(engine, "insert into lanes (kind, key) values ('ingest', '1'), ('ingest', '2')")
    await an_account(engine, is_paused=True)
    shown = (await client.get("/admin/queues", headers=admin)).json()
    assert 89 < shown["sends"].pop("oldest_seconds") < 120
    assert shown["sends"] == {"waiting": 2, "on_wire": 1, "unknown": 1, "unconfirmed": 1, "paused_accounts": 1}
    assert 59 < shown["deliveries"].pop("oldest_seconds") < 90
    assert shown["deliveries"] == {"waiting": 2, "quarantined": 1, "unrouted": 2, "quarantined_items": 0}
    assert shown["work"]["ingest"]["waiting"] == 2


async def test_a_number_that_sends_and_hears_no_webhook_is_named(client, engine, account, admin):
    await a_queued_message(engine, account, await a_conversation(engine, account), state=State.ACCEPTED)
    await execute(engine, "update outbox set updated_at = date_trunc('hour', now()) - interval '1 h'")
    (number,) = (await client.get("/admin/queues", headers=admin)).json()["silent_numbers"]
    assert number["account_id"] == str(account)
    assert number["sent_at"].endswith(":00:00.000000Z")
    assert number["last_webhook_at"] is None
