"""The REST contract, row by row, against the application over HTTP: the calls of the existing front end."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.conftest import bearer
from api.contract import (
    ACCOUNT,
    CONTACT,
    CONVERSATION,
    CONVERSATION_IN_LIST,
    EMPTY_PROFILE,
    MESSAGE,
    OVERRIDE,
    PERMISSION,
    PROBLEM,
    PROFILE,
    ROLE,
    ROLE_OF_USER,
    USER,
    Shape,
)
from api.shapes import boolean, differences, mapping, text, time, uuid
from builders import NOON, a_conversation, a_message, an_account, execute
from contracts.trust import certificates
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.access import Permission
from inbox.emulators.serving import serve
from member_builders import a_user, give_override, give_role

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def administrator(engine):
    user = await a_user(engine, email="lea@atelier.example", display_name="Léa Martin")
    await give_role(engine, user, "admin")
    return user


@pytest.fixture
async def api(app, administrator):
    """The application behind a real socket, called by an administrator."""
    async with (
        serve(app) as served,
        httpx.AsyncClient(base_url=served.url, headers=bearer(administrator), verify=certificates()) as client,
    ):
        yield client


async def conversation_of(engine, account):
    later = datetime.now(UTC) + timedelta(hours=20)
    return await a_conversation(engine, account, display_name="Marc D.", unread_count=2, window_expires_at=later)


def ok(answer, shape):
    assert answer.status_code == 200, answer.text
    assert differences(answer.json(), shape) == []
    return answer.json()


def problem(answer, status, detail, **more):
    assert answer.status_code == status, answer.text
    for_people = {key: text for key in ("message", "next_step") if key in answer.json()}
    assert differences(answer.json(), PROBLEM | for_people | more) == []
    assert (answer.json()["status"], answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_1_auth_me(api, engine, account, administrator):
    await give_override(engine, administrator, Permission.MESSAGES_SEND, account, is_allowed=False)
    me = ok(
        await api.get("/auth/me"),
        {
            "id": str(administrator),
            "email": "lea@atelier.example",
            "profile": USER,
            "permissions": {"global": [text], "accounts": mapping},
            "roles": [ROLE_OF_USER],
            "overrides": [OVERRIDE],
        },
    )
    assert me["permissions"]["global"] == sorted(set(Permission) - {Permission.MESSAGES_SEND})
    assert me["permissions"]["accounts"] == {}


async def test_2_accounts(api, engine):
    for name in ("B", "A"):
        await an_account(engine, name=name)
    await an_account(engine, name="C", is_active=False)
    assert [row["name"] for row in ok(await api.get("/accounts"), [ACCOUNT])] == ["A", "B"]


async def test_3_and_4_an_account_comes_and_goes(api, engine):
    new = {
        "name": "Atelier Lyon",
        "slug": "atelier-lyon",
        "phone_number": None,
        "phone_number_id": "109876543210987",
        "access_token": "EAAG-invented",
        "verify_token": "choose-a-long-one",
    }
    made = await api.post("/accounts", json=new)
    account = ok(made, ACCOUNT)["id"]
    assert "EAAG-invented" not in made.text
    problem(await api.post("/accounts", json=new | {"phone_number_id": "1"}), 409, "slug_taken")
    problem(await api.post("/accounts", json=new | {"slug": "other"}), 409, "phone_number_id_taken")
    problem(
        await api.post("/accounts", json=new | {"slug": "No Slug"}),
        422,
        "validation_error",
        errors=[{"path": "body.slug", "message": text}],
    )
    ok(await api.delete(f"/accounts/{account}"), {"status": "deleted", "account_id": account})
    problem(await api.delete(f"/accounts/{account}"), 404, "account_not_found")
    kept = (await an_account(engine, name="Utilisé")).account_id
    await a_conversation(engine, kept)
    ok(await api.delete(f"/accounts/{kept}"), {"status": "deleted", "account_id": str(kept)})
    assert ok(await api.get("/accounts"), [ACCOUNT]) == []
    (row,) = await execute(engine, "select is_active from whatsapp_accounts where id = :id", id=kept)
    assert row.is_active is False


async def test_5_conversations(api, engine, account):
    await conversation_of(engine, account)
    (row,) = ok(await api.get("/conversations", params={"account_id": str(account)}), [CONVERSATION_IN_LIST])
    assert row["contacts"] == {"display_name": "Marc D.", "whatsapp_number": row["client_number"]}
    problem(
        await api.get("/conversations"),
        422,
        "validation_error",
        errors=[{"path": "query.account_id", "message": text}],
    )
    problem(await api.get("/conversations", params={"account_id": NOBODY}), 404, "account_not_found")
    problem(await api.get("/conversations", params={"account_id": "x"}), 404, "account_not_found")


async def test_6_read_with_no_body_and_any_content_type(api, engine, account):
    found = await conversation_of(engine, account)
    form = {"content-type": "application/x-www-form-urlencoded"}
    ok(await api.post(f"/conversations/{found}/read", headers=form), {"status": "ok"})
    (row,) = ok(await api.get("/conversations", params={"account_id": str(account)}), [CONVERSATION_IN_LIST])
    assert (row["unread_count"], row["updated_at"]) == (0, "2026-11-21T12:00:00.000000Z")
    problem(await api.post(f"/conversations/{NOBODY}/read"), 404, "conversation_not_found")


async def test_7_favorite(api, engine, account):
    path = f"/conversations/{await conversation_of(engine, account)}/favorite"
    ok(await api.post(path, json={"favorite": True}), {"status": "ok", "favorite": True})
    ok(await api.post(path, json={}), {"status": "ok", "favorite": False})
    for wrong in ({"json": {"favorite": "true"}}, {}):
        problem(await api.post(path, **wrong), 422, "validation_error", errors=[{"path": text, "message": text}])


async def test_8_bot(api, engine, account):
    path = f"/conversations/{await conversation_of(engine, account)}/bot"
    switched = ok(await api.post(path, json={"enabled": True}), {"status": "ok", "conversation": CONVERSATION})
    assert switched["conversation"]["bot_enabled"] is True
    assert (
        ok(await api.post(path, json={}), {"status": "ok", "conversation": CONVERSATION})["conversation"]["bot_enabled"]
        is False
    )


async def test_9_messages(api, engine, account):
    found = await conversation_of(engine, account)
    for second in range(3):
        await a_message(engine, account, found, timestamp=NOON + timedelta(seconds=second))
    rows = ok(await api.get(f"/messages/{found}"), [MESSAGE])
    assert [row["timestamp"][17:19] for row in rows] == ["00", "01", "02"]
    page = await api.get(f"/messages/{found}", params={"limit": 2})
    assert [row["timestamp"][17:19] for row in page.json()] == ["01", "02"]
    older = await api.get(f"/messages/{found}{page.links['next']['url']}")
    assert [row["timestamp"][17:19] for row in ok(older, [MESSAGE])] == ["00"]
    assert "x-next-cursor" not in older.headers


async def test_10_send(api, engine, account):
    found = await conversation_of(engine, account)
    body = {"conversation_id": str(found), "content": "Oui, de 9 h à 18 h."}
    later = await api.post("/messages/send", json=body, headers={"prefer": "respond-async"})
    assert (later.status_code, later.headers["preference-applied"]) == (202, "respond-async")
    assert differences(later.json(), {"status": "queued", "message_id": None, "id": uuid}) == []
    problem(await api.post("/messages/send", json={"content": "x"}), 400, "conversation_id_required")
    for content in ({}, {"content": ""}, {"content": " \n"}, {"content": "x" * 4097}):
        answer = await api.post("/messages/send", json={"conversation_id": str(found)} | content)
        problem(answer, 400, "invalid_payload", errors=[{"path": "body.content", "message": text}])
    problem(
        await api.post("/messages/send", json={"conversation_id": NOBODY, "content": "x"}),
        404,
        "conversation_not_found",
    )
    closed = await a_conversation(engine, account)
    refused = await api.post("/messages/send", json={"conversation_id": str(closed), "content": "x"})
    problem(refused, 409, "window_closed", id=uuid)
    key = {"idempotency-key": "one"}
    once = await api.post("/messages/send", json=body, headers=key)
    again = await api.post("/messages/send", json=body, headers=key)
    assert once.json()["id"] == again.json()["id"]
    problem(
        await api.post("/messages/send", json=body | {"content": "other"}, headers=key), 422, "idempotency_key_reused"
    )


async def test_11_media(api, engine, account, container):
    found = await conversation_of(engine, account)
    message = await a_message(engine, account, found, direction="inbound", status="received")
    problem(await api.get(f"/messages/media/{message}"), 400, "media_missing")
    await execute(engine, "update messages set media_id = '77', media_filename = :name", name='a"b\n/é.jpg')
    problem(await api.get(f"/messages/media/{message}"), 410, "media_expired_or_invalid")
    (await container.get(FakeMediaSource)).files["77"] = FakeFile(data=b"\xff\xd8picture", mime_type="image/jpeg")
    answer = await api.get(f"/messages/media/{message}")
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline; filename=")
    problem(await api.get(f"/messages/media/{NOBODY}"), 404, "message_not_found")
    await execute(engine, "update whatsapp_accounts set access_token_sealed = null")
    problem(await api.get(f"/messages/media/{message}"), 400, "missing_token")


async def test_12_contacts(api, engine, account):
    await conversation_of(engine, account)
    (row,) = ok(await api.get("/contacts"), [CONTACT])
    assert ok(await api.get("/contacts", params={"q": "marc"}), [CONTACT]) == [row]
    assert ok(await api.get("/contacts", params={"q": row["whatsapp_number"][-4:]}), [CONTACT]) == [row]
    assert ok(await api.get("/contacts", params={"q": "nobody"}), [CONTACT]) == []


async def test_13_and_14_the_profile_of_the_assistant(api, account):
    path = f"/bot/profile/{account}"
    empty = ok(await api.get(path), EMPTY_PROFILE)
    assert empty["custom_fields"] == empty["template_config"]["offers"] == []
    given = {
        "business_name": "Atelier Lyon",
        "custom_fields": [{"label": " Parking ", "value": "Gratuit"}, {"label": "", "value": " "}],
        "template_config": {
            "company": {"name": " Atelier ", "unknown": 1},
            "offers": [{"category": "", "content": ""}],
        },
    }
    put = ok(await api.put(path, json=given), PROFILE)
    assert put == ok(await api.get(path), PROFILE)
    assert [field["label"] for field in put["custom_fields"]] == ["Parking"]
    assert put["template_config"]["company"]["name"] == "Atelier"
    assert put["template_config"]["offers"] == []
    assert put["description"] is None
    wrongs: list[Shape] = [{"template_config": {"company": []}}, {"template_config": None}, {"custom_fields": None}]
    for wrong in wrongs:
        problem(await api.put(path, json=wrong), 422, "validation_error", errors=[{"path": text, "message": text}])
    problem(await api.get(f"/bot/profile/{NOBODY}"), 404, "account_not_found")


async def test_15_to_18_roles(api):
    codes = [row["code"] for row in ok(await api.get("/admin/permissions"), [PERMISSION])]
    assert codes == sorted(Permission)
    new = {
        "name": "Accueil",
        "slug": "role-accueil",
        "description": "",
        "permissions": ["messages.view", "contacts.view"],
    }
    role = ok(await api.post("/admin/roles", json=new), ROLE)
    assert role["permissions"] == ["messages.view", "contacts.view"]
    listed = {row["slug"]: row["permissions"] for row in ok(await api.get("/admin/roles"), [ROLE])}
    assert listed["role-accueil"] == ["contacts.view", "messages.view"]
    problem(await api.post("/admin/roles", json=new), 409, "slug_taken")
    problem(
        await api.post("/admin/roles", json=new | {"slug": "role-x", "permissions": ["qa.view"]}),
        422,
        "validation_error",
        errors=[{"path": "body.permissions[0]", "message": text}],
    )
    changed = ok(await api.put(f"/admin/roles/{role['id']}", json={"name": "Hall"}), ROLE)
    assert (changed["name"], changed["permissions"]) == ("Hall", ["contacts.view", "messages.view"])
    ok(await api.delete(f"/admin/roles/{role['id']}"), {"status": "deleted", "role_id": role["id"]})
    problem(await api.delete(f"/admin/roles/{role['id']}"), 404, "role_not_found")
    admin = next(row["id"] for row in (await api.get("/admin/roles")).json() if row["slug"] == "admin")
    problem(await api.delete(f"/admin/roles/{admin}"), 400, "cannot_delete_admin_role")


async def test_19_to_22_users(api, engine, account, administrator):
    user = await a_user(engine, email="marc@atelier.example")
    roles = {row["slug"]: row["id"] for row in (await api.get("/admin/roles")).json()}
    path = f"/admin/users/{user}"
    given = {"assignments": [{"role_id": roles["viewer"], "account_id": None}, {"role_id": roles["viewer"]}]}
    ok(await api.put(f"{path}/roles", json=given), {"status": "ok"})
    denied = {"overrides": [{"permission_code": "messages.view", "account_id": str(account), "is_allowed": False}]}
    ok(await api.put(f"{path}/overrides", json=denied), {"status": "ok"})
    users = ok(
        await api.get("/admin/users"), [USER | {"roles": [ROLE_OF_USER], "overrides": [{"user_id": uuid} | OVERRIDE]}]
    )
    marc = next(row for row in users if row["user_id"] == str(user))
    assert ([role["role_slug"] for role in marc["roles"]], len(marc["overrides"])) == (["viewer"], 1)
    off = await api.post(f"{path}/status", json={"is_active": False})
    ok(off, {"status": "ok", "user_id": str(user), "is_active": boolean})
    problem(await api.post(f"{path}/status", json={}), 400, "is_active_required")
    problem(await api.post(f"/admin/users/{administrator}/status", json={"is_active": False}), 409, "last_admin")
    problem(await api.put(f"/admin/users/{administrator}/roles", json={}), 409, "last_admin")
    problem(await api.put(f"/admin/users/{NOBODY}/roles", json={}), 404, "user_not_found")
    for wrong in ({"role_id": NOBODY}, {"role_id": "x"}, {"role_id": roles["viewer"], "account_id": NOBODY}):
        problem(
            await api.put(f"{path}/roles", json={"assignments": [wrong]}),
            422,
            "validation_error",
            errors=[{"path": text, "message": text}],
        )


async def test_the_calls_of_the_service_itself(api):
    ok(await api.get("/"), {"status": "ok", "message": "WhatsApp Inbox API running"})
    ok(await api.get("/health/live"), {"status": "alive"})
    ok(await api.get("/health/ready"), {"status": "ready"})
    token = {"hub.mode": "subscribe", "hub.verify_token": "verify-me", "hub.challenge": "1158201444"}
    shake = await api.get("/webhook/whatsapp", params=token)
    assert (shake.status_code, shake.text) == (200, "1158201444")
    assert shake.headers["content-type"].startswith("text/plain")
    problem(
        await api.get("/webhook/whatsapp", params=token | {"hub.verify_token": "x"}), 403, "webhook_verification_failed"
    )
    problem(await api.post("/webhook/whatsapp", content=b"{}"), 401, "missing_signature")


async def test_two_keys_of_lists_are_times_that_sort_as_text(api, engine, account):
    await conversation_of(engine, account)
    (row,) = (await api.get("/conversations", params={"account_id": str(account)})).json()
    assert time(row["updated_at"])
