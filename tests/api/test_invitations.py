"""Invitations and reset links, over HTTP."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from dishka import AsyncContainer
from sqlalchemy.ext.asyncio import AsyncEngine

from api.conftest import a_caller, bearer
from builders import execute
from inbox.domain.access import Permission
from inbox.domain.ids import AccountId, UserId
from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.settings import Settings, Supabase, WebUrl
from member_builders import a_role, a_user, give_role, roles_of

EMAIL = "lea@atelier.example"
LINK = re.compile(r"http://127\.0\.0\.1:8000/auth/set-password#token_hash=(?P<token>[\w-]{43})&type=(?P<type>\w+)")
INVITE, ROLES = Permission.USERS_MANAGE, Permission.ROLES_MANAGE


@pytest.fixture
async def admin(engine: AsyncEngine) -> dict[str, str]:
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    return bearer(user)


async def invite(client: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return await client.post("/admin/invitations", json={"email": EMAIL} | body, headers=headers)


async def role_id(engine: AsyncEngine, slug: str) -> str:
    (row,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    return str(row.id)


async def accept(client: httpx.AsyncClient, link: str, password: str) -> None:
    match = LINK.fullmatch(link)
    assert match
    body = {"type": match["type"], "token_hash": match["token"]}
    token = (await client.post("/auth/v1/verify", json=body)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    assert (await client.put("/auth/v1/user", json={"password": password}, headers=headers)).status_code == 200


async def signs_in(client: httpx.AsyncClient, password: str) -> bool:
    body = {"email": EMAIL, "password": password}
    return (await client.post("/auth/v1/token?grant_type=password", json=body)).status_code == 200


# --- invitations


async def test_an_invited_person_sets_a_password_and_has_the_roles(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str], account: AccountId
) -> None:
    role = await a_role(engine, Permission.MESSAGES_SEND)
    given = [{"role_id": await role_id(engine, role), "account_id": str(account)}]
    answer = await invite(client, admin, full_name=" Léa  Martin", assignments=given)
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"status", "user_id", "link", "expires_at"}
    assert body["status"] == "invited"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["expires_at"])
    left = datetime.fromisoformat(body["expires_at"]) - datetime.now().astimezone()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    user_id = UserId(UUID(body["user_id"]))
    assert await roles_of(engine, user_id) == [(role, account)]
    (member,) = await execute(
        engine, "select email, display_name, is_active from app_users where user_id = :id", id=user_id
    )
    assert tuple(member) == (EMAIL, "Léa Martin", True)
    await accept(client, body["link"], "correct horse battery")
    assert await signs_in(client, "correct horse battery")


async def test_the_link_does_not_believe_the_host_of_the_request(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    forged = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    assert LINK.fullmatch((await invite(client, admin | forged)).json()["link"])


async def test_who_never_accepted_is_invited_again_and_only_the_new_link_works(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str]
) -> None:
    given = [{"role_id": await role_id(engine, "viewer")}]
    first = (await invite(client, admin, assignments=given)).json()
    second = (await invite(client, admin, email=" LEA@atelier.example")).json()
    assert first["user_id"] == second["user_id"]
    assert await roles_of(engine, UserId(UUID(first["user_id"]))) == [("viewer", None)]
    old = LINK.fullmatch(first["link"])
    assert old
    refusal = await client.post("/auth/v1/verify", json={"type": "invite", "token_hash": old["token"]})
    assert refusal.status_code == 403
    await accept(client, second["link"], "correct horse battery")


async def test_who_has_a_password_is_not_invited(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    await accept(client, (await invite(client, admin)).json()["link"], "correct horse battery")
    answer = await invite(client, admin)
    assert (answer.status_code, answer.json()["detail"]) == (409, "email_taken")


async def test_an_invitation_needs_users_manage_and_with_roles_also_roles_manage(
    client: httpx.AsyncClient, engine: AsyncEngine, account: AccountId
) -> None:
    given = [{"role_id": await role_id(engine, "admin")}]
    inviter = await a_caller(engine, None, INVITE)
    for headers in (await a_caller(engine, None, ROLES), await a_caller(engine, account, INVITE, ROLES)):
        assert (await invite(client, headers)).status_code == 403
    assert (await invite(client, inviter, assignments=given)).status_code == 403
    assert await execute(engine, "select 1 from local_users") == []
    assert (await invite(client, inviter)).status_code == 200


async def test_nobody_gets_the_link_of_somebody_with_more_rights(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str]
) -> None:
    inviter = await a_caller(engine, None, INVITE)
    given = [{"role_id": await role_id(engine, "admin")}]
    pending = (await invite(client, admin, assignments=given)).json()["user_id"]
    for answer in (
        await invite(client, inviter),
        await client.post(f"/admin/users/{pending}/reset-link", headers=inviter),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")
    assert (await client.post(f"/admin/users/{pending}/reset-link", headers=admin)).status_code == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"email": "lea"}, "body.email"),
        ({"email": "a b@x.example"}, "body.email"),
        ({"email": "x" * 255}, "body.email"),
        ({"email": None}, "body.email"),
        ({"full_name": "x" * 201}, "body.full_name"),
        ({"assignments": [{"role_id": "nonsense"}]}, "body.assignments[0].role_id"),
        ({"assignments": [{"role_id": str(uuid4())}]}, "body.assignments[0].role_id"),
        ({"assignments": [{}]}, "body.assignments[0].role_id"),
        ({"is_admin": True}, "body.is_admin"),
    ],
)
async def test_an_invitation_of_another_shape_makes_nobody(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str], body: dict[str, Any], path: str
) -> None:
    answer = await invite(client, admin, **body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await execute(engine, "select 1 from local_users") == []


async def test_an_unknown_account_makes_nobody(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str]
) -> None:
    given = [{"role_id": await role_id(engine, "viewer"), "account_id": str(uuid4())}]
    answer = await invite(client, admin, assignments=given)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.assignments[0].account_id")
    assert await execute(engine, "select 1 from local_users union all select 1 from app_users offset 1") == []


# --- reset links


async def test_a_reset_link_sets_a_new_password(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    invited = (await invite(client, admin)).json()
    await accept(client, invited["link"], "correct horse battery")
    answer = await client.post(f"/admin/users/{invited['user_id']}/reset-link", headers=admin)
    body = answer.json()
    assert (answer.status_code, body["status"], body["user_id"]) == (200, "ok", invited["user_id"])
    assert set(body) == {"status", "user_id", "link", "expires_at"}
    await accept(client, body["link"], "another good one")
    assert await signs_in(client, "another good one")
    assert not await signs_in(client, "correct horse battery")


async def test_there_is_no_reset_link_for_who_has_no_account_here(
    client: httpx.AsyncClient, engine: AsyncEngine, admin: dict[str, str]
) -> None:
    for user_id in (await a_user(engine), uuid4(), "nonsense"):
        answer = await client.post(f"/admin/users/{user_id}/reset-link", headers=admin)
        assert (answer.status_code, answer.json()["detail"]) == (404, "user_not_found")


async def test_a_reset_link_needs_users_manage_whoever_it_is_for(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    headers = await a_caller(engine, None, ROLES)
    for user_id in (await a_user(engine), uuid4(), "nonsense"):
        answer = await client.post(f"/admin/users/{user_id}/reset-link", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


# --- what is told, and what is not there


async def test_links_are_told_in_the_audit_trail_without_their_tokens(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    given = [{"role_id": await role_id(engine, "viewer")}]
    invited = (await invite(client, bearer(user), assignments=given)).json()
    reset = (await client.post(f"/admin/users/{invited['user_id']}/reset-link", headers=bearer(user))).json()
    rows = await execute(engine, "select action, actor_id, target, details::text as details from audit_entries")
    assert {row.action for row in rows} == {"member.invited", "member.roles_assigned", "member.reset_link_made"}
    assert {(row.actor_id, row.target) for row in rows} == {(user, invited["user_id"])}
    for link in (invited["link"], reset["link"]):
        match = LINK.fullmatch(link)
        assert match
        assert match["token"] not in str(rows)


async def test_with_supabase_none_of_it_is_there(
    settings: Settings, container: AsyncContainer, admin: dict[str, str]
) -> None:
    elsewhere: WebUrl = "http://127.0.0.1:9"
    settings = msgspec.structs.replace(settings, supabase=Supabase(url=elsewhere))
    app = create_app(settings, container, await container.get(Metrics))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://inbox", headers=admin) as client:
        for method, path in (
            ("POST", "/admin/invitations"),
            ("POST", f"/admin/users/{uuid4()}/reset-link"),
            ("POST", "/auth/v1/token?grant_type=password"),
            ("POST", "/auth/v1/verify"),
            ("GET", "/auth/v1/user"),
            ("GET", "/auth/set-password"),
        ):
            answer = await client.request(method, path, json={} if method == "POST" else None)
            assert (answer.status_code, answer.json()["detail"]) == (404, "not_found")
        assert (await client.get("/auth/me")).status_code == 200
