"""Supabase Auth asked about every token: what its answers and its silence mean, and how long they are remembered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar, Request, Response, get

from contracts.trust import certificates
from identity.conftest import Clock
from identity.contract import IdentityCases
from identity.forging import CLAIM_ATTACKS, GARBAGE, Attack, Forger
from identity.test_identity import POLICY
from identity.test_supabase_emulated import PUBLISHABLE, WRONG_ORDERS, Project, emulated
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.cache.off import NoCache
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.identity.introspection import SupabaseIntrospection
from inbox.domain.errors import InvalidToken
from inbox.domain.upstream_errors import IdentityDown, IdentityNotConfigured, IdentityTimeout, IdentityUnreachable
from inbox.emulators.serving import abort_connection, serve
from inbox.emulators.supabase_auth import Signing
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient
from inbox.kit.resilience import Guard, Policy
from inbox.ports.cache import Cache
from inbox.ports.identity import Identity

KEY = "sb_publishable_q1W2invented"
Canned = tuple[int, object]


class UserServer:
    """Answers `/auth/v1/user` as told, and counts. `body` None resets the connection; `gate` holds answers back."""

    def __init__(self) -> None:
        self.status = 200
        self.body: object = b""
        self.headers: dict[str, str] = {}
        self.gate: asyncio.Event | None = None
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.seen: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        self.asked += 1
        self.was_asked.set()
        self.seen.append(dict(request.headers))
        if self.gate is not None:
            await self.gate.wait()
        if self.body is None:
            abort_connection(request.scope)
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return Response(body, status_code=self.status, headers=self.headers, media_type="application/json")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["UserServer"]:
        @get("/auth/v1/user")
        async def user(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self.answer(request)

        async with serve(Litestar([user], logging_config=None, openapi_config=None)) as served:
            self.url = served.url
            yield self


class Asked:
    """An identity that asks a `UserServer`, with a clock for the service and the cache."""

    def __init__(self, server: UserServer, clock: Clock) -> None:
        self.server = server
        self.clock = clock
        self.forger = Forger(f"{server.url}/auth/v1", clock.now)
        self.api = ApiClient("supabase", server.url, tls=certificates())
        self.cache = MemoryCache(MemoryEvents(), clock=self._seconds)
        self.identity = self.new_identity()
        self.knows(self.forger.user_id)

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    def knows(self, user_id: UUID, **changes: object) -> None:
        self.server.body = {
            "id": str(user_id),
            "aud": "authenticated",
            "role": "authenticated",
            "email": "Ana@Faro.example",
            "email_confirmed_at": "2026-10-02T08:11:04.120931Z",
            "phone": "",
            "user_metadata": {"full_name": "Ana Ruiz"},
            "is_anonymous": False,
        } | changes

    def new_identity(
        self,
        cache: Cache | None = None,
        *,
        is_email_trusted: bool = False,
        policy: Policy = POLICY,
        breakers: Breakers | None = None,
    ) -> SupabaseIntrospection:
        return SupabaseIntrospection(
            self.api,
            Guard("supabase", policy, breakers, "supabase"),
            cache or self.cache,
            key=KEY,
            issuers=[self.forger.issuer],
            clock=self.clock,
            is_email_trusted=is_email_trusted,
        )


@pytest.fixture
async def asked(clock: Clock) -> AsyncIterator[Asked]:
    async with UserServer().serving() as server:
        side = Asked(server, clock)
        yield side
        await side.api.aclose()


async def refused(identity: Identity, token: str) -> None:
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)


async def test_the_project_is_asked_with_its_key_and_the_callers_token(asked: Asked) -> None:
    token = asked.forger.token()
    subject = await asked.identity.authenticate(token)
    assert (subject.user_id, subject.email, subject.display_name) == (
        asked.forger.user_id,
        "ana@faro.example",
        "Ana Ruiz",
    )
    (headers,) = asked.server.seen
    assert (headers["apikey"], headers["authorization"]) == (KEY, f"Bearer {token}")
    assert headers["x-supabase-api-version"] == "2024-01-01"


async def test_an_address_is_verified_if_the_project_confirmed_it_and_can_be_trusted_to(asked: Asked) -> None:
    token = asked.forger.token()
    trusting = asked.new_identity(NoCache(), is_email_trusted=True)
    assert not (await asked.identity.authenticate(token)).is_email_verified
    assert (await trusting.authenticate(token)).is_email_verified
    asked.knows(asked.forger.user_id, email_confirmed_at=None)
    assert not (await trusting.authenticate(token)).is_email_verified


async def test_an_answer_is_remembered_for_two_minutes_at_most(asked: Asked) -> None:
    token = asked.forger.token()
    for _ in range(12):
        await asked.identity.authenticate(token)
        asked.clock.forward(seconds=9)
    assert asked.server.asked == 1
    asked.server.status, asked.server.body = 403, {"code": "session_not_found"}
    asked.clock.forward(seconds=12)
    await refused(asked.identity, token)


async def test_an_answer_is_never_remembered_past_the_end_of_the_token(asked: Asked) -> None:
    token = asked.forger.token(exp=asked.forger.now + 30)
    await asked.identity.authenticate(token)
    asked.clock.forward(seconds=31)
    asked.server.status, asked.server.body = 403, {"code": "bad_jwt"}
    await refused(asked.identity, token)
    assert asked.server.asked == 2
    asked.clock.forward(seconds=10)
    await refused(asked.identity, token)
    assert asked.server.asked == 2


async def test_many_requests_with_one_token_ask_once(asked: Asked) -> None:
    asked.server.gate = asyncio.Event()
    token = asked.forger.token()
    calls = [asyncio.create_task(asked.identity.authenticate(token)) for _ in range(50)]
    await asked.server.was_asked.wait()
    asked.server.gate.set()
    assert {subject.user_id for subject in await asyncio.gather(*calls)} == {asked.forger.user_id}
    assert asked.server.asked == 1


async def test_two_tokens_never_share_an_answer(asked: Asked) -> None:
    await asked.identity.authenticate(asked.forger.token())
    other = Forger(asked.forger.issuer, asked.clock.now)
    asked.knows(other.user_id)
    assert (await asked.identity.authenticate(other.token())).user_id == other.user_id


async def test_a_refused_token_asks_once_in_ten_seconds(asked: Asked) -> None:
    token = asked.forger.token()
    asked.server.status, asked.server.body = 403, {"code": "session_not_found"}
    for _ in range(20):
        await refused(asked.identity, token)
    assert asked.server.asked == 1
    asked.server.status = 200
    asked.knows(asked.forger.user_id)
    asked.clock.forward(seconds=10)
    await asked.identity.authenticate(token)


async def test_without_a_cache_every_request_asks(asked: Asked) -> None:
    identity, token = asked.new_identity(NoCache()), asked.forger.token()
    for _ in range(3):
        await identity.authenticate(token)
    assert asked.server.asked == 3


REFUSALS = {
    "expired, newer shape": (403, {"code": "bad_jwt", "message": "token is expired"}),
    "expired, older shape": (403, {"code": 403, "error_code": "bad_jwt", "msg": "token is expired"}),
    "no bearer": (401, {"code": "no_authorization", "message": "x"}),
    "signed out": (403, {"code": "session_not_found", "message": "x"}),
    "deleted": (403, {"code": "user_not_found", "message": "x"}),
    "banned": (403, {"code": "user_banned", "message": "x"}),
    "another status for the same word": (400, {"code": "bad_jwt", "message": "x"}),
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
async def test_what_the_auth_server_says_of_the_token_is_a_refusal(asked: Asked, answer: Canned) -> None:
    asked.server.status, asked.server.body = answer
    await refused(asked.identity, asked.forger.token())


async def test_the_word_in_the_header_counts_first(asked: Asked) -> None:
    asked.server.status, asked.server.body = 403, b"<html>"
    asked.server.headers = {"x-sb-error-code": "user_banned"}
    await refused(asked.identity, asked.forger.token())


PEOPLE = {
    "anonymous": {"is_anonymous": True},
    "another audience": {"aud": "anon"},
    "another role": {"role": "service_role"},
    "banned for a while": {"banned_until": "2099-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("changes", PEOPLE.values(), ids=PEOPLE)
async def test_a_user_who_is_no_signed_in_person_is_refused(asked: Asked, changes: dict[str, object]) -> None:
    asked.knows(asked.forger.user_id, **changes)
    await refused(asked.identity, asked.forger.token())


NONSENSE = {
    "an error of its own": (500, {"code": "unexpected_failure"}),
    "its timeout": (504, {"code": "request_timeout"}),
    "a word for tokens with a 5xx": (503, {"code": "bad_jwt"}),
    "a page of the edge": (502, b"<html>bad gateway</html>"),
    "a page with 200": (200, b"<html>hello</html>"),
    "nothing with 200": (200, b""),
    "a list": (200, []),
    "no id": (200, {"aud": "authenticated", "role": "authenticated"}),
    "cut": (200, b'{"id":"5b7c1f0e'),
    "nested deep": (200, b"[" * 100_000),
    "another user": (200, {"id": str(uuid4()), "aud": "authenticated", "role": "authenticated"}),
    "an unknown word": (403, {"code": "brand_new"}),
    "a wall in front": (403, b"<html>forbidden</html>"),
    "not found": (404, {"message": "no Route matched"}),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_an_outage_that_is_not_remembered(asked: Asked, answer: Canned) -> None:
    token, good = asked.forger.token(), asked.server.body
    asked.server.status, asked.server.body = answer
    with pytest.raises(IdentityUnreachable):
        await asked.identity.authenticate(token)
    asked.server.status, asked.server.body = 200, good
    await asked.identity.authenticate(token)


async def test_a_key_that_the_project_does_not_take_is_a_fault_of_the_configuration(asked: Asked) -> None:
    asked.server.status, asked.server.body = 401, {"message": "Invalid API key", "hint": "x"}
    with pytest.raises(IdentityNotConfigured):
        await asked.identity.authenticate(asked.forger.token())


@pytest.mark.parametrize("answer", [(200, None), (429, {"code": "over_request_rate_limit"})], ids=["reset", "429"])
async def test_no_connection_and_no_time_for_us_are_outages(asked: Asked, answer: Canned) -> None:
    asked.server.status, asked.server.body = answer
    with pytest.raises(IdentityDown):
        await asked.identity.authenticate(asked.forger.token())


async def test_an_answer_that_does_not_come_is_a_timeout(asked: Asked) -> None:
    asked.server.gate = asyncio.Event()
    impatient = asked.new_identity(policy=Policy(total=0.2, attempt=0.2))
    with pytest.raises(IdentityTimeout):
        await impatient.authenticate(asked.forger.token())
    asked.server.gate.set()


async def test_after_some_failures_nobody_is_asked_for_a_while_and_known_tokens_pass(asked: Asked) -> None:
    breakers = Breakers([Circuit(name="supabase", threshold=3, stays_open=30.0)])
    identity, known = asked.new_identity(breakers=breakers), asked.forger.token()
    await identity.authenticate(known)
    asked.server.status = 500
    for n in range(3):
        with pytest.raises(IdentityUnreachable):
            await identity.authenticate(asked.forger.token(aal=f"aal{n}"))
    with pytest.raises(IdentityDown):
        await identity.authenticate(asked.forger.token())
    await identity.authenticate(known)
    assert asked.server.asked == 4


@pytest.mark.parametrize("attack", CLAIM_ATTACKS.values(), ids=CLAIM_ATTACKS.keys())
async def test_a_token_that_is_wrong_by_its_own_words_is_refused_unasked(asked: Asked, attack: Attack) -> None:
    await refused(asked.identity, attack(asked.forger))
    assert asked.server.asked == 0


async def test_no_garbage_reaches_the_project(asked: Asked) -> None:
    for text in GARBAGE:
        await refused(asked.identity, text)
    assert asked.server.asked == 0


class AskedProject(Project):
    """The emulated project, asked."""

    def __init__(self, *given: Any) -> None:  # noqa: ANN401
        super().__init__(*given)
        self.identity = self.asking(self.url)

    def asking(self, url: str) -> Identity:
        api = ApiClient("supabase", url, tls=certificates())
        self.stack.push_async_callback(api.aclose)
        issuers = [f"{self.url}/auth/v1"]
        return SupabaseIntrospection(
            api, Guard("supabase", POLICY), NoCache(), key=PUBLISHABLE, issuers=issuers, clock=self.clock
        )

    async def without_provider(self) -> Identity:
        return self.asking("http://127.0.0.1:9")


@pytest.mark.parametrize("side", [Signing.ES256, Signing.HS256], indirect=True, ids=str)
class TestEmulatedProject(IdentityCases):
    @pytest.fixture
    async def side(self, request: pytest.FixtureRequest) -> AsyncIterator[Project]:
        async for project in emulated(AskedProject, request.param):
            yield project

    @pytest.mark.parametrize("order", WRONG_ORDERS, ids=str)
    async def test_a_wrong_token_of_the_project_is_invalid(self, side: Project, order: dict[str, Any]) -> None:
        user_id = await side.add("ana")
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(await side.minted(user_id, **order))

    async def test_a_sign_out_and_a_ban_count_at_once(self, side: Project) -> None:
        token, user_id = await side.person("ana")
        await side.identity.authenticate(token)
        await side.order("POST", f"users/{user_id}/logout")
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(token)
