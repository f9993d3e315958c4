"""The administration of the team over HTTP: shapes, codes and paths of the contract."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.conftest import a_caller, bearer
from builders import execute
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, UserId
from member_builders import a_role, a_user, give_override, give_role, remove_own_roles, roles_of, seed_roles

USERS, ROLES = Permission.USERS_MANAGE, Permission.ROLES_MANAGE


@pytest.fixture(autouse=True)
async def _roles(engine: AsyncEngine) -> AsyncIterator[None]:
    await seed_roles(engine)
    yield
    await remove_own_roles(engine)


@pytest.fixture
async def admin_id(engine: AsyncEngine) -> UserId:
    user = await a_user(engine, email="ada@example.org", display_name="Ada")
    await give_role(engine, user, "admin")
    return user


@pytest.fixture
def admin(admin_id: UserId) -> dict[str, str]:
    return bearer(admin_id)


async def role_id(engine: AsyncEngine, slug: str) -> UUID:
    (row,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    found: UUID = row.id
    return found


def problem(answer: httpx.Response) -> tuple[int, str, list[str]]:
    """Status, code and the paths of what is wrong."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    return answer.status_code, body["detail"], [error["path"] for error in body.get("errors", [])]


CALLS: list[tuple[str, str, Permission, Any]] = [
    ("GET", "/admin/permissions", ROLES, None),
    ("GET", "/admin/roles", ROLES, None),
    ("POST", "/admin/roles", ROLES, {"name": "X", "slug": "role-x"}),
    ("PUT", "/admin/roles/{id}", ROLES, {"name": "X"}),
    ("DELETE", "/admin/roles/{id}", ROLES, None),
    ("GET", "/admin/users", USERS, None),
    ("GET", "/admin/users", ROLES, None),
    ("POST", "/admin/users/{id}/status", USERS, {"is_active": True}),
    ("PUT", "/admin/users/{id}/roles", ROLES, {"assignments": []}),
    ("PUT", "/admin/users/{id}/overrides", ROLES, {"overrides": []}),
]


@pytest.mark.parametrize(("method", "path", "code", "body"), CALLS)
async def test_without_the_right_every_call_is_refused_before_anything_is_looked_up(
    client, engine, account, method, path, code, body
) -> None:
    everything_else = await a_caller(engine, None, *(set(Permission) - {code}))
    at_one_account = await a_caller(engine, account, *Permission)
    for caller in (everything_else, at_one_account):
        for named in (str(uuid4()), "no-id", str(await a_user(engine))):
            answer = await client.request(method, path.format(id=named), json=body, headers=caller)
            assert problem(answer) == (403, "permission_denied", [])


@pytest.mark.parametrize(("method", "path", "body"), [(m, p, b) for m, p, _, b in CALLS if "{id}" in p])
async def test_a_malformed_id_is_answered_like_a_missing_one(client, admin, method, path, body) -> None:
    answers = []
    for named in (str(uuid4()), "no-id", "{" + str(uuid4()) + "}", "1"):
        answer = await client.request(
            method, path.format(id=named), json=body, headers={**admin, "x-request-id": "the-same-one"}
        )
        answers.append(answer.content)
        assert problem(answer)[:2] == (404, "user_not_found" if "users" in path else "role_not_found")
    assert len(set(answers)) == 1


# --- roles ------------------------------------------------------------------------------------------------------------


async def test_permissions_have_code_label_and_description(client, admin) -> None:
    rows = (await client.get("/admin/permissions", headers=admin)).json()
    assert [row["code"] for row in rows] == sorted(Permission)
    assert all(set(row) == {"code", "label", "description"} for row in rows)


async def test_a_role_is_made_listed_changed_and_deleted(client, engine, admin) -> None:
    given = {"name": "AAA", "slug": "role-a", "description": "", "permissions": ["messages.view", "contacts.view"]}
    answer = await client.post("/admin/roles", json=given, headers=admin)
    made = answer.json()
    assert answer.status_code == 200
    assert made == {**given, "id": made["id"], "created_at": made["created_at"]}
    assert made["created_at"].endswith("Z")
    assert len(made["created_at"]) == len("2025-11-02T10:00:00.000000Z")
    listed = (await client.get("/admin/roles", headers=admin)).json()
    assert listed[0] == {**made, "permissions": ["contacts.view", "messages.view"]}
    assert [role["name"] for role in listed] == sorted(role["name"] for role in listed)
    path = f"/admin/roles/{made['id']}"
    changed = await client.put(path, json={"name": "BBB", "description": None}, headers=admin)
    assert changed.json() == {**listed[0], "name": "BBB", "description": None}
    changed = await client.put(path, json={"permissions": ["messages.view", "accounts.view"]}, headers=admin)
    assert changed.json()["permissions"] == ["messages.view", "accounts.view"]
    deleted = await client.delete(path, headers=admin)
    assert (deleted.status_code, deleted.json()) == (200, {"status": "deleted", "role_id": made["id"]})
    assert problem(await client.delete(path, headers=admin)) == (404, "role_not_found", [])


async def test_only_name_and_slug_are_required(client, admin) -> None:
    made = (await client.post("/admin/roles", json={"name": "A", "slug": "role-a"}, headers=admin)).json()
    assert (made["description"], made["permissions"]) == (None, [])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"slug": "role-a"}, "body.name"),
        ({"name": "A"}, "body.slug"),
        ({"name": "", "slug": "role-a"}, "body.name"),
        ({"name": "A", "slug": ""}, "body.slug"),
        ({"name": "A", "slug": "s" * 101}, "body.slug"),
        ({"name": "n" * 201, "slug": "role-a"}, "body.name"),
        ({"name": "A", "slug": "role-a", "id": str(uuid4())}, "body.id"),
        ({"name": "A", "slug": "role-a", "permissions": ["messages.view", "qa.view"]}, "body.permissions[1]"),
        ({"name": "A", "slug": "role-a", "permissions": "messages.view"}, "body.permissions"),
        ({"name": "A", "slug": "role-a", "permissions": ["messages.view"] * 201}, "body.permissions"),
    ],
)
async def test_a_role_that_is_not_one_is_refused_with_the_path(client, engine, admin, body, path) -> None:
    answer = await client.post("/admin/roles", json=body, headers=admin)
    assert problem(answer) == (422, "validation_error", [path])
    assert await execute(engine, "select 1 from app_roles where slug = 'role-a'") == []


async def test_conflicts_of_roles_have_their_codes(client, engine, admin) -> None:
    viewer, boss = await role_id(engine, "viewer"), await role_id(engine, "admin")
    taken = {"name": "A", "slug": "admin"}
    assert problem(await client.post("/admin/roles", json=taken, headers=admin)) == (409, "slug_taken", [])
    assert problem(await client.put(f"/admin/roles/{viewer}", json=taken, headers=admin)) == (409, "slug_taken", [])
    answer = await client.put(f"/admin/roles/{boss}", json={"permissions": []}, headers=admin)
    assert problem(answer) == (409, "last_admin", [])
    answer = await client.delete(f"/admin/roles/{boss}", headers=admin)
    assert problem(answer) == (400, "cannot_delete_admin_role", [])


# --- people -----------------------------------------------------------------------------------------------------------


async def test_people_are_listed_with_their_roles_and_overrides(client, engine, admin, admin_id, account) -> None:
    user = await a_user(engine)
    override = await give_override(engine, user, Permission.MESSAGES_SEND, account, is_allowed=False)
    await execute(engine, "update app_users set created_at = '2020-01-01Z' where user_id = :id", id=admin_id)
    first, second = (await client.get("/admin/users", headers=admin)).json()
    (role,) = first.pop("roles")
    assert first == {
        "user_id": str(admin_id),
        "email": "ada@example.org",
        "display_name": "Ada",
        "is_active": True,
        "created_at": "2020-01-01T00:00:00.000000Z",
        "overrides": [],
    }
    assert role == {
        "id": role["id"],
        "role_id": str(await role_id(engine, "admin")),
        "role_slug": "admin",
        "role_name": role["role_name"],
        "account_id": None,
    }
    assert second["overrides"] == [
        {
            "id": str(override),
            "user_id": str(user),
            "permission_code": "messages.send",
            "account_id": str(account),
            "is_allowed": False,
        }
    ]
    assert (second["email"], second["display_name"], second["roles"]) == (None, None, [])


async def test_whoever_is_disabled_is_out_from_the_next_request_on(client, engine, admin) -> None:
    user = await a_user(engine)
    assert (await client.get("/auth/me", headers=bearer(user))).status_code == 200
    for is_active, status in ((False, 403), (True, 200)):
        answer = await client.post(f"/admin/users/{user}/status", json={"is_active": is_active}, headers=admin)
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "ok", "user_id": str(user), "is_active": is_active},
        )
        assert (await client.get("/auth/me", headers=bearer(user))).status_code == status


@pytest.mark.parametrize("body", [{}, {"is_active": None}])
async def test_a_status_without_a_word_on_activity_has_a_code_of_its_own(client, engine, admin, body) -> None:
    answer = await client.post(f"/admin/users/{await a_user(engine)}/status", json=body, headers=admin)
    assert problem(answer) == (400, "is_active_required", [])


@pytest.mark.parametrize("value", ["false", 0, [], {}])
async def test_activity_of_another_type_is_refused(client, engine, admin, value) -> None:
    user = await a_user(engine)
    answer = await client.post(f"/admin/users/{user}/status", json={"is_active": value}, headers=admin)
    assert problem(answer) == (422, "validation_error", ["body.is_active"])


async def test_the_last_administrator_cannot_be_disabled_or_deprived(client, engine, admin, admin_id) -> None:
    deny = {"permission_code": "roles.manage", "is_allowed": False}
    for method, what, body in (
        ("POST", "status", {"is_active": False}),
        ("PUT", "roles", {}),
        ("PUT", "overrides", {"overrides": [deny]}),
    ):
        answer = await client.request(method, f"/admin/users/{admin_id}/{what}", json=body, headers=admin)
        assert problem(answer) == (409, "last_admin", [])
    assert await roles_of(engine, admin_id) == [("admin", None)]


async def test_roles_are_replaced_and_count_at_once(client, engine: AsyncEngine, admin, account: AccountId) -> None:
    user, viewer = await a_user(engine), str(await role_id(engine, "viewer"))
    listed = {"params": {"account_id": str(account)}, "headers": bearer(user)}
    assert (await client.get("/conversations", **listed)).status_code == 403
    at_account = {"role_id": viewer, "account_id": str(account)}
    answer = await client.put(
        f"/admin/users/{user}/roles", json={"assignments": [{"role_id": viewer}, at_account, at_account]}, headers=admin
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert await roles_of(engine, user) == [("viewer", account), ("viewer", None)]
    assert (await client.get("/conversations", **listed)).status_code == 200
    assert (await client.put(f"/admin/users/{user}/roles", json={}, headers=admin)).json() == {"status": "ok"}
    assert (await client.get("/conversations", **listed)).status_code == 403


async def test_overrides_are_replaced_and_the_deny_wins(client, engine, admin, account) -> None:
    user = await a_user(engine)
    await give_role(engine, user, "viewer")
    row = {"permission_code": "conversations.view", "account_id": str(account)}
    answer = await client.put(
        f"/admin/users/{user}/overrides", json={"overrides": [row, {**row, "is_allowed": False}]}, headers=admin
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    listed = await client.get("/conversations", params={"account_id": str(account)}, headers=bearer(user))
    assert listed.status_code == 403
    stored = await execute(engine, "select is_allowed from app_user_overrides")
    assert [item.is_allowed for item in stored] == [False]


async def test_a_bad_element_is_named_and_the_old_set_stays(client, engine, admin, account) -> None:
    user, viewer, nothing = await a_user(engine), str(await role_id(engine, "viewer")), str(uuid4())
    await give_role(engine, user, await a_role(engine))
    before = await roles_of(engine, user)
    good, code = {"role_id": viewer}, {"permission_code": "messages.send"}
    for what, rows, path in (
        ("assignments", [good, good, {"role_id": nothing}], "[2].role_id"),
        ("assignments", [good, {"role_id": "no-id"}], "[1].role_id"),
        ("assignments", [good, {"account_id": str(account)}], "[1].role_id"),
        ("assignments", [{**good, "account_id": nothing}], "[0].account_id"),
        ("assignments", [{**good, "account_id": "no-id"}], "[0].account_id"),
        ("assignments", [{**good, "scope": "x"}], "[0].scope"),
        ("overrides", [code, {"permission_code": "qa.view"}], "[1].permission_code"),
        ("overrides", [code, {**code, "account_id": nothing}], "[1].account_id"),
        ("overrides", [{**code, "account_id": ""}], "[0].account_id"),
        ("overrides", [{**code, "is_allowed": None}], "[0].is_allowed"),
    ):
        call = "roles" if what == "assignments" else what
        answer = await client.put(f"/admin/users/{user}/{call}", json={what: rows}, headers=admin)
        assert problem(answer) == (422, "validation_error", [f"body.{what}{path}"])
    assert await roles_of(engine, user) == before
    assert await execute(engine, "select 1 from app_user_overrides") == []
