"""What becomes of a failure of another service: the real adapters against the emulators, answered as the API would.

One table: timeout 504, its 5xx 502, its refusal 400, 409 or 410 with the reason, no connection 503, open circuit 503
with Retry-After.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from dishka import Provider, Scope
from litestar import Litestar, get

from api.conftest import a_caller
from api.test_send import OPEN
from builders import SEALER, a_conversation, execute, until
from contracts.asking import decided
from contracts.media_side import a_channel
from contracts.sending import Sending
from contracts.trust import certificates
from inbox.adapters.identity.supabase import SupabaseIdentity
from inbox.adapters.llm.answering import Defaults
from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.adapters.messaging.cloud_api.media import CloudApiMedia
from inbox.adapters.messaging.cloud_api.sender import CloudApiSender
from inbox.domain.access import Permission
from inbox.domain.errors import InboxError, Kind
from inbox.emulators.gemini.app import create_app as create_gemini
from inbox.emulators.gemini.config import GeminiConfig
from inbox.emulators.graph_api.app import create_app as create_graph
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig
from inbox.emulators.serving import serve
from inbox.emulators.supabase_auth import SupabaseAuthConfig
from inbox.emulators.supabase_auth import create_app as create_supabase
from inbox.entrypoints.http.problems import HANDLERS
from inbox.entrypoints.worker import Worker
from inbox.kit.breaker import Breakers
from inbox.kit.gauges import Gauges
from inbox.main.container import build
from inbox.main.llm_settings import Gemini
from inbox.main.runtime import Runtime
from inbox.main.settings import Settings, Supabase, WhatsApp
from inbox.main.upstream_settings import Outgoing
from inbox.main.upstreams import Upstreams, circuits
from inbox.main.vendors import Fakes
from inbox.ports.messaging import Sender

TOKEN = "EMULATOR-TOKEN"
KEY = "EMULATOR-GEMINI-KEY"
NOBODY = "http://127.0.0.1:9"
HANG = {"action": "hang"}
BROKEN = {"action": "html_502"}


class Outside:
    """The three services as emulators, and our side wired as in production, with shorter times."""

    def __init__(self, urls: dict[str, str], http: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        self._urls = urls
        self._http = http
        self._stack = stack

    async def arm(self, service: str, **rule: object) -> None:
        answer = await self._http.post(f"{self._urls[service]}/_emu/faults", json=rule)
        assert answer.is_success, answer.text

    async def number(self) -> str:
        answer = await self._http.post(
            f"{self._urls['whatsapp']}/_emu/wabas", json={"numbers": [{"phone": "33190000000"}]}
        )
        return answer.json()["numbers"][0]["id"]

    def wired(self, *, gone: bool = False, gemini_key: str = KEY) -> "Wired":
        urls = dict.fromkeys(self._urls, NOBODY) if gone else self._urls
        times: dict[str, Any] = {"connect_timeout": 1.0, "read_timeout": 0.3, "total_timeout": 2.0}
        settings = Settings(
            whatsapp=WhatsApp(graph_url=urls["whatsapp"], media_read_timeout=0.3, **times),
            gemini=Gemini(url=urls["gemini"], **times),
            supabase=Supabase(url=urls["supabase"], **times),
            outgoing=Outgoing(attempts=1),
        )
        return Wired(settings, self._stack, gemini_key)


class Wired:
    def __init__(self, settings: Settings, stack: AsyncExitStack, gemini_key: str) -> None:
        self.breakers = Breakers(circuits(settings))
        up = Upstreams(settings, self.breakers, lambda _: None, Gauges())
        clients = [
            up.whatsapp_client(),
            up.media_client(),
            up.gemini_client(),
            up.supabase_client(settings.supabase.url or ""),
        ]
        for client in clients:
            stack.push_async_callback(client.aclose)
        send, media, gemini, supabase = clients
        self.sender = CloudApiSender(send, up.whatsapp_guard(), version="v24.0")
        self.media = CloudApiMedia(media, up.media_guard(), version="v24.0", idle=0.3)
        self.assistant = GeminiAssistant(
            gemini, up.gemini_guard(), api_key=gemini_key, defaults=Defaults(model="gemini-3.5-flash-lite")
        )
        self.identity = SupabaseIdentity(supabase, up.supabase_guard(), issuers=["x"], clock=lambda: datetime.now(UTC))
        stack.push_async_callback(self.identity.aclose)

    async def ask(self, service: str, number: str) -> httpx.Response:
        """One call, answered through the API's own table of errors."""

        @get("/")
        async def route() -> str:
            await self._call(service, number)
            return "fine"

        app = Litestar([route], exception_handlers=HANDLERS, openapi_config=None, logging_config=None)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
            return await client.get("/")

    async def _call(self, service: str, number: str) -> None:
        match service:
            case "whatsapp":
                await Sending(self.sender, number, TOKEN)()
            case "media":
                async with self.media.open(a_channel(number, TOKEN), "700000000000001", limit=100) as stream:
                    assert [chunk async for chunk in stream.chunks]
            case "gemini":
                await decided(self.assistant)
            case "supabase":
                await self.identity.authenticate(_token())


def _token() -> str:
    parts = ({"alg": "ES256", "typ": "JWT", "kid": "k"}, {"iss": "x"})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}.AAAA"


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    """Where the emulators of this module are."""
    quiet = Behaviour(latency=(0, 0), auto_statuses=False, check_window=False)
    apps = {
        "whatsapp": create_graph(GraphApiConfig(access_token=TOKEN, behaviour=quiet)),
        "gemini": create_gemini(GeminiConfig(api_keys=(KEY,))),
        "supabase": create_supabase(SupabaseAuthConfig(publishable_keys=("p",), secret_keys=("s",))),
    }
    async with AsyncExitStack() as stack:
        yield {name: (await stack.enter_async_context(serve(app))).url for name, app in apps.items()}


@pytest.fixture
async def outside(urls: dict[str, str]) -> AsyncIterator[Outside]:
    """They begin anew."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(verify=certificates()))
        for url in urls.values():
            (await http.post(f"{url}/_emu/reset")).raise_for_status()
        yield Outside(urls, http, stack)


EMULATOR = {"media": "whatsapp"}


@pytest.mark.parametrize(
    ("service", "rule", "status", "code"),
    [
        ("whatsapp", HANG, 504, "whatsapp_timeout"),
        ("whatsapp", BROKEN, 504, "whatsapp_timeout"),  # it may be on its way: never a plain failure
        ("whatsapp", {"action": "http_error", "status": 400, "code": 131026}, 400, "whatsapp_rejected"),
        ("whatsapp", {"action": "http_error", "status": 429, "code": 130429}, 429, "whatsapp_unavailable"),
        ("media", HANG, 504, "whatsapp_timeout"),
        ("media", BROKEN, 502, "whatsapp_api_error"),
        ("media", {"action": "http_error", "status": 400, "code": 100}, 410, "media_expired_or_invalid"),
        ("media", {"action": "http_error", "status": 401, "code": 190}, 502, "whatsapp_api_error"),
        ("media", {"action": "http_error", "status": 429, "code": 4}, 503, "whatsapp_unavailable"),
        ("gemini", HANG, 504, "model_timeout"),
        ("gemini", BROKEN, 502, "model_failed"),
        ("gemini", {"action": "http_error", "status": 400}, 500, "model_refused"),
        ("gemini", {"action": "http_error", "status": 429}, 429, "model_throttled"),
        ("supabase", HANG, 504, "supabase_timeout"),
        ("supabase", BROKEN, 502, "supabase_unreachable"),
        ("supabase", {"action": "http_error", "status": 503}, 502, "supabase_unreachable"),
    ],
)
async def test_a_fault_has_its_status_and_its_word(outside, service, rule, status, code):
    number = await outside.number()
    await outside.arm(EMULATOR.get(service, service), **rule)
    answer = await outside.wired().ask(service, number)
    assert (answer.status_code, answer.json()["detail"]) == (status, code)


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("whatsapp", "whatsapp_unavailable"),
        ("media", "whatsapp_unavailable"),
        ("gemini", "model_unavailable"),
        ("supabase", "supabase_unreachable"),
    ],
)
async def test_without_a_connection_it_is_503(outside, service, code):
    answer = await outside.wired(gone=True).ask(service, "1")
    assert (answer.status_code, answer.json()["detail"]) == (503, code)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("service", "code", "wait"),
    [
        ("whatsapp", "circuit_open", 30),
        ("media", "whatsapp_unavailable", 30),
        ("gemini", "circuit_open", 60),
        ("supabase", "supabase_unreachable", 30),
    ],
)
async def test_an_open_circuit_is_503_and_says_how_long(outside, service, code, wait):
    wired = outside.wired()
    wired.breakers.trip(service)
    answer = await wired.ask(service, await outside.number())
    assert (answer.status_code, answer.json()["detail"]) == (503, code)
    assert wait - 2 <= int(answer.headers["retry-after"]) <= wait


PROBED = ("whatsapp", "gemini", "supabase")
FAILED = {"whatsapp": "whatsapp_api_error", "gemini": "model_failed", "supabase": "supabase_unreachable"}
TIMED_OUT = {"whatsapp": "whatsapp_timeout", "gemini": "model_timeout", "supabase": "supabase_timeout"}


def probe(wired, service):
    return {"whatsapp": wired.sender, "gemini": wired.assistant, "supabase": wired.identity}[service].probe()


@pytest.mark.parametrize("service", PROBED)
async def test_a_probe_asks_past_an_open_circuit_and_does_not_move_it(outside, service):
    wired = outside.wired()
    wired.breakers.trip(service)
    before = wired.breakers.inspect()
    assert await probe(wired, service)
    assert wired.breakers.inspect() == before


@pytest.mark.parametrize(
    ("service", "rule", "code"),
    [(service, BROKEN, code) for service, code in FAILED.items()]
    + [(service, HANG, code) for service, code in TIMED_OUT.items()]
    + [("gemini", {"action": "http_error", "status": 404}, "model_missing")],
)
async def test_a_probe_fails_with_the_word_of_a_real_call_and_opens_no_circuit(outside, service, rule, code):
    await outside.arm(service, **rule)
    wired = outside.wired()
    failures = await asyncio.gather(*(probe(wired, service) for _ in range(6)), return_exceptions=True)
    assert [getattr(failure, "code", failure) for failure in failures] == [code] * 6
    assert {state.failure_count for state in wired.breakers.inspect().values()} == {0}


@pytest.mark.parametrize("service", PROBED)
async def test_a_probe_of_nobody_is_an_outage(outside, service):
    with pytest.raises(InboxError) as caught:
        await probe(outside.wired(gone=True), service)
    assert caught.value.kind is Kind.UNAVAILABLE


class TestSending:
    @pytest.fixture
    async def container(self, settings, database_url, engine, tmp_path):
        """As in `api.conftest`, with the real sender, whose circuit is open."""
        async with AsyncExitStack() as stack:
            wired = Wired(Settings(whatsapp=WhatsApp(graph_url=NOBODY)), stack, KEY)
            wired.breakers.trip("whatsapp")
            real = Provider(scope=Scope.APP)
            real.provide(lambda: wired.sender, provides=Sender, override=True)
            runtime = Runtime(
                settings=settings,
                database_url=database_url,
                sealer=SEALER,
                token_secrets=(b"t" * 32,),
                data_dir=tmp_path,
            )
            container = build(runtime, Fakes(), real)
            stack.push_async_callback(container.close)
            yield container

    async def test_while_the_circuit_is_open_a_message_waits_in_the_queue(self, client, engine, account, container):
        """It will be tried again, so it is no failure: 202, and the row stays pending (contract, call 10)."""
        conversation = await a_conversation(engine, account, window_expires_at=OPEN)
        caller = await a_caller(engine, account, Permission.MESSAGES_SEND)
        worker = await container.get(Worker)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            body = {"conversation_id": str(conversation), "content": "Bonjour"}
            answer = await client.post("/messages/send", json=body, headers=caller)
            await until(engine, "select 1 from lanes where kind = 'send' and retries > 0 or due > now() + '1 s'")
            worker.stop()
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        (row,) = await execute(engine, "select m.status, o.state, o.attempt from messages m join outbox o using (id)")
        assert tuple(row) == ("pending", "queued", 0)


async def test_a_statement_that_takes_too_long_is_504(client, engine, account):
    caller = await a_caller(engine, account, Permission.ACCOUNTS_VIEW)
    assert (await client.get("/accounts", headers=caller)).status_code == 200
    async with engine.connect() as connection:
        await connection.exec_driver_sql("lock table whatsapp_accounts in access exclusive mode")
        answer = await client.get("/accounts", headers=caller)
    assert (answer.status_code, answer.json()["detail"]) == (504, "database_timeout")
