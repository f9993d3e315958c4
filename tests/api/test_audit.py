"""`GET /admin/audit`: what administrators read of who changed what."""

import pytest

from api.conftest import a_caller
from inbox.domain.access import Permission
from inbox.domain.audit import Action, AuditEntry
from inbox.domain.ids import uuid7
from inbox.ports.database import Database


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, Permission.ROLES_MANAGE)


@pytest.fixture
async def write(container):
    database = await container.get(Database)

    async def written(*actions: Action) -> None:
        async with database.transaction() as tx:
            await tx.audit(*(AuditEntry(action=a, target=str(n), details={"n": n}) for n, a in enumerate(actions)))

    return written


async def targets(client, admin, query: str = "") -> list[str]:
    answer = await client.get(f"/admin/audit{query}", headers=admin)
    assert answer.status_code == 200, answer.text
    return [item["target"] for item in answer.json()]


async def test_lines_have_just_these_members(client, admin, write):
    await write(Action.ROLE_CREATED)
    (item,) = (await client.get("/admin/audit", headers=admin)).json()
    assert set(item) == {"id", "at", "actor_kind", "actor_id", "action", "target", "account_id", "details"}
    assert len(item["at"]) == len("2025-11-25T15:33:54.123400Z")
    assert (item["actor_kind"], item["actor_id"], item["account_id"]) == ("system", None, None)
    assert (item["action"], item["details"]) == ("role.created", {"n": 0})


async def test_an_empty_trail_is_an_empty_list(client, admin):
    assert await targets(client, admin) == []


async def test_pages_follow_each_other_without_gap(client, admin, write):
    await write(*[Action.ROLE_CHANGED] * 5, Action.SIGNED_IN)
    seen, query = [], "?limit=2&action=role"
    while True:
        answer = await client.get(f"/admin/audit{query}", headers=admin)
        seen += [item["target"] for item in answer.json()]
        if "link" not in answer.headers:
            assert "x-next-cursor" not in answer.headers
            break
        assert answer.headers["link"].endswith('; rel="next"')
        assert answer.headers["x-next-cursor"] in answer.headers["link"]
        query = answer.headers["link"].partition(">")[0].removeprefix("<")
    assert seen == ["4", "3", "2", "1", "0"]


async def test_a_hundred_lines_are_shown_unless_somebody_says_otherwise(client, admin, write):
    await write(*[Action.ROLE_CHANGED] * 101)
    assert len(await targets(client, admin)) == 100
    assert len(await targets(client, admin, "?limit=500")) == 101


async def test_one_word_or_all_before_its_dot_are_kept(client, admin, write):
    await write(Action.ROLE_CREATED, Action.ROLES_ASSIGNED, Action.ROLE_DELETED)
    assert await targets(client, admin, "?action=role.created") == ["0"]
    assert await targets(client, admin, "?action=role") == ["2", "0"]
    assert await targets(client, admin, "?action=nobody") == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "cursor=x", "action=Role", "action=%25", "action=role.", "action=a.b.c",
     "action=" + "x" * 65],
)  # fmt: skip
async def test_a_query_that_makes_no_sense_is_refused(client, admin, query):
    answer = await client.get(f"/admin/audit?{query}", headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert answer.json()["errors"][0]["path"] == f"query.{query.partition('=')[0]}"


async def test_only_who_manages_roles_everywhere_reads_it(client, engine, account):
    others = set(Permission) - {Permission.ROLES_MANAGE}
    for caller in (await a_caller(engine, None, *others), await a_caller(engine, account, *Permission)):
        answer = await client.get("/admin/audit?limit=0", headers=caller)
        assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_writes_it(client, admin, method):
    assert (await client.request(method, "/admin/audit", headers=admin)).status_code == 405
    assert (await client.request(method, f"/admin/audit/{uuid7()}", headers=admin)).status_code == 404


async def test_what_administrators_do_with_keys_can_be_read(client, engine):
    caller = await a_caller(engine, None, Permission.ROLES_MANAGE, Permission.MESSAGES_VIEW)
    body = {"name": "Shop", "permissions": [{"permission_code": "messages.view", "account_id": None}]}
    made = (await client.post("/admin/api-keys", json=body, headers=caller)).json()
    answer = await client.get("/admin/audit?action=api_key", headers=caller)
    (item,) = answer.json()
    assert (item["action"], item["actor_kind"], item["target"]) == ("api_key.created", "person", made["id"])
    assert item["details"] == {"name": "Shop", "hint": made["hint"], "granted": ["messages.view@all"]}
    assert made["key"] not in answer.text
