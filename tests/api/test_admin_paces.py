"""How fast numbers send, and who may say what WhatsApp allows them."""

import asyncio
import json

import pytest

from api.conftest import a_caller
from builders import an_account, execute
from inbox.adapters.database.postgres import paces
from inbox.domain.access import Permission

NEVER = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, Permission.ROLES_MANAGE)


@pytest.fixture
def shown(client, admin):
    async def get(account):
        found = (await client.get("/admin/paces", headers=admin)).json()
        return {row["account_id"]: row for row in found}[str(account)]

    return get


async def lines(engine):
    rows = await execute(engine, "select action, target, details::text as details from audit_entries order by at, id")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(("method", "path"), [("GET", "/admin/paces"), ("POST", f"/admin/paces/{NEVER}")])
async def test_without_the_right_nothing_is_told_or_done(client, engine, method, path):
    caller = await a_caller(engine, None, *(code for code in Permission if code is not Permission.ROLES_MANAGE))
    body = {"ceiling": 80} if method == "POST" else None
    answer = await client.request(method, path, json=body, headers=caller)
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


async def test_a_number_that_never_sent_has_the_standard(account, shown):
    row = await shown(account)
    assert (row["ceiling"], row["rate"], row["slowed_at"], row["sent"]) == (80.0, 80.0, None, 0)
    assert (row["pair_seconds"], row["pair_burst"]) == (6.0, 45)


async def test_a_number_that_was_too_fast_shows_what_it_does_now(engine, account, shown):
    async with engine.begin() as connection:
        await paces.slow(connection, [account])
    row = await shown(account)
    assert row["ceiling"] == 80.0
    assert 40.0 <= row["rate"] < 41.0
    assert row["slowed_at"] is not None


@pytest.mark.parametrize("ceiling", [20, 80, 1000])
async def test_an_administrator_says_what_whatsapp_allows(client, engine, admin, account, shown, ceiling):
    async with engine.begin() as connection:
        await paces.slow(connection, [account])
    answer = await client.post(f"/admin/paces/{account}", json={"ceiling": ceiling}, headers=admin)
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "account_id": str(account), "ceiling": ceiling},
    )
    row = await shown(account)
    assert (row["ceiling"], row["rate"], row["slowed_at"]) == (ceiling, ceiling, None)
    ((action, target, details),) = await lines(engine)
    assert (action, target) == ("account.pace_set", str(account))
    assert details == f'{{"after": {ceiling}, "before": 80}}'


@pytest.mark.parametrize("body", [{}, {"ceiling": 500}, {"ceiling": 0}, {"ceiling": "80"}, {"ceiling": 80, "x": 1}])
async def test_only_what_whatsapp_grants_can_be_set(client, engine, admin, account, body):
    answer = await client.post(f"/admin/paces/{account}", json=body, headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    assert await lines(engine) == []


@pytest.mark.parametrize("missing", [NEVER, "nonsense"])
async def test_an_account_that_nobody_has_is_missing(client, engine, admin, missing):
    answer = await client.post(f"/admin/paces/{missing}", json={"ceiling": 80}, headers=admin)
    assert (answer.status_code, answer.json()["detail"]) == (404, "account_not_found")
    assert await lines(engine) == []


async def test_two_at_once_leave_two_lines_and_the_later_word(client, engine, admin, shown):
    account = (await an_account(engine)).account_id
    calls = (client.post(f"/admin/paces/{account}", json={"ceiling": c}, headers=admin) for c in (20, 1000))
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    first, second = [json.loads(details) for _, _, details in await lines(engine)]
    assert first["before"] == 80
    assert second["before"] == first["after"]
    assert (await shown(account))["ceiling"] == second["after"]
