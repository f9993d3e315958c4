"""What the API itself answers while another service fails: real routes, real adapters, emulators over HTTP."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import pytest
from dishka import Provider, Scope

from api.conftest import a_caller
from api.test_media import a_file
from applications import Applications, a_browser
from builders import SEALER, an_account
from contracts.trust import certificates
from inbox.adapters.identity.fake import FakeIdentity
from inbox.domain.access import Permission
from inbox.emulators.graph_api.app import create_app as create_graph
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig
from inbox.emulators.serving import serve
from inbox.emulators.supabase_auth import SupabaseAuthConfig
from inbox.emulators.supabase_auth import create_app as create_supabase
from inbox.kit.breaker import Breakers
from inbox.main.container import build
from inbox.main.media_settings import Media
from inbox.main.people import PeopleIdentity
from inbox.main.runtime import Runtime
from inbox.main.settings import Settings, Supabase, WhatsApp
from inbox.main.upstream_settings import Outgoing

TOKEN = "EMULATOR-TOKEN"
NOBODY = "http://127.0.0.1:9"
HANG = {"action": "hang"}
BROKEN = {"action": "html_502"}
TIMES: dict[str, Any] = {"connect_timeout": 0.2, "read_timeout": 0.3, "total_timeout": 0.4}


class Api:
    """The whole API; `breakers` are its circuits."""

    def __init__(self, client: httpx.AsyncClient, breakers: Breakers) -> None:
        self.client = client
        self.breakers = breakers


@pytest.fixture
async def graph() -> AsyncIterator[str]:
    quiet = Behaviour(latency=(0, 0), auto_statuses=False, check_window=False)
    async with serve(create_graph(GraphApiConfig(access_token=TOKEN, behaviour=quiet))) as served:
        yield served.url


@pytest.fixture
async def supabase() -> AsyncIterator[str]:
    async with serve(create_supabase(SupabaseAuthConfig(publishable_keys=("p",), secret_keys=("s",)))) as served:
        yield served.url


async def arm(url: str, **rule: object) -> None:
    async with httpx.AsyncClient(verify=certificates()) as http:
        answer = await http.post(f"{url}/_emu/faults", json=rule)
    assert answer.is_success, answer.text


@asynccontextmanager
async def serving(
    applications: Applications, settings: Settings, database_url: str, *overrides: Provider
) -> AsyncIterator[Api]:
    with TemporaryDirectory() as folder:
        runtime = Runtime(
            settings=msgspec.structs.replace(settings, outgoing=Outgoing(attempts=1)),
            database_url=database_url,
            sealer=SEALER,
            token_secrets=(b"t" * 32,),
            data_dir=Path(folder),
        )
        container = build(runtime, *overrides)
        try:
            async with applications.lent(runtime.settings, container) as app, app.lifespan(), a_browser(app) as client:
                yield Api(client, await container.get(Breakers))
        finally:
            await container.close()


def with_whatsapp(settings: Settings, url: str) -> Settings:
    whatsapp = WhatsApp(graph_url=url, app_secret=settings.whatsapp.app_secret, media_read_timeout=0.3, **TIMES)
    media = Media(opening_timeout=0.5, attempt_timeout=0.4)
    return msgspec.structs.replace(settings, whatsapp=whatsapp, media=media)


def people() -> Provider:
    """Only who signs in is faked."""
    provider = Provider(scope=Scope.APP)
    provider.provide(FakeIdentity, provides=PeopleIdentity, override=True)
    return provider


async def read_file(api: Api, engine) -> httpx.Response:
    account = (await an_account(engine, access_token=TOKEN)).account_id
    message = await a_file(engine, account, "700000000000001")
    reader = await a_caller(engine, account, Permission.MESSAGES_VIEW)
    return await api.client.get(f"/messages/media/{message}", headers=reader)


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        (HANG, 504, "whatsapp_timeout"),
        (BROKEN, 502, "whatsapp_api_error"),
        ({"action": "http_error", "status": 400, "code": 100}, 410, "media_expired_or_invalid"),
        ({"action": "http_error", "status": 429, "code": 4}, 503, "whatsapp_unavailable"),
    ],
)
async def test_a_file_that_whatsapp_does_not_give(
    applications, settings, database_url, engine, graph, rule, status, code
):
    await arm(graph, **rule)
    async with serving(applications, with_whatsapp(settings, graph), database_url, people()) as api:
        assert said(await read_file(api, engine)) == (status, code)


async def test_a_file_of_nobody_is_503(applications, settings, database_url, engine):
    async with serving(applications, with_whatsapp(settings, NOBODY), database_url, people()) as api:
        answer = await read_file(api, engine)
    assert said(answer) == (503, "whatsapp_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_file_behind_an_open_circuit_is_503_and_says_how_long(
    applications, settings, database_url, engine, graph
):
    async with serving(applications, with_whatsapp(settings, graph), database_url, people()) as api:
        api.breakers.trip("media")
        answer = await read_file(api, engine)
    assert said(answer) == (503, "whatsapp_unavailable")
    assert 28 <= int(answer.headers["retry-after"]) <= 30


def with_supabase(settings: Settings, url: str) -> Settings:
    return msgspec.structs.replace(settings, supabase=Supabase(url=url, **TIMES))


async def sign_in(api: Api, url: str) -> httpx.Response:
    """With a token whose key must be asked for."""
    parts = ({"alg": "ES256", "typ": "JWT", "kid": "k"}, {"iss": f"{url}/auth/v1"})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return await api.client.get("/auth/me", headers={"authorization": f"Bearer {head}.{body}.AAAA"})


@pytest.mark.parametrize(
    ("rule", "status", "code"), [(HANG, 504, "supabase_timeout"), (BROKEN, 502, "supabase_unreachable")]
)
async def test_a_sign_in_that_supabase_does_not_answer(
    applications, settings, database_url, engine, supabase, rule, status, code
):
    await arm(supabase, **rule)
    async with serving(applications, with_supabase(settings, supabase), database_url) as api:
        assert said(await sign_in(api, supabase)) == (status, code)


async def test_a_sign_in_at_nobody_is_503(applications, settings, database_url, engine):
    async with serving(applications, with_supabase(settings, NOBODY), database_url) as api:
        answer = await sign_in(api, NOBODY)
    assert said(answer) == (503, "supabase_unreachable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_sign_in_behind_an_open_circuit_is_503_and_says_how_long(
    applications, settings, database_url, engine, supabase
):
    async with serving(applications, with_supabase(settings, supabase), database_url) as api:
        api.breakers.trip("supabase")
        answer = await sign_in(api, supabase)
    assert said(answer) == (503, "supabase_unreachable")
    assert 28 <= int(answer.headers["retry-after"]) <= 30
