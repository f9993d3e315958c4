"""Every route, called by everybody about everything: nobody gets more or less than the table says."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from dishka import AsyncContainer
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncEngine

from api.conftest import bearer
from api.permission_table import CALLERS, PUBLIC, TABLE
from builders import (
    a_client_number,
    a_contact,
    a_conversation,
    a_message,
    a_number,
    a_quarantined_delivery,
    an_account,
    execute,
)
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.adapters.messaging.fake_templates import FakeTemplate, FakeTemplateSource
from inbox.domain.access import Permission
from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId
from knowledge_builders import an_article
from member_builders import a_local_user, a_role, a_user, an_api_key, give_override, give_role
from template_builders import a_template, set_waba

MEDIA = "1234567890"


class EveryWaba(dict[str, list[FakeTemplate]]):
    """Each has one template, whose id is that of the WABA."""

    def __missing__(self, waba: str) -> list[FakeTemplate]:
        template = FakeTemplate(
            meta_id=waba, name="velo_pret", language="fr", category="UTILITY", components=b"[]", status="APPROVED"
        )
        return [template]

    def setdefault(self, waba: str, default: object = None) -> list[FakeTemplate]:
        return self[waba]


async def objects_of(engine: AsyncEngine, account: AccountId) -> dict[str, str]:
    """One of each thing that belongs to an account."""
    later = datetime.now(UTC) + timedelta(hours=12)
    conversation = await a_conversation(engine, account, window_expires_at=later)
    message = await a_message(
        engine,
        account,
        conversation,
        direction="inbound",
        status="received",
        wamid=f"wamid.{a_number()}",
        timestamp=datetime.now(UTC),
    )
    await execute(
        engine, "update messages set media_id = :media, message_type = 'image' where id = :id", media=MEDIA, id=message
    )
    return {
        "account_id": str(account),
        "conversation_id": str(conversation),
        "message_id": str(message),
        "template_id": await a_known_template(engine, account),
        "article_id": str(await an_article(engine, account)),
    }


async def a_known_template(engine: AsyncEngine, account: AccountId) -> str:
    """Of a WABA that the account alone has; WhatsApp knows all templates of this id."""
    waba = f"10229{a_number():06d}"
    channel = Channel(account_id=account, phone_number_id="", access_token=None, waba_id=waba)
    await set_waba(engine, channel, waba)
    return str(await a_template(engine, channel, meta_id=waba))


async def shared_objects(engine: AsyncEngine) -> dict[str, str]:
    """One of each thing that belongs to the installation."""
    slug = await a_role(engine, Permission.MESSAGES_VIEW)
    (role,) = await execute(engine, "select id from app_roles where slug = :slug", slug=slug)
    key, _ = await an_api_key(engine, (Permission.MESSAGES_VIEW, None))
    return {
        "contact_id": str(await a_contact(engine)),
        "role_id": str(role.id),
        "user_id": str(await a_local_user(engine)),
        "key_id": str(key),
        "name": "gemini",
        "delivery_id": str(await a_quarantined_delivery(engine)),
    }


async def caller_headers(engine: AsyncEngine, name: str, a: AccountId, b: AccountId) -> dict[str, str]:
    if name == "anonymous":
        return {}
    if name == "key_of_a":
        codes = (
            Permission.ACCOUNTS_VIEW,
            Permission.CONVERSATIONS_VIEW,
            Permission.MESSAGES_VIEW,
            Permission.MESSAGES_SEND,
        )
        _, key = await an_api_key(engine, *((code, a) for code in codes))
        return {"authorization": f"Bearer {key}"}
    user = await a_user(engine, is_active=name != "disabled")
    if name in ("of_a", "of_b"):
        account = a if name == "of_a" else b
        await give_role(engine, user, "manager", account)
        await give_override(engine, user, Permission.SETTINGS_MANAGE, account, is_allowed=True)
    elif name != "nobody":
        await give_role(engine, user, "admin" if name == "disabled" else name)
    return bearer(user)


def filled(template: Any, objects: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(template, str):
        return template.format_map(objects)
    if isinstance(template, dict):
        return {name: filled(value, objects) for name, value in template.items()}
    return [filled(value, objects) for value in template] if isinstance(template, list) else template


def routes_of(app: Litestar) -> dict[str, HTTPRouteHandler]:
    return {
        f"{method} {route.path_format or '/'}": handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods - {"OPTIONS"}
    }


async def test_every_route_is_in_the_table_and_declares_the_same_permission(app):
    routes = routes_of(app)
    unprefixed = {name: handler for name, handler in routes.items() if " /api" not in name}
    assert set(unprefixed) == set(TABLE) | PUBLIC
    for name, row in TABLE.items():
        assert str(unprefixed[name].opt["permission"]) == row.permission, name
    for name in PUBLIC:
        assert unprefixed[name].opt["permission"] is None, name


async def test_every_route_is_there_once_more_below_the_prefix(app):
    routes = set(routes_of(app))
    below = {name.replace(" /api", " ", 1).replace("  ", " ") for name in routes if " /api" in name}
    assert {name.replace(" /", " ", 1) for name in routes if " /api" not in name} == {
        name.replace(" /", " ", 1) for name in below
    }


@pytest.mark.parametrize("call", TABLE)
async def test_each_caller_gets_what_the_table_says(
    client: httpx.AsyncClient, engine: AsyncEngine, container: AsyncContainer, call: str
):
    (await container.get(FakeMediaSource)).files[MEDIA] = FakeFile(data=b"\xff\xd8\xff", mime_type="image/jpeg")
    (await container.get(FakeTemplateSource)).templates = EveryWaba()
    got = {caller: await statuses(client, engine, call, caller) for caller in CALLERS}
    assert got == TABLE[call].expected


async def statuses(client: httpx.AsyncClient, engine: AsyncEngine, call: str, caller: str) -> str:
    """What `caller` gets for the objects of the columns, each of them fresh."""
    row = TABLE[call]
    a, b = [(await an_account(engine)).account_id for _ in "ab"]
    headers = await caller_headers(engine, caller, a, b)
    columns = [missing()]
    if len(row.expected[caller].split()) == 3:
        columns = [await objects_of(engine, a), await objects_of(engine, b), *columns]
    elif len(row.expected[caller].split()) == 2:
        columns = [await shared_objects(engine), *columns]
    answers = [await ask(client, call, objects, headers) for objects in columns]
    assert_alike([answer for answer in answers if answer.status_code == 404])
    return " ".join("2xx" if answer.is_success else str(answer.status_code) for answer in answers)


async def ask(
    client: httpx.AsyncClient, call: str, objects: Mapping[str, str], headers: Mapping[str, str]
) -> httpx.Response:
    row, (method, path) = TABLE[call], call.split(" ", 1)
    path = row.path or path
    values = {**objects, "number": a_client_number()}
    body = filled(row.body, values) if row.body is not None else None
    files = {"file": ("a.png", row.file, "image/png")} if row.file is not None else None
    query = filled(row.query, values)
    return await client.request(
        method, filled(path, values), headers=dict(headers), params=query, json=body, files=files
    )


def missing() -> dict[str, str]:
    of_accounts = ("account_id", "conversation_id", "message_id", "template_id", "article_id")
    names = (*of_accounts, "contact_id", "role_id", "user_id", "key_id", "name", "delivery_id")
    return {name: str(uuid4()) for name in names}


def assert_alike(answers: list[httpx.Response]) -> None:
    """Foreign and missing cannot be told apart, headers included."""
    for one, other in itertools.pairwise(answers):
        assert shown(one) == shown(other)


def shown(answer: httpx.Response) -> tuple[dict[str, Any], dict[str, str]]:
    own = {"x-request-id", "date"}
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return body, {name: value for name, value in answer.headers.items() if name not in own}


@pytest.mark.parametrize("call", [name for name in TABLE if "{" in name])
async def test_a_malformed_id_is_a_missing_object(client, engine, call):
    user = await a_user(engine)
    await give_role(engine, user, "admin")
    wanted = await ask(client, call, missing(), bearer(user))
    assert wanted.status_code == 404
    for bad in ("not-a-uuid", "1", "00000000-0000-0000-0000-00000000000g", "%00", "１" * 36, "{" + "0" * 32 + "}"):
        assert_alike([wanted, await ask(client, call, dict.fromkeys(missing(), quote(bad)), bearer(user))])
