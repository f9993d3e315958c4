"""The attack table, sent to the running application in each identity mode."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from dishka import AsyncContainer, Provider, Scope

from builders import NOWHERE, SEALER
from identity.attack_table import KEYS, LOCAL, MODES, SECRET, TABLE
from identity.conftest import Clock, Local
from identity.forging import GARBAGE, Forger, SecretForger
from identity.keyserver import KeyServer
from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.passwords import Passwords
from inbox.adapters.identity.supabase import SupabaseIdentity
from inbox.domain.clock import Clock as Now
from inbox.kit.http import ApiClient
from inbox.kit.resilience import Guard, Policy
from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.container import build
from inbox.main.people import PeopleIdentity
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.settings import Database as DatabaseSettings
from inbox.main.settings import Http, Settings, Supabase, WhatsApp
from inbox.ports.database import Database

JWT_SECRET = "an-invented-secret-of-more-than-32-bytes"


class Trap:
    """Listens where a token says that keys are to be found, and counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self.url = ""
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Trap"]:
        async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.visits += 1
            writer.close()

        server = await asyncio.start_server(visited, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            yield self


class House:
    """One mode: the application, and somebody who holds a good key."""

    def __init__(self, mode: str, client: httpx.AsyncClient, forger: Forger, trap: Trap) -> None:
        self.mode = mode
        self.trap = trap
        self._client = client
        self._forger = forger
        forger.elsewhere = trap.url

    def forge(self, attack: Callable[[Forger], str]) -> str:
        self._forger.now = int(datetime.now(UTC).timestamp())
        return attack(self._forger)

    async def send(self, token: str) -> tuple[int, str | None]:
        """The status, and the word of a refusal."""
        value = f"Bearer {token}".encode("utf-8", "surrogatepass")
        answer = await self._client.get("/auth/me", headers=[(b"authorization", value)])
        return answer.status_code, answer.json().get("detail")


def runtime(database_url: str, supabase: Supabase) -> Runtime:
    settings = Settings(
        http=Http(public_url="https://inbox.faro.example"),
        database=DatabaseSettings(allow_unsafe_durability=True),
        whatsapp=WhatsApp(app_secret=(Secret("x"),)),
        supabase=supabase,
    )
    return Runtime(
        settings=settings, database_url=database_url, sealer=SEALER, token_secrets=(b"t" * 32,), data_dir=NOWHERE
    )


@asynccontextmanager
async def running(runtime: Runtime, *overrides: Provider) -> AsyncIterator[tuple[httpx.AsyncClient, AsyncContainer]]:
    container = build(runtime, *overrides)
    app = create_app(runtime.settings, container, await container.get(Metrics))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        yield client, container
    await container.close()


async def local_forger(container: AsyncContainer) -> Forger:
    """Who stole the signing key, with the session of a real person."""
    database = await container.get(Database)
    session = await Local(database, Clock(), Passwords(), None).insert(f"{uuid4()}@faro.example")
    key = await (await container.get(LocalTokens)).signing_key()
    forger = Forger("https://inbox.faro.example/auth/v1", datetime.now(UTC), key)
    forger.user_id, forger.session_id = session.user_id, session.id
    return forger


@pytest.fixture(scope="module", params=MODES)
async def house(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[House]:
    mode = request.param
    async with AsyncExitStack() as stack:
        trap = await stack.enter_async_context(Trap().listening())
        server = await stack.enter_async_context(KeyServer().serving())
        supabase = {
            LOCAL: Supabase(),
            KEYS: Supabase(url=server.url),
            SECRET: Supabase(url=server.url, jwt_secret=Secret(JWT_SECRET)),
        }[mode]
        client, container = await stack.enter_async_context(running(runtime(database_url, supabase)))
        if mode == LOCAL:
            forger = await local_forger(container)
        else:
            kind = SecretForger if mode == SECRET else Forger
            forger = kind(f"{server.url}/auth/v1", datetime.now(UTC))
            server.keys = [forger.jwk()]
        if isinstance(forger, SecretForger):
            forger.secret = JWT_SECRET.encode()
        yield House(mode, client, forger, trap)


def test_the_table_is_long_and_no_row_hides_another() -> None:
    assert len(TABLE) >= 120 + len(GARBAGE)
    assert len({row.name for row in TABLE}) == len(TABLE)


async def test_the_forger_holds_a_good_key(house: House) -> None:
    assert await house.send(house.forge(lambda f: f.token())) == (200, None)


async def test_every_attack_is_401(house: House) -> None:
    answers = {}
    for row in TABLE:
        token = house.forge(row.attack)
        refused = (401, "invalid_token") if token.strip() else (401, "missing_token")
        answers[row.name] = (await house.send(token), (200, None) if house.mode in row.passes else refused)
    assert {name: got for name, (got, expected) in answers.items() if got != expected} == {}


async def test_nothing_that_a_token_names_is_ever_visited(house: House) -> None:
    forged = [(row, house.forge(row.attack)) for row in TABLE]
    naming = [token for row, token in forged if "jku" in row.name or "x5u" in row.name or "elsewhere" in row.name]
    assert len(naming) >= 9
    for token in naming:
        assert (await house.send(token))[0] == 401
    assert house.trap.visits == 0
    reader, writer = await asyncio.open_connection("127.0.0.1", house.trap.port)
    await reader.read()
    writer.close()
    assert house.trap.visits == 1
    house.trap.visits = 0


# --- the keys of a project: rotation, floods, outages (S20) -----------------------------------------------------------


class Ticking(Provider):
    """The identity of a project whose patience the test moves."""

    scope = Scope.APP

    def __init__(self, url: str, clock: Now) -> None:
        super().__init__()
        self.ticks = 1000.0
        self._url = url
        self._clock = clock
        self.provide(self.people, provides=PeopleIdentity, override=True)

    async def people(self) -> AsyncIterator[PeopleIdentity]:
        api = ApiClient("supabase", self._url)
        guard = Guard("supabase", Policy(total=5.0, attempt=2.0))
        issuers = [f"{self._url}/auth/v1"]
        identity = SupabaseIdentity(api, guard, issuers=issuers, clock=self._clock, ticks=lambda: self.ticks)
        yield identity
        await identity.aclose()
        await api.aclose()


class Project:
    """A project and any number of processes that believe it."""

    def __init__(self, server: KeyServer, database_url: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.issuer = f"{server.url}/auth/v1"
        self.processes: list[Ticking] = []
        self.forger = self.rotated()
        self._database_url = database_url
        self._stack = stack

    def rotated(self) -> Forger:
        """One more key in the set."""
        forger = Forger(self.issuer, datetime.now(UTC))
        self.server.keys.append(forger.jwk())
        return forger

    async def process(self) -> House:
        ticking = Ticking(self.server.url, lambda: datetime.now(UTC))
        self.processes.append(ticking)
        application = runtime(self._database_url, Supabase(url=self.server.url))
        client, _ = await self._stack.enter_async_context(running(application, ticking))
        return House(KEYS, client, self.forger, Trap())

    def wait(self, seconds: float) -> None:
        for process in self.processes:
            process.ticks += seconds


@pytest.fixture
async def project(database_url: str) -> AsyncIterator[Project]:
    async with KeyServer().serving() as server, AsyncExitStack() as stack:
        yield Project(server, database_url, stack)


async def test_a_new_key_works_within_ten_seconds_and_the_old_one_goes_on(project: Project) -> None:
    house = await project.process()
    old = project.forger.token()
    assert (await house.send(old))[0] == 200
    new = project.rotated().token()
    project.wait(10)
    assert [(await house.send(token))[0] for token in (new, old)] == [200, 200]
    assert project.server.asked == 2


async def test_a_key_that_left_the_set_is_dead_when_the_next_set_comes(project: Project) -> None:
    house = await project.process()
    old = project.forger.token()
    assert (await house.send(old))[0] == 200
    project.server.keys.clear()
    new = project.rotated().token()
    project.wait(10)
    assert [(await house.send(token))[0] for token in (new, old)] == [200, 401]


async def test_a_thousand_unknown_keys_cost_one_request_in_ten_seconds(project: Project) -> None:
    house = await project.process()
    good = project.forger.token()
    assert (await house.send(good))[0] == 200
    for asked in (2, 3):
        project.wait(10)
        for n in range(500):
            unknown = project.forger.header(kid=f"unknown-{asked}-{n}")
            assert await house.send(project.forger.token(unknown)) == (401, "invalid_token")
        assert project.server.asked == asked
    assert (await house.send(good))[0] == 200


OUTAGES = {
    "500": (500, b"{}", 502),
    "a page": (502, b"<html>bad gateway</html>", 502),
    "a page with 200": (200, b"<html>hello</html>", 502),
    "a list": (200, b"[]", 502),
    "half a set": (200, b'{"keys":[{"kty":"EC"', 502),
    "no connection": (200, None, 503),
}


@pytest.mark.parametrize(("status", "body", "cold"), OUTAGES.values(), ids=OUTAGES)
async def test_while_the_keys_cannot_be_read_known_ones_go_on_and_nobody_is_signed_out(
    project: Project, status: int, body: bytes | None, cold: int
) -> None:
    warm = await project.process()
    token = project.forger.token()
    assert (await warm.send(token))[0] == 200
    project.server.status, project.server.body = status, body
    project.wait(3000)
    assert (await warm.send(token))[0] == 200
    unknown = project.forger.token(project.forger.header(kid="new"))
    assert (await warm.send(unknown))[0] == cold
    assert await (await project.process()).send(token) == (cold, "supabase_unreachable")
