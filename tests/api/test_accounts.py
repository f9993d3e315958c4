"""Accounts over HTTP, in the shapes of the contract: connected, changed, taken away, and no token ever shown."""

import json

import pytest

from api.conftest import a_caller
from builders import a_conversation, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7
from inbox.kit.signing import sign

NEW = {
    "name": "Atelier Lyon",
    "slug": "atelier-lyon",
    "phone_number": None,
    "phone_number_id": "109876543210987",
    "access_token": "EAAG-canary",
    "verify_token": "choose-a-canary",
}
SHOWN = {key: NEW[key] for key in ("name", "slug", "phone_number", "phone_number_id")} | {
    "read_receipts": True,
    "typing_indicators": True,
}


@pytest.fixture
async def manager(engine):
    return await a_caller(engine, None, Permission.ACCOUNTS_MANAGE, Permission.ACCOUNTS_VIEW)


@pytest.fixture
async def created(client, manager) -> str:
    return (await client.post("/accounts", json=NEW, headers=manager)).json()["id"]


async def patched(client, manager, account_id, **body):
    return await client.patch(f"/accounts/{account_id}", json=body, headers=manager)


def error(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


# --- creating ---------------------------------------------------------------------------------------------------------


async def test_a_new_account_is_answered_as_it_is_listed(client, manager):
    answer = await client.post("/accounts", json=NEW, headers=manager)
    assert answer.status_code == 200
    assert answer.json() == {"id": answer.json()["id"], **SHOWN}
    assert (await client.get("/accounts", headers=manager)).json() == [answer.json()]
    assert "canary" not in answer.text


async def test_the_phone_number_may_be_left_out_and_an_empty_one_is_none(client, manager):
    body = {key: value for key, value in NEW.items() if key != "phone_number"}
    assert (await client.post("/accounts", json=body, headers=manager)).json()["phone_number"] is None
    more = {**NEW, "slug": "b", "phone_number_id": "2", "phone_number": ""}
    assert (await client.post("/accounts", json=more, headers=manager)).json()["phone_number"] is None


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize(("same", "code"), [("slug", "slug_taken"), ("phone_number_id", "phone_number_id_taken")])
async def test_what_another_account_has_is_a_conflict_also_if_it_is_deactivated(
    client, manager, engine, created, same, code, is_active
):
    await execute(engine, "update whatsapp_accounts set is_active = :is_active", is_active=is_active)
    body = {**NEW, "slug": "other", "phone_number_id": "2", same: NEW[same]}
    assert error(await client.post("/accounts", json=body, headers=manager)) == (409, code)
    await client.post("/accounts", json={**NEW, "slug": "third", "phone_number_id": "3"}, headers=manager)
    (row,) = await execute(engine, "select id from whatsapp_accounts where slug = 'third'")
    assert error(await patched(client, manager, row.id, **{same: NEW[same]})) == (409, code)


BAD = [
    *[("name", value) for value in ("", "  ", "x" * 201, None, 7)],
    *[("slug", value) for value in ("", "Atelier", "a b", "é", "a/b", "abc\n", "x" * 101, None)],
    *[("phone_number", value) for value in ("1" * 41, 33)],
    *[("phone_number_id", value) for value in ("", "..", "1/2", "1?", "1\n", "é", "1" * 65, None)],
    *[("waba_id", value) for value in ("", "1/2", "1" * 65, 7)],
    *[("access_token", value) for value in ("", " ", "a b", "EAA\n", "EAA\r\nx: y", "é", "x" * 4097, None)],
    *[("verify_token", value) for value in ("", " ", " a", "a ", "a\n", "é", "x" * 513, None)],
    *[("app_secret", value) for value in ("", " ", "a\n", "é", "x" * 257)],
]


@pytest.mark.parametrize(("name", "value"), BAD)
async def test_a_value_that_cannot_be_is_422_with_its_path_and_never_shown(
    client, manager, engine, created, name, value
):
    for answer in (
        await client.post("/accounts", json={**NEW, "slug": "b", "phone_number_id": "2", name: value}, headers=manager),
        await patched(client, manager, created, **{name: value}),
    ):
        assert error(answer) == (422, "validation_error")
        assert [found["path"] for found in answer.json()["errors"]] == [f"body.{name}"]
        assert "EAA" not in answer.text
    assert await execute(engine, "select id::text from whatsapp_accounts") == [(created,)]


@pytest.mark.parametrize("name", ["id", "is_active", "bot_auto_on", "access_token_sealed", "unknown"])
async def test_an_unknown_field_is_refused_by_its_path(client, manager, engine, name):
    answer = await client.post("/accounts", json={**NEW, name: True}, headers=manager)
    assert error(answer) == (422, "validation_error")
    assert answer.json()["errors"][0]["path"] == f"body.{name}"
    assert await execute(engine, "select id from whatsapp_accounts") == []


@pytest.mark.parametrize("name", [name for name in NEW if name != "phone_number"])
async def test_everything_but_the_phone_number_is_needed(client, manager, name):
    body = {key: value for key, value in NEW.items() if key != name}
    answer = await client.post("/accounts", json=body, headers=manager)
    assert error(answer) == (422, "validation_error")
    assert answer.json()["errors"] == [{"path": f"body.{name}", "message": "required"}]


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_what_is_named_changes_and_the_rest_stays(client, manager, created):
    answer = await patched(client, manager, created, name="Neu", phone_number="+33 1")
    assert (answer.status_code, answer.json()) == (
        200,
        {**SHOWN, "id": created, "name": "Neu", "phone_number": "+33 1"},
    )
    answer = await patched(client, manager, created, phone_number=None)
    assert answer.json()["phone_number"] is None
    assert (await client.get("/accounts", headers=manager)).json() == [answer.json()]


async def test_an_empty_change_answers_with_the_account(client, manager, created):
    answer = await patched(client, manager, created)
    assert (answer.status_code, answer.json()) == (200, {**SHOWN, "id": created})


async def test_a_deactivated_account_leaves_the_list_and_can_come_back(client, manager, created):
    assert (await patched(client, manager, created, is_active=False)).status_code == 200
    assert (await client.get("/accounts", headers=manager)).json() == []
    assert (await patched(client, manager, created, is_active=True)).status_code == 200
    assert len((await client.get("/accounts", headers=manager)).json()) == 1


async def test_new_tokens_and_secrets_are_taken_and_not_shown(client, manager, engine, created):
    answer = await patched(
        client, manager, created, access_token="t-canary", verify_token="v canary", app_secret="s-canary"
    )
    assert (answer.status_code, answer.json()) == (200, {**SHOWN, "id": created})
    handshake = {"hub.mode": "subscribe", "hub.verify_token": "v canary", "hub.challenge": "42"}
    assert (await client.get("/webhook/whatsapp", params=handshake)).text == "42"
    trail = json.dumps([list(map(str, row)) for row in await execute(engine, "select * from audit_entries")])
    assert "account.token_changed" in trail
    assert "canary" not in trail


# --- deleting ---------------------------------------------------------------------------------------------------------


async def test_the_answer_is_the_same_for_a_removed_and_for_a_deactivated_account(client, manager, engine, created):
    other = (await client.post("/accounts", json={**NEW, "slug": "b", "phone_number_id": "2"}, headers=manager)).json()
    await a_conversation(engine, other["id"])
    for account_id in (created, other["id"]):
        answer = await client.delete(f"/accounts/{account_id}", headers=manager)
        assert (answer.status_code, answer.json()) == (200, {"status": "deleted", "account_id": account_id})
    assert (await client.get("/accounts", headers=manager)).json() == []
    rows = await execute(engine, "select id::text, is_active from whatsapp_accounts")
    assert rows == [(other["id"], False)]


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_missing_and_malformed_accounts_look_alike_to_managers(client, manager):
    bodies = []
    for wrong in (uuid7(), "nonsense", "x" * 36, str(uuid7()) + "0"):
        for answer in (
            await client.delete(f"/accounts/{wrong}", headers=manager),
            await patched(client, manager, wrong, name="x"),
            await patched(client, manager, wrong),
        ):
            assert error(answer) == (404, "account_not_found")
            bodies.append({key: value for key, value in answer.json().items() if key != "request_id"})
    assert all(body == bodies[0] for body in bodies)


async def test_everybody_else_is_refused_before_anything_is_looked_up(client, engine, account):
    everything_else = [code for code in Permission if code is not Permission.ACCOUNTS_MANAGE]
    for caller in (
        await a_caller(engine, None, *everything_else),
        await a_caller(engine, account, Permission.ACCOUNTS_MANAGE, Permission.ACCOUNTS_VIEW),
    ):
        assert error(await client.post("/accounts", json=NEW, headers=caller)) == (403, "permission_denied")
        for target in (account, uuid7(), "nonsense"):
            assert error(await client.delete(f"/accounts/{target}", headers=caller)) == (403, "permission_denied")
            assert error(await patched(client, caller, target, name="x")) == (403, "permission_denied")
    assert len(await execute(engine, "select id from whatsapp_accounts where is_active")) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/accounts"), ("PATCH", "/accounts/x"), ("DELETE", "/accounts/x")]
)
async def test_strangers_are_asked_who_they_are(client, method, path):
    assert error(await client.request(method, path, json={})) == (401, "missing_token")


# --- webhooks of an account with a secret of its own ------------------------------------------------------------------


async def test_deliveries_of_another_app_are_taken_from_the_moment_its_secret_is_known_until_it_is_taken_away(
    client, manager, engine, created
):
    async def deliver(body: bytes) -> int:
        headers = {"x-hub-signature-256": sign(b"of-the-other-app", body).decode()}
        return (await client.post("/webhook/whatsapp", content=body, headers=headers)).status_code

    assert await deliver(b'{"n":1}') == 401
    await patched(client, manager, created, app_secret="of-the-other-app")
    assert await deliver(b'{"n":2}') == 200
    await patched(client, manager, created, app_secret=None)
    assert await deliver(b'{"n":3}') == 401
    assert await execute(engine, "select body from deliveries") == [(b'{"n":2}',)]
