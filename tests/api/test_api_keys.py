"""`/admin/api-keys` and what a program can do with its key."""

import hashlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.conftest import a_caller
from builders import NOWHERE, SEALER, a_conversation, an_account, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7
from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.main.vendors import Fakes

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
KEYS = "/admin/api-keys"
EVERYTHING = [code.value for code in Permission]


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, *Permission)


def a_key(*codes: Permission, account=None, **changes):
    permissions = [{"permission_code": code, "account_id": account and str(account)} for code in codes]
    return {"name": "Shop", "permissions": permissions, **changes}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def made(client, admin, *codes: Permission, **changes) -> dict:
    answer = await client.post(KEYS, json=a_key(*codes, **changes), headers=admin)
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_problem(answer, status: int, detail: str) -> bool:
    return (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_the_key_is_shown_once_and_then_never(client, engine, admin):
    answer = await made(client, admin, Permission.MESSAGES_VIEW, expires_at="2099-01-01T00:00:00+01:00")
    key = answer.pop("key")
    assert len(key) == 47
    assert set(answer) == {
        "id", "name", "hint", "permissions", "created_by", "created_at", "expires_at", "revoked_at", "last_used_at",
    }  # fmt: skip
    assert (answer["hint"], answer["expires_at"]) == (key[:8], "2098-12-31T23:00:00.000000Z")
    assert answer["permissions"] == [{"permission_code": "messages.view", "account_id": None}]
    listed = await client.get(KEYS, headers=admin)
    assert listed.json() == [answer]
    assert key not in listed.text
    (row,) = await execute(engine, "select digest, api_keys::text as whole from api_keys")
    assert row.digest == hashlib.sha256(key.encode()).digest()
    assert key not in row.whole


async def test_a_program_signs_in_with_its_key(client, admin, account):
    answer = await made(client, admin, Permission.MESSAGES_VIEW, account=account)
    me = (await client.get("/auth/me", headers=bearer(answer["key"]))).json()
    assert (me["id"], me["email"], me["profile"]["display_name"]) == (answer["id"], None, "Shop")
    assert (me["roles"], me["overrides"]) == ([], [])
    assert me["permissions"] == {"global": [], "accounts": {str(account): ["messages.view"]}}
    (item,) = (await client.get(KEYS, headers=admin)).json()
    assert item["last_used_at"] is not None


async def test_a_key_reaches_only_the_accounts_and_rights_it_was_given(client, engine, admin, account):
    other = (await an_account(engine)).account_id
    key = bearer((await made(client, admin, Permission.CONVERSATIONS_VIEW, account=account))["key"])
    assert (await client.get(f"/conversations?account_id={account}", headers=key)).status_code == 200
    foreign = await client.get(f"/conversations?account_id={other}", headers=key)
    missing = await client.get(f"/conversations?account_id={uuid7()}", headers=key)
    assert is_problem(foreign, 404, "account_not_found")
    assert is_problem(missing, 404, "account_not_found")


async def test_a_program_makes_sees_and_ends_no_keys(client, admin):
    codes = sorted(set(Permission) - {Permission.ROLES_MANAGE, Permission.USERS_MANAGE})
    answer = await made(client, admin, *codes)
    key = bearer(answer["key"])
    for call in (
        client.get(KEYS, headers=key),
        client.post(KEYS, json=a_key(Permission.MESSAGES_VIEW), headers=key),
        client.delete(f"{KEYS}/{answer['id']}", headers=key),
        client.get("/admin/audit", headers=key),
    ):
        assert is_problem(await call, 403, "permission_denied")


async def test_a_revoked_key_is_invalid_at_once_in_every_process(client, settings, database_url, admin):
    runtime = Runtime(
        settings=settings, database_url=database_url, sealer=SEALER, token_secrets=(b"t" * 32,), data_dir=NOWHERE
    )
    elsewhere = build(runtime, Fakes())
    app = create_app(settings, elsewhere, await elsewhere.get(Metrics))
    answer = await made(client, admin, Permission.MESSAGES_VIEW)
    key = bearer(answer["key"])
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://other") as other:
        for process in (client, other):
            assert (await process.get("/auth/me", headers=key)).status_code == 200
        ended = await client.delete(f"{KEYS}/{answer['id']}", headers=admin)
        assert (ended.status_code, ended.json()) == (200, {"status": "revoked", "key_id": answer["id"]})
        for process in (other, client):
            assert is_problem(await process.get("/auth/me", headers=key), 401, "invalid_token")
    await elsewhere.close()


async def test_an_expired_key_and_an_unknown_one_are_invalid(client, engine, admin):
    answer = await made(client, admin, Permission.MESSAGES_VIEW)
    await execute(engine, "update api_keys set expires_at = now() - interval '1 second'")
    assert is_problem(await client.get("/auth/me", headers=bearer(answer["key"])), 401, "invalid_token")
    assert is_problem(await client.get("/auth/me", headers=bearer(f"wai_{'a' * 43}")), 401, "invalid_token")


async def test_revoking_again_is_fine_and_a_missing_key_is_missing(client, admin):
    answer = await made(client, admin, Permission.MESSAGES_VIEW)
    for _ in range(2):
        assert (await client.delete(f"{KEYS}/{answer['id']}", headers=admin)).status_code == 200
    for missing in (uuid7(), "x", answer["id"].upper() + "x"):
        assert is_problem(await client.delete(f"{KEYS}/{missing}", headers=admin), 404, "api_key_not_found")


async def test_messages_of_a_program_are_its_own_and_so_are_its_idempotency_keys(client, engine, admin, account):
    conversation = str(await a_conversation(engine, account, window_expires_at=OPEN))
    body = {"conversation_id": conversation, "content": "Bonjour", "client_id": "c-1"}
    first, second = [await made(client, admin, Permission.MESSAGES_SEND, account=account) for _ in range(2)]
    sent = [
        (await client.post("/messages/send", json=body, headers=bearer(key["key"]))).json()["id"]
        for key in (first, first, second)
    ]
    assert sent[0] == sent[1] != sent[2]
    rows = await execute(engine, "select id, author_id from messages")
    assert {str(row.id): str(row.author_id) for row in rows} == {sent[0]: first["id"], sent[2]: second["id"]}


async def test_nobody_without_the_right_learns_anything(client, engine, account):
    caller = await a_caller(engine, None, *(set(Permission) - {Permission.ROLES_MANAGE}))
    scoped = await a_caller(engine, account, *Permission)
    for headers in (caller, scoped):
        for call in (
            client.get(KEYS, headers=headers),
            client.post(KEYS, json=a_key(Permission.MESSAGES_VIEW), headers=headers),
            client.delete(f"{KEYS}/{uuid7()}", headers=headers),
            client.delete(f"{KEYS}/x", headers=headers),
        ):
            assert is_problem(await call, 403, "permission_denied")


async def test_who_lacks_a_right_cannot_give_it(client, engine):
    caller = await a_caller(engine, None, Permission.ROLES_MANAGE, Permission.MESSAGES_VIEW)
    assert is_problem(
        await client.post(KEYS, json=a_key(Permission.MESSAGES_SEND), headers=caller), 403, "permission_denied"
    )


GRANT = {"permission_code": "messages.view", "account_id": None}
BAD = {
    "rights over roles": {"permissions": [{"permission_code": "roles.manage", "account_id": None}]},
    "rights over people": {"permissions": [{"permission_code": "users.manage", "account_id": None}]},
    "an unknown right": {"permissions": [{"permission_code": "contacts.fly", "account_id": None}]},
    "no right": {"permissions": []},
    "too many": {"permissions": [GRANT] * 201},
    "a malformed account": {"permissions": [{**GRANT, "account_id": "x"}]},
    "an unknown account": {"permissions": [{**GRANT, "account_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}]},
    "an unknown member of a right": {"permissions": [{**GRANT, "is_allowed": True}]},
    "an unknown member": {"key": "wai_mine"},
    "no name": {"name": ""},
    "a blank name": {"name": "   "},
    "a long name": {"name": "x" * 101},
    "an end that is no time": {"expires_at": "tomorrow"},
    "an end in the past": {"expires_at": "2020-01-01T00:00:00Z"},
    "an end that is a number": {"expires_at": 4_000_000_000},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
async def test_a_body_that_makes_no_sense_is_refused_with_its_path_and_makes_nothing(client, admin, changes):
    answer = await client.post(KEYS, json=a_key(Permission.MESSAGES_VIEW) | changes, headers=admin)
    assert is_problem(answer, 422, "validation_error")
    (path,) = {error["path"].partition("[")[0].split(".")[1] for error in answer.json()["errors"]} or {""}
    assert path in changes
    assert (await client.get(KEYS, headers=admin)).json() == []


async def test_two_hundred_rights_are_possible(client, engine, admin):
    accounts = [(await an_account(engine)).account_id for _ in range(25)]
    codes = sorted(set(Permission) - {Permission.ROLES_MANAGE, Permission.USERS_MANAGE})
    per_account = [code for code in codes if code not in (Permission.ACCOUNTS_MANAGE, Permission.CONTACTS_VIEW)]
    grants = [{"permission_code": code, "account_id": str(account)} for account in accounts for code in per_account]
    answer = await client.post(KEYS, json=a_key(permissions=grants), headers=admin)
    assert (answer.status_code, len(answer.json()["permissions"])) == (200, len(grants))


async def test_an_end_without_offset_is_utc(client, admin):
    soon = datetime.now(UTC) + timedelta(hours=1)
    text = soon.replace(tzinfo=None).isoformat(timespec="seconds")
    answer = await made(client, admin, Permission.MESSAGES_VIEW, expires_at=text)
    assert answer["expires_at"] == f"{text}.000000Z"
